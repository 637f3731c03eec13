"""Objects pending deletion: nothing names them any more; they wait until the last signed URL to them has expired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.gc import collected
from functions.registry.metadata.gc.collected import Outcome


@dataclass(frozen=True, slots=True)
class Deletion:
    """`attempts` counts this one too."""

    object_name: str
    size: int | None
    attempts: int


# This is the one door to the store: what a blob uses is passed by, however it came to be here, and so is what belongs
# to a registry that is being moved in. While a hold stands, nothing goes.
# The due rows are chosen once, in a list of their own: as a plain sub-query they might be chosen anew for each row.
# Claiming puts the next attempt off: another collector passes the row by, and a crash costs only that time.
# 1, 2, 4, … minutes after the last attempt, at most a day.
_CLAIM: Final = Statement(
    "deletions_claim",
    Deletion,
    """
    WITH due AS MATERIALIZED (
        SELECT object_name FROM deletions
         WHERE not_before <= now() AND NOT EXISTS (SELECT FROM holds WHERE until > now()) AND NOT is_held(object_name)
           AND NOT EXISTS (SELECT FROM blobs WHERE blobs.object_name = deletions.object_name)
         ORDER BY not_before
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    UPDATE deletions
       SET attempts = attempts + 1,
           not_before = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
      FROM due
     WHERE deletions.object_name = due.object_name
    RETURNING deletions.object_name, size, attempts
    """,
    is_hot=True,
)

_DONE: Final = Statement(
    "deletions_done",
    int,
    "DELETE FROM deletions WHERE object_name = ANY (CAST(:object_names AS text[]))",
    is_hot=True,
)

_FAILED: Final = Statement(
    "deletions_failed", int, "UPDATE deletions SET error = :error WHERE object_name = :object_name"
)


def claim(db: Database, limit: int) -> list[Deletion]:
    """Claims some that are due. Whatever is not reported as done comes up again, later each time."""
    return db.all(_CLAIM(limit=limit))


def done(db: Database, deletions: list[Deletion]) -> None:
    """Their objects are gone: so are they, into the totals."""
    outcome = Outcome()
    for deletion in deletions:
        outcome.add("delete", deletion.size or 0)
    names = [deletion.object_name for deletion in deletions]
    db.batch([_DONE(object_names=names), collected.adding("object", outcome)])


def failed(db: Database, object_name: str, error: str) -> None:
    db.count(_FAILED(object_name=object_name, error=error))
