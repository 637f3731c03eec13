"""The registry seen from within: its rows, its objects, its clock and its collectors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from unittest import mock

import requests

from functions.gc import run as gc_run
from functions.migrate.checks import objects
from functions.migrate.checks.work import Checks
from functions.registry import telemetry
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.findings import Finding
from functions.registry.metadata.content import moves, repositories
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.kept_rows import put_back
from tests.metadata.build import pass_time
from tests.property.model import REPOSITORIES, Observed
from tests.support import Registry

_OBSERVE: Final = (
    "SELECT name, digest FROM manifests JOIN repositories ON repositories.id = repository_id",
    """
    SELECT repositories.name, tags.name, manifests.digest
      FROM tags JOIN manifests ON manifests.id = manifest_id JOIN repositories ON repositories.id = tags.repository_id
    """,
    """
    SELECT name, digest, object_name
      FROM repository_blobs JOIN blobs USING (digest) JOIN repositories ON repositories.id = repository_id
    """,
    """
    SELECT object_name FROM blobs
     UNION ALL SELECT object_name FROM upload_objects
     UNION ALL SELECT object_name FROM deletions
    """,
)
_QUEUES: Final = """
    SELECT (SELECT count(*) FROM manifest_reviews) + (SELECT count(*) FROM link_reviews)
         + (SELECT count(*) FROM blob_reviews) + (SELECT count(*) FROM deletions)
         + (SELECT count(*) FROM uploads) + (SELECT count(*) FROM upload_objects)
"""
_PARKED: Final = RepositoryName("two/parked")
# Longer than any grace and any wait before another attempt.
_LONG_HOURS: Final = 100.0
# The longest chain of documents goes in fewer.
_MOST_ROUNDS: Final = 40
# Small, so that several collectors have something to do at once.
_BATCH: Final = 2


class Backstage:
    """`troubles` are the errors that a GC run met and went around: there must be none."""

    def __init__(self, registry: Registry, storage_address: str) -> None:
        self.services = registry.services
        self.troubles: list[BaseException] = []
        self._connection = Connection(self.services.settings.database)
        self._store = requests.Session()
        self._listing = f"{storage_address}/storage/v1/b/{self.services.settings.bucket}/o"

    def close(self) -> None:
        self._connection.close()
        self._store.close()

    def reset(self) -> None:
        """The database is as new, but for the repositories."""
        self.troubles.clear()
        put_back(self._connection, "empty")
        for name in REPOSITORIES:
            self.services.database.batch(repositories.creating(RepositoryName(name)))

    def swap(self) -> None:
        """Exchanges two names by way of a third, in another namespace."""
        first, second = map(RepositoryName, REPOSITORIES)
        for old, new in ((first, _PARKED), (second, first), (_PARKED, second)):
            moves.move(self.services.database, old, new, with_below=True, dry_run=False)

    def make_again(self, repository: str) -> None:
        self.services.database.batch(repositories.creating(RepositoryName(repository)))

    def keep_untagged(self, repository: str, *, keeps: bool) -> None:
        self._run("UPDATE repositories SET keep_untagged = :keeps WHERE name = :name", keeps=keeps, name=repository)

    def change_grace(self, event: str, hours: float) -> None:
        self._run(
            "UPDATE gc_settings SET grace = :hours * interval '1 hour' WHERE event = :event", hours=hours, event=event
        )

    def change_own_grace(self, repository: str, hours: float | None) -> None:
        sql = "UPDATE repositories SET grace = CAST(:hours AS float) * interval '1 hour' WHERE name = :name"
        self._run(sql, hours=hours, name=repository)

    def _run(self, sql: str, **values: object) -> None:
        self._connection.run([(sql, values)])

    def observe(self) -> Observed:
        manifests, tags, links, known = (it.rows for it in self._connection.run([(sql, {}) for sql in _OBSERVE]))
        return Observed(
            manifests={(name, Digest.from_bytes(digest)) for name, digest in manifests},
            tags={(name, tag): Digest.from_bytes(digest) for name, tag, digest in tags},
            links={(name, Digest.from_bytes(digest)): object_name for name, digest, object_name in links},
            known={object_name for (object_name,) in known},
        )

    def objects(self) -> set[str]:
        """All that lies in the bucket."""
        names: set[str] = set()
        page: dict[str, str] = {}
        while True:
            answer = self._store.get(self._listing, params={"fields": "items(name),nextPageToken", **page}).json()
            names |= {entry["name"] for entry in answer.get("items", [])}
            if "nextPageToken" not in answer:
                return names
            page = {"pageToken": answer["nextPageToken"]}

    def pass_time(self, hours: float) -> None:
        pass_time(self.services.database, hours)

    def collect(self, collectors: int = 1) -> None:
        """So many at once, in small batches."""
        with self.collecting(collectors):
            pass

    @contextmanager
    def collecting(self, collectors: int) -> Iterator[None]:
        """Meanwhile others may do what they like; in the end all is collected that was due."""
        with mock.patch.object(gc_run, "BATCH", _BATCH), ThreadPoolExecutor(collectors) as pool:
            runs = [pool.submit(gc_run.run, self.services) for _ in range(collectors)]
            yield
        for finished in runs:
            finished.result()

    def check(self) -> list[Finding]:
        """What a check finds, for which whatever no row names is old enough to be garbage."""
        database = self.services.database
        with mock.patch.object(objects, "_LATE", -timedelta(days=2)), Checks(self.services) as checking:
            checks.start(database, "tester", {"hash": 100})
            while checking.work(time.monotonic() + 60):
                pass
        assert checks.running(database) is None
        return findings.list_open(database, None, 0, 100)

    def settle(self) -> None:
        """Collects until nothing waits for anything, however long that takes."""
        for _ in range(_MOST_ROUNDS):
            self.pass_time(_LONG_HOURS)
            while any(gc_run.run(self.services).values()):
                pass
            ((waiting,),) = self._connection.run([(_QUEUES, {})])[0].rows
            if not waiting:
                return
        raise AssertionError(f"{waiting} rows still wait in the queues")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Logs are not written; the errors among them are kept."""

        def nothing(*_: object, **__: object) -> None:
            return

        def trouble(_: str, error: BaseException, **__: object) -> None:
            self.troubles.append(error)

        with (
            mock.patch.object(telemetry, "log", nothing),
            mock.patch.object(telemetry, "log_exception", trouble),
        ):
            yield
