"""What retention has to do now, and whether the clock can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement

JUMPED: Final = "garbage collection did not run for more than a day, or the clock jumped"


@dataclass(frozen=True, slots=True)
class Todo:
    """What is there to be done: `runs` are open ones that may be closed, and those that are being made or applied."""

    fills: bool
    reviews: bool
    open_runs: bool
    runs: bool
    expired: bool


# Where a day or more went by since the last look, what is due may be due by a wrong clock: until somebody has looked at
# it nothing is removed.
_LOOK: Final = Statement(
    "retention_look",
    Todo,
    """
    WITH seen AS MATERIALIZED (
        SELECT seen_at FROM retention_clock WHERE is_only FOR UPDATE
    ), seeing AS (
        INSERT INTO retention_clock (seen_at) SELECT now() WHERE (SELECT count(*) FROM seen) >= 0
        ON CONFLICT (is_only) DO UPDATE SET seen_at = excluded.seen_at
    ), held AS (
        UPDATE retention_policies SET held_because = :jumped
          FROM seen
         WHERE namespace >= '' AND held_because IS NULL AND abs(extract(epoch FROM now() - seen.seen_at)) > 86400
    )
    SELECT EXISTS (SELECT FROM retention_fills WHERE lowest >= ''),
           EXISTS (SELECT FROM retention_reviews WHERE due_at <= now()),
           EXISTS (SELECT FROM retention_runs WHERE state = 'open' AND waiting > 0),
           EXISTS (SELECT FROM retention_runs WHERE state IN ('making', 'applying', 'undoing')),
           EXISTS (SELECT FROM retention_runs WHERE expires_at < now())
    """,
)


def look(db: Database) -> Todo:
    """Asks what there is to do, in one statement; and remembers when that was."""
    [found] = db.all(_LOOK(jumped=JUMPED))
    return found
