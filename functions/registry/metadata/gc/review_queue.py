"""A review queue: what may be garbage, looked at again once its grace period is over.

A batch is one transaction of two calls. `claim` takes due reviews and locks what they are about, and skips what others
have locked. `process`, in the next statement, deletes what nothing holds, and completes the reviews of what stays. The
locks come first because a statement that waited still decides by what it saw before it waited. docs/gc.md lists every
race.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from functions.registry.metadata.db import Database, Session, Statement, compose
from functions.registry.metadata.gc.collected import Outcome

Level = Literal["tag", "manifest", "link", "blob"]
Event = Literal["push", "untag", "cascade", "upload", "lease", "unlink"]

_LONGEST_ERROR: Final = 500

# Those that this very transaction queued again are due later, and stay.
_COMPLETE: Final = "DELETE FROM ${level}_reviews WHERE $keys AND review_after < now()"

# A review that fails is due again 1, 2, 4, … minutes from now, at most a day, so that the queue goes on behind it.
_RESCHEDULE: Final = """
    UPDATE ${level}_reviews
       SET attempts = attempts + 1, error = :error,
           review_after = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
     WHERE $keys AND review_after < now()
    RETURNING attempts
    """


@dataclass(frozen=True, slots=True)
class Review:
    """A due review; each queue's has the fields of its key as well. `event` is what queued it."""

    event: Event


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a batch deleted, with the fields of its key, and how many bytes that was."""

    size: int


AnyReview = TypeVar("AnyReview", bound=Review)


def complete_statement(level: Level, keys: str) -> Statement[int]:
    """`keys` is SQL, and constant: it selects rows of the queue by the parameters of the queue's key."""
    return Statement(f"reviews_complete_{level}s", int, compose(_COMPLETE, level=level, keys=keys))


def reschedule_statement(level: Level, keys: str) -> Statement[int]:
    """Takes `keys` as in complete_statement."""
    return Statement(f"reviews_reschedule_{level}", int, compose(_RESCHEDULE, level=level, keys=keys))


@dataclass(frozen=True, slots=True)
class ReviewQueue(Generic[AnyReview]):
    """The queue of one level of garbage.

    `key` names the fields that tell one review from another; statements take a list of each, named in the plural.
    `stay` are statements about what is not deleted, which run before its reviews are completed.
    """

    level: Level
    key: tuple[str, ...]
    claim_statement: Statement[AnyReview]
    delete_statement: Statement[Any]
    complete_statement: Statement[int]
    reschedule_statement: Statement[int]
    stay: tuple[Statement[int], ...] = ()

    def claim(self, session: Session, limit: int) -> list[AnyReview]:
        return session.all(self.claim_statement(limit=limit))

    def process(self, session: Session, claimed: list[AnyReview]) -> Outcome:
        """Deletes what nothing holds. Triggers queue what it held for the next level."""
        outcome = Outcome(len(claimed))
        left = {self._key_of(review): review for review in claimed}
        for deleted in session.all(self.delete_statement(**self._parameters(claimed))):
            outcome.add(left.pop(self._key_of(deleted)).event, deleted.size)
        parameters = self._parameters(left.values())
        session.batch([statement(**parameters) for statement in (*self.stay, self.complete_statement)])
        return outcome

    def reschedule(self, db: Database, review: AnyReview, error: str) -> int:
        """Returns how often it has failed by now; 0 if somebody else has completed it."""
        call = self.reschedule_statement(**self._parameters([review]), error=error[:_LONGEST_ERROR])
        return db.one_or_none(call) or 0

    def _key_of(self, row: Review | Deleted) -> tuple[Any, ...]:
        return tuple(getattr(row, column) for column in self.key)

    def _parameters(self, reviews: Iterable[AnyReview]) -> dict[str, list[Any]]:
        rows = [self._key_of(review) for review in reviews]
        return {f"{column}s": [row[place] for row in rows] for place, column in enumerate(self.key)}
