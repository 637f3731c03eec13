"""The three levels of garbage: manifests, then links, then blobs. Each ends by queueing the next, through triggers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from functions.registry import telemetry
from functions.registry.metadata import reviews, totals
from functions.registry.metadata.db import MetadataUnavailable, Session
from functions.registry.metadata.totals import Outcome
from functions.registry.wiring import Services


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    collect: Callable[[Session, int], Outcome]

    def __call__(self, services: Services, limit: int) -> int:
        """How many reviews were carried out, of at most `limit`. A batch that fails is gone through one by one."""
        try:
            return self._batch(services, limit)
        except MetadataUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest of the queue must go on
            if limit > 1:
                return sum(self(services, 1) for _ in range(limit))
            self._put_off(services, error)
            return 1

    def _batch(self, services: Services, limit: int) -> int:
        def work(session: Session) -> Outcome:
            outcome = self.collect(session, limit)
            if outcome.rows:
                session.count(totals.adding(self.name, outcome))
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
        return outcome.reviewed

    def _put_off(self, services: Services, error: Exception) -> None:
        telemetry.log_exception("a review failed and was put off", error, level=self.name)
        reason = f"{type(error).__name__}: {error}"
        services.database.transaction(lambda session: reviews.put_off_first(session, self.name, reason))


MANIFESTS = Level("manifest", reviews.collect_manifests)
LINKS = Level("link", reviews.collect_links)
BLOBS = Level("blob", reviews.collect_blobs)
