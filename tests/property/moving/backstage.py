"""The new registry seen from within, and the workers that move an older one in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Final

from functions.migrate.imports.layouts import Layouts
from functions.migrate.imports.seal import Sealing
from functions.registry import told
from functions.registry.blobs.objects import StoredObjects
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import Mode
from functions.registry.oci.digest import Digest
from tests.imports.truth import ROOT
from tests.kept_rows import put_back
from tests.property.moving.model import Key
from tests.property.moving.stopping import being_others
from tests.property.observation import Backstage

# Where a worker that stands still keeps others waiting, it goes on, and then they do.
_BLOCKED_SECONDS: Final = 0.05
_MOST_AT_ONCE: Final = 100
_WORK_SECONDS: Final = 60.0
_HOUR: Final = 3600

# Whoever was killed or sleeps has lost what it had claimed.
_LATER: Final = """
    UPDATE import_repositories
       SET lease_until = lease_until - interval '1 hour', due_at = due_at - interval '1 hour'
     WHERE lease_until > now() OR due_at > now();
    UPDATE import_ranges SET lease_until = lease_until - interval '1 hour' WHERE lease_until > now();
    UPDATE import_places SET lease_until = lease_until - interval '1 hour' WHERE lease_until > now();
"""
_NO_GRACE: Final = "UPDATE gc_settings SET grace = '0'"
_TAGS: Final = """
    SELECT repositories.name, tags.name, manifests.digest, tags.updated_at
      FROM tags JOIN manifests ON manifests.id = manifest_id JOIN repositories ON repositories.id = tags.repository_id
"""
_CONTENTS: Final = (
    _TAGS,
    "SELECT repository_id, digest FROM manifests ORDER BY 1, 2",
    "SELECT repository_id, digest, object_name FROM repository_blobs JOIN blobs USING (digest) ORDER BY 1, 2",
    "SELECT import_id, name, digest, state FROM import_tags ORDER BY 1, 2",
    "SELECT id, state FROM import_repositories ORDER BY 1",
    "SELECT repository, tag, digest FROM import_deleted ORDER BY 1, 2, 3",
    "SELECT state, listed_at IS NULL FROM import_sources",
)
_BUSY: Final = """
    SELECT (SELECT count(*) FROM import_ranges)
         + (SELECT count(*) FROM import_repositories WHERE due_at IS NOT NULL OR state IN ('listed', 'importing'))
         + (SELECT count(*) FROM import_sources WHERE state <> 'open' OR options ? 'again')
"""


class MovingBackstage(Backstage):
    """Of a registry into whose bucket an older one is moved."""

    source_id = 0

    def begin(self, mode: Mode) -> None:
        """The database and the bucket are empty, and the source that lies there is opened."""
        self.troubles.clear()
        put_back(self._connection, "empty")
        self._connection.simple(_NO_GRACE)
        left = sorted(self.objects())
        for first in range(0, len(left), _MOST_AT_ONCE):
            self.services.bucket.delete_all(left[first : first + _MOST_AT_ONCE])
        database = self.services.database
        new = NewSource("layout", f"gs://{self.services.settings.bucket}", ROOT, workers=8)
        self.source_id = sources.add(database, new).id
        self.decide(mode)

    def decide(self, mode: Mode) -> None:
        sources.set_mode(self.services.database, self.source_id, mode)
        self.know()

    def know(self) -> None:
        """Processes that serve requests have asked by now which sources there are."""
        self.services.imports.sources._ask_at = 0.0

    def tags(self) -> dict[Key, tuple[Digest, Any]]:
        """What each names by the rows, and since when."""
        rows = self._connection.run([(_TAGS, {})])[0].rows
        return {(name, tag): (Digest.from_bytes(digest), at) for name, tag, digest, at in rows}

    def contents(self) -> object:
        """All that may be pulled by the rows, and what is known of the source."""
        return [outcome.rows for outcome in self._connection.run([(sql, {}) for sql in _CONTENTS])]

    def is_busy(self) -> bool:
        """Somebody has something to list, to import or to compare."""
        ((count,),) = self._connection.run([(_BUSY, {})])[0].rows
        return bool(count)

    def deleted_tags(self) -> set[Key]:
        """Those that are remembered as deleted here."""
        sql = "SELECT repository, tag FROM import_deleted WHERE tag <> ''"
        return {(name, tag) for name, tag in self._connection.run([(sql, {})])[0].rows}

    def states(self) -> dict[str, str]:
        sql = "SELECT name, state FROM import_repositories WHERE name IS NOT NULL"
        return dict(self._connection.run([(sql, {})])[0].rows)

    def work(self, most: int = 1000) -> int:
        """A worker, for at most so many pieces. Returns how many it did."""
        done = 0
        with told.telling(told.IMPORT), Layouts(self.services) as layouts:
            while done < most and layouts.work(time.monotonic() + _WORK_SECONDS):
                done += 1
        return done

    def pass_lease(self) -> None:
        """Lets as much time go by as a claim lasts, and nobody notices."""
        self._connection.simple(_LATER)

    def seal(self) -> None:
        place = StoredObjects(self.services.settings.bucket, 10)
        Sealing(self.services.database, place).seal(self.source_id)

    @contextmanager
    def others(self) -> Iterator[Others]:
        """Those who act while a worker stands still. In the end they are waited for."""
        with ThreadPoolExecutor(1) as pool:
            others = Others(pool)
            yield others
            others.end()


class Others:
    """Other processes, on a thread of their own. What they wait for longer than a moment they get later."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._acts: list[Any] = []

    def act(self, what: Any) -> None:
        def apart() -> None:
            with being_others():
                what()

        self._acts.append(self._pool.submit(apart))
        wait(self._acts, _BLOCKED_SECONDS)

    def end(self) -> None:
        for act in self._acts:
            act.result()
