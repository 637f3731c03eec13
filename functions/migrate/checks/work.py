"""Work on the check that is running: one piece after the other, until all was looked at, and then it is repaired."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from functions.migrate.checks import digests, objects, repair, rows
from functions.migrate.checks.plan import plan
from functions.migrate.checks.repair import TooMuchIsGone
from functions.migrate.checks.working import PieceLost, Work
from functions.registry import telemetry, told
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.objects import StoredObjects
from functions.registry.imports.places import Place
from functions.registry.metadata.checks import checks, findings, pieces
from functions.registry.metadata.checks.checks import Check
from functions.registry.metadata.checks.pieces import NewPiece, Piece
from functions.registry.metadata.checks.vocabulary import ALWAYS_LOOKED_AT, DAMAGE, KINDS, CheckState, Kind, Step
from functions.registry.metadata.db import Crowded, Session
from functions.registry.wiring import Services

_AT_ONCE: Final = 8
_MOST_CLAIMS: Final = 8
_STEPS: Final[dict[Step, Callable[[Work, Piece], bool]]] = {
    "objects": objects.check,
    "digests": digests.check,
    "manifests": rows.check_manifests,
    "repositories": rows.check_repositories,
    "blobs": rows.check_blobs,
    "figures": rows.check_figures,
    "repair": repair.repair,
}


class Checks:
    """A worker. What it opened is closed at the end of the block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._pool: ThreadPoolExecutor | None = None
        self._store: Place | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def work(self, deadline: float) -> int:
        """One piece of the check that is running, if there is one. Returns how many were done. Raises
        MetadataUnavailable.
        """
        check = checks.running(self._database)
        if check is None:
            return 0
        if check.planned_at is None:
            plan(self._database, check)
        piece = pieces.claim(self._database, check.id)
        if piece is not None:
            # It repairs nothing that nobody asked for.
            with told.telling(told.OPERATOR):
                self._take(self._work(check, deadline), piece)
        return end(self._services, check) or int(piece is not None)

    def _work(self, check: Check, deadline: float) -> Work:
        settings = self._services.settings
        if self._pool is None or self._store is None:
            self._pool = ThreadPoolExecutor(_AT_ONCE)
            self._store = StoredObjects(settings.bucket, settings.storage_timeout_seconds, _AT_ONCE)
        return Work(
            check=check,
            database=self._database,
            store=self._store,
            bucket=self._services.bucket,
            pool=self._pool,
            unknown_age=timedelta(seconds=settings.upload_expiry_seconds),
            deadline=deadline,
        )

    def _take(self, work: Work, piece: Piece) -> None:
        try:
            is_over = _STEPS[piece.step](work, piece)
        except PieceLost:
            return
        except TooMuchIsGone as reason:
            checks.stop(self._database, piece.check_id, str(reason))
            _tell(self._services, work.check, "stopped", str(reason))
            return
        except BlobStoreUnavailable as error:
            self._give_up(piece, f"the store could not be asked: {error}")
            return
        except Crowded as error:
            # Others are in the way, or it is more than the database can do in time: it is claimed again.
            if piece.lease < _MOST_CLAIMS:
                raise
            self._give_up(piece, f"the database could not be asked: {error}")
            return
        if is_over:
            pieces.end(self._database, piece)
        else:
            pieces.give_back(self._database, piece)

    def _give_up(self, piece: Piece, reason: str) -> None:
        """What the store, or the database, does not show was not looked at: that is no finding."""
        checks.note_reason(self._database, piece.check_id, reason)
        pieces.end(self._database, piece)
        telemetry.log("ERROR", "a part of a check is given up", check=piece.check_id, step=piece.step, reason=reason)


def end(services: Services, check: Check) -> int:
    """Once no piece is left the check is over, or is to repair. Returns 1 if it is to repair, else 0."""

    def write(session: Session) -> tuple[CheckState | None, str | None]:
        locked = checks.lock(session, check.id)
        if locked is None or locked.planned_at is None or pieces.left(session, check.id):
            return None, None
        if (locked.options.get("repair") or locked.options.get("delete_unknown")) and not locked.counts.get("repairs"):
            session.batch([pieces.adding(check.id, [NewPiece("repair")]), checks.counting(check.id, {"repairs": 1})])
            return "running", None
        state: CheckState = "done" if locked.reason is None else "incomplete"
        looked_at: tuple[Kind, ...] = ()
        if state == "done":
            looked_at = KINDS if locked.options.get("hash") == digests.ALL else ALWAYS_LOOKED_AT
        telling = findings.telling_damage(check.id, check.asked_by or "slipway")
        session.batch([telling, *checks.ending(check.id, state, None, looked_at)])
        return state, locked.reason

    state, reason = services.database.transaction(write)
    if state in ("done", "incomplete"):
        _tell(services, check, state, reason)
    return int(state == "running")


def _tell(services: Services, check: Check, state: CheckState, reason: str | None) -> None:
    found = findings.count_open(services.database)
    damage = sum(number for kind, number in found.items() if kind in DAMAGE)
    severity = "ERROR" if damage or state != "done" else "INFO"
    telemetry.log(
        severity, "a check has ended", check=check.id, state=state, damage=damage, reason=reason, found=found or None
    )
