"""The levels of garbage: auxiliary tags, manifests, links, blobs. Each ends by queueing the next, through triggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic

from functions.registry import telemetry, told
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.gc import collected, reviews, tag_reviews
from functions.registry.metadata.gc.collected import Outcome
from functions.registry.metadata.gc.review_queue import AnyReview, ReviewQueue
from functions.registry.wiring import Services

# Past this a review won't mend by itself; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5


@dataclass(frozen=True, slots=True)
class Level(Generic[AnyReview]):
    queue: ReviewQueue[AnyReview]

    def collect(self, services: Services, limit: int) -> int:
        """Processes at most `limit` due reviews, and returns how many there were.

        A batch that fails is gone through one by one, and the review that fails alone is rescheduled. Without a
        database even that raises MetadataUnavailable.
        """
        claimed: list[AnyReview] = []
        try:
            self._batch(services, limit, claimed)
        except Exception as error:
            if not claimed:
                raise  # no review is to blame
            if len(claimed) > 1:
                return sum(self.collect(services, 1) for _ in range(len(claimed)))
            telemetry.log_exception("a review failed and was rescheduled", error, level=self.queue.level)
            self._reschedule(services.database, claimed[0], f"{type(error).__name__}: {error}")
        return len(claimed)

    def _reschedule(self, database: Database, review: AnyReview, reason: str) -> None:
        attempts = self.queue.reschedule(database, review, reason)
        if attempts > _ATTEMPTS_UNREPORTED:
            telemetry.log(
                "ERROR",
                "a review fails again and again",
                level=self.queue.level,
                review=str(review),
                attempts=attempts,
                reason=reason,
            )

    def _batch(self, services: Services, limit: int, claimed: list[AnyReview]) -> None:
        """Fills `claimed`, which tells whose fault a failure may be."""

        def work(session: Session) -> Outcome:
            claimed[:] = self.queue.claim(session, limit)
            outcome = self.queue.process(session, claimed) if claimed else Outcome()
            if outcome.rows:
                session.count(collected.adding(self.queue.level, outcome))
            return outcome

        with told.telling(told.COLLECTION):
            outcome = services.database.transaction(work)
        if outcome.reviewed:
            telemetry.log(
                "INFO",
                "reviewed",
                level=self.queue.level,
                reviewed=outcome.reviewed,
                deleted=outcome.rows.total(),
                bytes=outcome.size.total(),
                by_event=dict(outcome.rows),
            )


TAGS: Final = Level(tag_reviews.TAGS)
MANIFESTS: Final = Level(reviews.MANIFESTS)
LINKS: Final = Level(reviews.LINKS)
BLOBS: Final = Level(reviews.BLOBS)
