"""Work on the layouts that are being moved in: one piece after the other, of whatever is to be done next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from functions.migrate.imports import ranges, verification
from functions.migrate.imports.batch import Work, list_batch
from functions.migrate.imports.bulk import Importing, OutOfTime
from functions.migrate.imports.delta import Delta
from functions.migrate.imports.guard import Guard
from functions.migrate.imports.pace import Pace
from functions.migrate.imports.ranges import RangeLost
from functions.migrate.imports.reading import Payloads
from functions.registry import telemetry
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.imports.origin import Blobs, FolderRefused, Origin, open_origin
from functions.registry.imports.throttle import AT_ONCE
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.metadata.imports import claims, sources
from functions.registry.metadata.imports.bulk import last_steps, pieces
from functions.registry.metadata.imports.bulk.pieces import Range
from functions.registry.metadata.imports.claims import Claim, Place, WorkSource
from functions.registry.wiring import Services

# What is listed of all repositories of a batch is in memory at once.
_MOST_OBJECTS: Final = 20_000
# A place is free again that much after the run that took it must be over.
PLACE_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 15.0
_LONGEST_AGAIN_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Opened:
    work: Work
    place: Place
    payloads: Payloads
    pool: ThreadPoolExecutor


class Layouts:
    """A worker: it has a place at each source that it works at, and leaves all of them at the end of the block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database
        self._opened: dict[int, _Opened] = {}
        self._guarded: set[int] = set()
        # Those at which nothing more can be done in this run.
        self._left: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in self._opened.values():
            opened.pool.shutdown(cancel_futures=True)
            claims.leave_place(self._database, opened.place)

    def work(self, deadline: float) -> int:
        """Does one piece for each source that has something to do. Returns how many pieces were done."""
        sources_at_work = [each for each in claims.sources_at_work(self._database) if each.id not in self._left]
        return sum(self._work_at(source, deadline) for source in sources_at_work)

    def _work_at(self, source: WorkSource, deadline: float) -> int:
        try:
            if source.state == "opening":
                return self._begin(source)
            opened = self._open(source)
            return self._piece(opened, deadline) if opened is not None else 0
        except (AccessRefused, FolderRefused) as error:
            # Nothing is lost: whoever resumes it goes on where it stands.
            sources.pause(self._database, source.id, str(error))
            telemetry.log("ERROR", "an import is paused", source=source.id, reason=str(error))
        except BlobStoreUnavailable as error:
            self._left.add(source.id)
            sources.note_waiting(self._database, source.id, str(error))
            telemetry.log("WARNING", "the store of an import is not available", source=source.id, reason=str(error))
        return 0

    def _origin(self, source: WorkSource) -> Origin:
        """Opens the origin, with what guards it, as the mode has it: somebody may have taken it away. Once all was
        handed back nothing does. Raises BucketTaken.
        """
        services = self._services
        origin = open_origin(services.settings, source.id, source.address, source.prefix)
        if source.prefix is not None and source.id not in self._guarded:
            guard = Guard(self._database, origin.place, services.bucket, source.prefix, source.mark)
            if sources.is_handed_back(self._database, source.id):
                guard.take_down()
            else:
                guard.put_up(leads=source.mode == "lead")
            self._guarded.add(source.id)
        return origin

    def _begin(self, source: WorkSource) -> int:
        self._origin(source)
        if not sources.begin_listing(self._database, source.id):
            return 0
        # Blobs that lie elsewhere become ours one by one, as they are needed.
        trees = ["blobs", "repositories"] if source.prefix is not None else ["repositories"]
        pieces.add_whole(self._database, source.id, trees)
        return 1

    def _open(self, source: WorkSource) -> _Opened | None:
        """Returns what this worker has for the source, as that stands now; None if it has all the workers that it may
        have.
        """
        if (opened := self._opened.get(source.id)) is not None:
            return replace(opened, work=replace(opened.work, source=source))
        origin = self._origin(source)
        place = claims.take_place(self._database, source.id, PLACE_SECONDS)
        if place is None:
            return None
        pool = ThreadPoolExecutor(AT_ONCE)
        work = Work(
            source=source,
            origin=origin,
            blobs=Blobs(origin, self._database, self._services.bucket, pool),
            database=self._database,
            pool=pool,
            pace=Pace(self._database),
            largest_manifest_bytes=self._services.settings.largest_manifest_bytes,
        )
        self._opened[source.id] = _Opened(work, place, Payloads(work), pool)
        return self._opened[source.id]

    def _take(self, work: Work, piece: Range, deadline: float) -> None:
        bucket = self._services.bucket
        match piece.tree:
            case "verification":
                _list(work, piece, lambda: verification.verify(work, piece, deadline))
            case "rehash":
                _list(work, piece, lambda: verification.rehash(work, bucket, piece, deadline))
            case _:
                _list(work, piece, lambda: ranges.list_range(work, piece, deadline))

    def _piece(self, opened: _Opened, deadline: float) -> int:
        """Lists a range; once all names are known, some repositories."""
        source = opened.work.source
        if (piece := pieces.claim_range(self._database, source.id)) is not None:
            self._take(opened.work, piece, deadline)
            return 1
        if not source.is_listed:
            return 0
        if source.is_asked_again and pieces.begin_again(self._database, source.id):
            return 1
        claimed = claims.claim(self._database, source.id, opened.work.pace.repositories, _MOST_OBJECTS)
        if claimed:
            _import(opened, claimed, deadline)
        return len(claimed)


def _list(work: Work, piece: Range, go_on: Callable[[], bool]) -> None:
    """`go_on` tells whether it came to the piece's end."""
    try:
        if go_on():
            pieces.end_range(work.database, piece)
        else:
            pieces.return_range(work.database, piece, 0)
    except RangeLost:
        return
    except (BlobStoreUnavailable, MetadataUnavailable) as error:
        pieces.return_range(work.database, piece, _patience(error), str(error))
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, nobody else is to wait for it
        pieces.return_range(work.database, piece, _later(piece.attempts), f"{type(error).__name__}: {error}")
        telemetry.log_exception("a part of a source can't be listed", error, source=piece.source_id, start=piece.start)


def _patience(error: Exception) -> float:
    """Returns how long to wait, in seconds: what is paused goes on as soon as it is resumed."""
    return 0 if isinstance(error, AccessRefused) else _AGAIN_SECONDS


def _later(attempts: int) -> float:
    """Returns how long to wait, in seconds: twice as long after each attempt."""
    return min(_AGAIN_SECONDS * 2.0 ** min(attempts, 20), _LONGEST_AGAIN_SECONDS)


def _import(opened: _Opened, claimed: Sequence[Claim], deadline: float) -> None:
    """One that fails keeps no other: they are gone through one by one, and it comes up again, later each time."""
    work = opened.work
    try:
        _import_together(opened, claimed, deadline)
    except OutOfTime:
        claims.put_off(work.database, claimed, 0)
    except (BlobStoreUnavailable, MetadataUnavailable) as error:
        claims.put_off(work.database, claimed, _patience(error), str(error))
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the others are not to wait for it
        if len(claimed) > 1:
            for claim in claimed:
                _import(opened, [claim], deadline)
            return
        (claim,) = claimed
        claims.put_off(work.database, claimed, _later(claim.attempts), f"{type(error).__name__}: {error}")
        telemetry.log_exception("a repository can't be imported", error, source=work.source.id, path=claim.path)


def _import_together(opened: _Opened, claimed: Sequence[Claim], deadline: float) -> None:
    batch = list_batch(opened.work, claimed)
    first = batch.part(lambda member: member.claim.state == "importing")
    last_steps.end_empty(opened.work.database, first.take_empty())
    if first.members:
        Importing(first, opened.payloads, deadline).run()
    later = batch.part(lambda member: member.claim.state == "imported")
    if later.members:
        Delta(later, opened.payloads, deadline).run()
    if time.monotonic() > deadline:
        raise OutOfTime
