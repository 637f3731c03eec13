"""A worker's share of a copy: the catalog page by page, then one repository after the other, until the time is over."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
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
from functions.migrate.imports.remote.sign_in import Credentials
from functions.registry import telemetry
from functions.registry.auth.sealing import Seal, SealBroken
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import ChangeRefused, MetadataUnavailable
from functions.registry.metadata.imports import claims, passes, problems, sources
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.copied_tags import Overtaken
from functions.registry.metadata.imports.passes import Named, Travelled
from functions.registry.metadata.imports.vocabulary import Problem, Source
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services

# What the credentials of a source are sealed for.
SEALED_FOR: Final = "import credentials"
# A repository that could not be copied is tried again after so long, and longer each time it can't.
_FIRST_PAUSE_SECONDS: Final = 15.0
_LONGEST_PAUSE_SECONDS: Final = 900.0
# Less than this is not worth beginning a repository in.
_LEAST_SECONDS: Final = 5.0
_WHOLE: Final = 1 << 62


class RemoteWork:
    """Of one source, in one process."""

    def __init__(self, services: Services, source: Source, until: float) -> None:
        """Until then, by the monotonic clock."""
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
        """Whether there was anything to do. A registry that lets nobody in pauses its source, with the reason."""
        try:
            return self._list() | self._copy()
        except RemoteRefused as error:
            sources.pause(self._services.database, self._source.id, str(error))
            telemetry.log("WARNING", "import is paused", source=self._source.id, reason=str(error))
            return False
        except (RemoteUnavailable, AnswerInvalid) as error:
            telemetry.log("WARNING", "import waits", source=self._source.id, reason=str(error))
            return False
        finally:
            self._remote.close()

    def _list(self) -> bool:
        """The catalog's names, or those that were given; True if any are new."""
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
        """What each is called here, and those that can't be."""
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
        """Repositories, one after the other; True if there was one."""
        is_any = False
        while time.monotonic() < self._until - _LEAST_SECONDS:
            claimed = claims.claim(self._services.database, self._source.id, limit=1, objects=_WHOLE)
            if not claimed:
                return is_any
            is_any = True
            self._copy_one(claimed[0])
        return is_any

    def _copy_one(self, claim: Claim) -> None:
        database, source_id = self._services.database, self._source.id
        begun = passes.begin(database, claim)
        if begun is None:
            return
        place = Place(source_id, claim.path, RepositoryName(claim.name))
        keeping = Keeping(
            begun.cursor,
            lambda cursor: passes.save(database, claim, cursor),
            lambda problem: _note(self._services, source_id, problem),
        )
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
            claims.put_off(database, [claim], _pause(begun.attempts), f"{error}"[:1000])
        else:
            passes.finish(database, source_id, claim, passed.tags, _travelled(passed))
            return
        passes.count(database, source_id, _travelled(passing.passed))

    @property
    def _page_size(self) -> int:
        return int(self._options.get("page_size") or lists.PAGE_SIZE)


def seal(services: Services, credentials: Credentials) -> str:
    """What of them is kept in the database."""
    content = json.dumps([credentials.username, credentials.secret]).encode()
    return Seal(services.settings.pepper).close(content, SEALED_FOR)


def _credentials(services: Services, options: Mapping[str, Any]) -> Credentials:
    sealed = options.get("credentials")
    if not sealed:
        return Credentials()
    try:
        username, secret = json.loads(Seal(services.settings.pepper).open(sealed, SEALED_FOR))
    except SealBroken as error:
        raise RemoteRefused("the name and the secret can't be read any more: give them again") from error
    return Credentials(username, secret)


def _pause(attempts: int) -> float:
    return min(_FIRST_PAUSE_SECONDS * 1.5 ** min(attempts, 12), _LONGEST_PAUSE_SECONDS)


def _note(services: Services, source_id: int, problem: Problem) -> None:
    services.database.batch(problems.noting(source_id, [problem]))


def _travelled(passed: Passed) -> Travelled:
    copied = passed.copied
    return Travelled(copied.manifests, copied.blobs, copied.bytes, passed.changed)
