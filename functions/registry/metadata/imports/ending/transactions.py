"""Waiting until whoever may still act by what was true before is through: a change of who decides, or the end of an
import.

A transaction that has locked or written anything has a number; each of an import has one before it looks whether it may
go on. So once all that had one at some moment are over, everybody sees what was committed before that moment.
"""

from __future__ import annotations

import time
from typing import Final

from functions.registry.metadata.db import Database, Statement

_PAUSE_SECONDS: Final = 0.1

# A number of its own, which is larger than those of all that have one by now.
_NOW: Final = Statement("imports_transactions_now", int, "SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")

_OLDEST: Final = Statement(
    "imports_oldest_transaction", int, "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
)


def wait_for_all(db: Database, seconds: float) -> bool:
    """Waits until every transaction that is open now is over; False if one is open for longer than that."""
    last = db.all(_NOW())[0]
    until = time.monotonic() + seconds
    while db.all(_OLDEST())[0] <= last:
        if time.monotonic() >= until:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
