"""Connections that were idle for long are opened anew, whatever they lead to.

Networks forget a connection on which nothing is sent, some after ten minutes, and tell neither end: what is sent on it
then is lost, and whoever waits for the answer finds out a minute later. Half of that is trusted.
"""

from __future__ import annotations

import time
from typing import Final

TRUSTED_SECONDS: Final = 300.0


def is_trusted(used_at: float) -> bool:
    """Says whether a connection that was last used then, by the monotonic clock, may be used again."""
    return time.monotonic() - used_at <= TRUSTED_SECONDS
