"""A worker's share of a copy: the catalog page by page, then one repository after the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from functions.migrate.imports.remote import lists
from functions.migrate.imports.remote.blobs import Place
from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import (
    AnswerInvalid,
    RemoteMissing,
    RemoteRefused,
    RemoteResting,
    RemoteUnavailable,
    TimeOver,
)
from functions.migrate.imports.remote.rate import Rate
from functions.migrate.imports.remote.repository import Choices, Keeping, Passed, RepositoryPass
from functions.registry import telemetry
from functions.registry.auth import source_credentials
from functions.registry.auth.source_credentials import Credentials, CredentialsLost
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import ChangeRefused, MetadataUnavailable
from functions.registry.metadata.imports import claims, problems, sources
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.remote import passes
from functions.registry.metadata.imports.remote.copied_tags import Overtaken
from functions.registry.metadata.imports.remote.passes import Named, Travelled
from functions.registry.metadata.imports.vocabulary import Problem, Source
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services

# A repository that could not be copied is tried again after so long, and longer each time it can't.
_FIRST_PAUSE_SECONDS: Final = 15.0
_LONGEST_PAUSE_SECONDS: Final = 900.0
# Less than this is not worth beginning a repository in.
_LEAST_SECONDS: Final = 5.0
# A place is free again that much after the run that took it must be over.
PLACE_SECONDS: Final = 300.0
_WHOLE: Final = 1 << 62


class Remotes:
    """A worker: it has a place at each registry that it copies from, and leaves all of them at the end of the block."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._places: dict[int, claims.Place] = {}
        # Those at which nothing more can be done in this run.
        self._left: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._places.values():
            claims.leave_place(self._services.database, place)

    def work(self, deadline: float) -> int:
        """Does one piece for each registry that has something to do. Returns how many pieces were done."""
        ids = [each for each in passes.sources_at_work(self._services.database) if each not in self._left]
        return sum(self._work_at(source_id, deadline) for source_id in ids)

    def _work_at(self, source_id: int, deadline: float) -> int:
        database = self._services.database
        source = sources.get(database, source_id)
        if source_id not in self._places and (place := claims.take_place(database, source_id, PLACE_SECONDS)):
            self._places[source_id] = place
        is_any = source is not None and source_id in self._places and RemoteWork(self._services, source, deadline).run()
        if not is_any:
            self._left.add(source_id)
        return int(is_any)


class RemoteWork:
    """Of one source, in one process, until `until`, by the monotonic clock."""

    def __init__(self, services: Services, source: Source, until: float) -> None:
        self._services, self._source, self._until = services, source, until
        self._options = passes.options(services.database, source.id)
        host = urlsplit(source.address).hostname or ""
        rate = Rate(host, float(self._options.get("rate") or 0) / source.workers)
        self._remote = Remote(
            source.address,
            _credentials(services, self._options),
            rate,
            until=until,
            private_hosts=services.settings.private_sources,
        )

    def run(self) -> bool:
        """Does one repository; True if there was anything to do.

        A registry that lets nobody in pauses its source, with the reason.
        """
        try:
            return self._list() | self._copy()
        except RemoteRefused as error:
            sources.pause(self._services.database, self._source.id, str(error))
            telemetry.log("WARNING", "import is paused", source=self._source.id, reason=str(error))
            return False
        except (RemoteUnavailable, AnswerInvalid) as error:
            sources.note_waiting(self._services.database, self._source.id, str(error))
            telemetry.log("WARNING", "import waits", source=self._source.id, reason=str(error))
            return False
        finally:
            self._remote.close()

    def _list(self) -> bool:
        """Takes the catalog's names, or those that were given; True if any are new."""
        database, source_id = self._services.database, self._source.id
        if self._source.state == "opening":
            sources.begin_listing(database, source_id)
        elif self._source.state != "listing":
            return False
        given = self._options.get("repositories")
        if given:
            return passes.take_page(database, source_id, *self._named(given), None) > 0
        path = passes.next_page(database, source_id) or lists.catalog_path(self._page_size)
        try:
            for names, then in lists.catalog_pages(self._remote, path):
                passes.take_page(database, source_id, *self._named(names), then)
        except RemoteMissing as error:
            raise RemoteRefused("the registry has no catalog: name its repositories") from error
        return True

    def _named(self, paths: list[str]) -> tuple[list[Named], list[Problem]]:
        """Returns what each is called here, and those that can't be."""
        renames: Mapping[str, str] = self._options.get("renames") or {}
        named, refused = [], []
        for path in sorted(set(paths)):
            try:
                named.append(Named(path, RepositoryName.parse(renames.get(path, path))))
            except NameInvalid as error:
                shown = ascii(path)[1:-1][:300]
                named.append(Named(shown, None))
                refused.append(Problem(shown, "repository", shown, "name", error.reason or ""))
        return named, refused

    def _copy(self) -> bool:
        """Copies a repository; False if there is none, or no time for it."""
        if time.monotonic() > self._until - _LEAST_SECONDS:
            return False
        claimed = claims.claim(self._services.database, self._source.id, limit=1, objects=_WHOLE)
        for claim in claimed:
            self._copy_one(claim)
        return bool(claimed)

    def _copy_one(self, claim: Claim) -> None:
        database, source_id = self._services.database, self._source.id
        cursor = passes.begin(database, claim)
        if cursor is None:
            return
        place = Place(source_id, claim.path, RepositoryName(claim.name))
        seen: set[tuple[str, str]] = set()

        def note(problem: Problem) -> None:
            seen.add((problem.kind, problem.key))
            database.batch(problems.noting(source_id, [problem]))

        keeping = Keeping(cursor, lambda cursor: passes.save(database, claim, cursor), note)
        choices = Choices(bool(self._options.get("keeps_deleted")), self._page_size)
        passing = RepositoryPass(self._services, self._remote, place, claim, choices, keeping)
        try:
            passed = passing.run()
        except Overtaken:
            return
        except TimeOver:
            claims.put_off(database, [claim], 0)
        except RemoteResting as resting:
            claims.put_off(database, [claim], resting.seconds, str(resting))
            raise
        except RemoteRefused:
            claims.put_off(database, [claim], 0)
            raise
        except (RemoteUnavailable, AnswerInvalid, ChangeRefused, BlobStoreUnavailable, MetadataUnavailable) as error:
            claims.put_off(database, [claim], _pause(claim.attempts), f"{error}"[:1000])
        else:
            is_whole = not cursor
            passes.finish(database, source_id, claim, passed.tags, _travelled(passed), seen if is_whole else None)
            return
        passes.count(database, source_id, _travelled(passing.passed))

    @property
    def _page_size(self) -> int:
        return int(self._options.get("page_size") or lists.PAGE_SIZE)


def _credentials(services: Services, options: Mapping[str, Any]) -> Credentials:
    try:
        return source_credentials.opened(services.settings.pepper, options.get("credentials"))
    except CredentialsLost as error:
        raise RemoteRefused("the name and the secret can't be read any more: give them again") from error


def _pause(attempts: int) -> float:
    return min(_FIRST_PAUSE_SECONDS * 1.5 ** min(attempts, 12), _LONGEST_PAUSE_SECONDS)


def _travelled(passed: Passed) -> Travelled:
    copied = passed.copied
    return Travelled(copied.manifests, copied.blobs, copied.bytes, passed.changed)
