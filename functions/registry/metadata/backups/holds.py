"""While a hold stands, no object of the registry is deleted (`deletions_claim`), and it ends by itself.

A claim that was made before the hold was committed does no harm: its objects had left `blobs` by then, and whatever is
read from the database later doesn't name them.
"""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Statement

# How long it outlasts whoever stopped renewing it.
SECONDS: Final = 900

BEGIN: Final = Statement(
    "holds_begin",
    int,
    "INSERT INTO holds (reason, until) VALUES (:reason, now() + make_interval(secs => :seconds)) RETURNING id",
)

FORGET_ENDED: Final = Statement("holds_forget_ended", int, "DELETE FROM holds WHERE until < now() - interval '1 day'")

END: Final = Statement("holds_end", int, "DELETE FROM holds WHERE id = :id AND until > now() RETURNING id")

RENEW: Final = Statement(
    "holds_renew",
    int,
    """
    UPDATE holds SET until = now() + make_interval(secs => :seconds) WHERE id = :id AND until > now() RETURNING id
    """,
)
