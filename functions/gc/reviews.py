"""The three levels of garbage: manifests, then links, then blobs. Each ends by queueing the next, through triggers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from functions.registry import telemetry
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.gc import collected, reviews
from functions.registry.metadata.gc.collected import Outcome
from functions.registry.wiring import Services

Review = TypeVar("Review")

# Past this a review won't mend by itself; it is never given up.
_ATTEMPTS_UNREPORTED: Final = 5


@dataclass(frozen=True, slots=True)
class Level(Generic[Review]):
    name: str
    claim: Callable[[Session, int], list[Review]]
    carry_out: Callable[[Session, list[Review]], Outcome]
    put_off: Callable[[Database, Review, str], int]

    def __call__(self, services: Services, limit: int) -> int:
        """How many reviews were carried out, of at most `limit`.

        A batch that fails is gone through one by one, and the review that fails alone is put off. Without a database
        even that raises MetadataUnavailable.
        """
        claimed: list[Review] = []
        try:
            self._batch(services, limit, claimed)
        except Exception as error:
            if not claimed:
                raise  # no review is to blame
            if len(claimed) > 1:
                return sum(self(services, 1) for _ in range(len(claimed)))
            telemetry.log_exception("a review failed and was rescheduled", error, level=self.name)
            self._put_off(services.database, claimed[0], f"{type(error).__name__}: {error}")
        return len(claimed)

    def _put_off(self, database: Database, review: Review, reason: str) -> None:
        attempts = self.put_off(database, review, reason)
        if attempts > _ATTEMPTS_UNREPORTED:
            telemetry.log(
                "ERROR",
                "a review fails again and again",
                level=self.name,
                review=str(review),
                attempts=attempts,
                reason=reason,
            )

    def _batch(self, services: Services, limit: int, claimed: list[Review]) -> None:
        """Fills `claimed`, which tells whose fault a failure may be."""

        def work(session: Session) -> Outcome:
            claimed[:] = self.claim(session, limit)
            outcome = self.carry_out(session, claimed) if claimed else Outcome()
            if outcome.rows:
                session.count(collected.adding(self.name, outcome))
            return outcome

        outcome = services.database.transaction(work)
        if outcome.reviewed:
            telemetry.log(
                "INFO",
                "reviewed",
                level=self.name,
                reviewed=outcome.reviewed,
                deleted=outcome.rows.total(),
                bytes=outcome.size.total(),
                by_event=dict(outcome.rows),
            )


MANIFESTS: Final = Level("manifest", reviews.claim_manifests, reviews.carry_out_manifests, reviews.put_off_manifest)
LINKS: Final = Level("link", reviews.claim_links, reviews.carry_out_links, reviews.put_off_link)
BLOBS: Final = Level("blob", reviews.claim_blobs, reviews.carry_out_blobs, reviews.put_off_blob)
