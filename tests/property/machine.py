"""The machine: beside what clients push, they delete, time passes, collectors run, and processes die."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from hypothesis import strategies as st

from functions.registry.oci.digest import Digest
from tests.property import model
from tests.property.chances import (
    COLLECTORS,
    CONTENT,
    GC_POINT,
    HOURS,
    PUSH_POINT,
    REPOSITORY,
    TAG,
    TAG_OR_NONE,
    WAY,
)
from tests.property.client import Way
from tests.property.interruption import Crash, Point, crash, interrupted
from tests.property.model import TAGS, Document
from tests.property.pushing import PushingMachine
from tests.property.running import step

# How long a request that a GC run holds up is waited for before garbage collection goes on.
_BLOCKED_SECONDS: Final = 0.05


class Machine(PushingMachine):
    """All that a registry lives through."""

    documents = PushingMachine.documents

    # Deletions.

    @step(repository=REPOSITORY, tag=TAG)
    def delete_tag(self, repository: str, tag: str) -> None:
        self._delete_tag(repository, tag)

    def _delete_tag(self, repository: str, tag: str) -> None:
        is_there = self.model.tags.pop((repository, tag), None) is not None
        assert self.client.delete(f"/v2/{repository}/manifests/{tag}") == (202 if is_there else 404)

    @step(repository=REPOSITORY, hours=HOURS)
    def delete_all_tags(self, repository: str, hours: float) -> None:
        """So that there is more garbage than the other rules make."""
        for tag in TAGS:
            self._delete_tag(repository, tag)
        self._collect_after(hours)

    @step(repository=REPOSITORY, document=documents, hours=HOURS)
    def delete_manifest(self, repository: str, document: Document, hours: float) -> None:
        status = self.client.delete(f"/v2/{repository}/manifests/{document.digest}")
        if (repository, document) not in self.model.manifests:
            assert status == 404
        elif self.model.is_listed(repository, document):
            assert status == 405
        else:
            assert status == 202
            self.model.delete_manifest(repository, document)
        self._collect_after(hours)

    @step(repository=REPOSITORY, content=CONTENT)
    def delete_blob(self, repository: str, content: bytes) -> None:
        digest = Digest.of(content)
        status = self.client.delete(f"/v2/{repository}/blobs/{digest}")
        if (repository, digest) not in self.model.links:
            assert status == 404
        elif self.model.is_named(repository, digest):
            assert status == 405
        else:
            assert status == 202
            self.model.delete_link(repository, digest)

    # Whole repositories.

    @step(repository=REPOSITORY, is_deleted=st.sampled_from([False, False, True]))
    def swap_or_delete(self, repository: str, *, is_deleted: bool) -> None:
        """The two change their names, or, seldom, for it leaves little to others, one goes with all that it holds."""
        if is_deleted:
            assert self.client.delete(f"/api/v1/repositories/{repository}") == 200
            self.backstage.make_again(repository)
            self.model.delete_repository(repository)
        else:
            self.backstage.swap()
            self.model.swap()

    # Time, and what it brings.

    @step(hours=HOURS)
    def wait(self, hours: float) -> None:
        self._wait(hours)

    @step()
    def check(self) -> None:
        """Rows and objects belong together at every moment."""
        assert self.backstage.check() == []

    @step(hours=HOURS, collectors=COLLECTORS)
    def collect(self, hours: float, collectors: int) -> None:
        self._wait(hours)
        self._others_come_in()
        self.backstage.collect(collectors)

    @step(
        hours=HOURS,
        collectors=COLLECTORS,
        repository=REPOSITORY,
        document=documents,
        tag=TAG_OR_NONE,
    )
    def push_during_gc(
        self, hours: float, collectors: int, repository: str, document: Document, tag: str | None
    ) -> None:
        self._wait(hours)
        self._others_come_in()
        with self.backstage.collecting(collectors):
            self.client.push(repository, document, tag, Way.CHECKING)

    @step(
        hours=HOURS,
        point=PUSH_POINT,
        repository=REPOSITORY,
        document=documents,
        tag=TAG_OR_NONE,
        way=WAY,
    )
    def collect_during_push(
        self, hours: float, point: Point, repository: str, document: Document, tag: str | None, way: Way
    ) -> None:
        self._wait(hours)
        self._others_come_in()
        with interrupted(point, self.backstage.collect):
            self.client.push(repository, document, tag, way)

    @step(
        hours=HOURS,
        point=GC_POINT,
        repository=REPOSITORY,
        document=documents,
        tag=TAG_OR_NONE,
    )
    def push_between_steps_of_gc(
        self, hours: float, point: Point, repository: str, document: Document, tag: str | None
    ) -> None:
        """If it is held up by garbage collection's locks, garbage collection goes on, and then it does."""
        self._wait(hours)
        self._others_come_in()
        with ThreadPoolExecutor(1) as pool:
            pushes = []

            def push() -> None:
                pushes.append(pool.submit(self.client.push, repository, document, tag, Way.CHECKING))
                wait(pushes, _BLOCKED_SECONDS)

            with interrupted(point, push):
                self.backstage.collect()
        for finished in pushes:
            finished.result()

    # Crashes.

    @step(
        point=PUSH_POINT,
        repository=REPOSITORY,
        document=documents,
        tag=TAG_OR_NONE,
        way=WAY,
    )
    def crash_in_push(self, point: Point, repository: str, document: Document, tag: str | None, way: Way) -> None:
        try:
            with interrupted(point, crash):
                self.client.push(repository, document, tag, way)
        except Crash:
            self.model.adopt(self.backstage.observe(), repository, document, tag)

    @step(hours=HOURS, point=GC_POINT, collectors=COLLECTORS)
    def crash_in_gc(self, hours: float, point: Point, collectors: int) -> None:
        self._wait(hours)
        self._others_come_in()
        try:
            with interrupted(point, crash):
                self.backstage.collect(collectors)
        except Crash:
            return

    # Settings.

    @step(repository=REPOSITORY, keeps=st.sampled_from([False, False, True]))
    def keep_untagged(self, repository: str, *, keeps: bool) -> None:
        self.backstage.keep_untagged(repository, keeps=keeps)
        (self.model.keeping.add if keeps else self.model.keeping.discard)(repository)

    @step(event=st.sampled_from(sorted(model.DEFAULT_GRACE)), hours=st.sampled_from([2.0, 12.0, 24.0, 48.0]))
    def change_grace(self, event: str, hours: float) -> None:
        self.backstage.change_grace(event, hours)
        self.model.grace[event] = hours
        self.model.grace_changed()

    @step(repository=REPOSITORY, hours=st.sampled_from([None, 2.0, 2.0, 48.0]))
    def change_own_grace(self, repository: str, hours: float | None) -> None:
        self.backstage.change_own_grace(repository, hours)
        self.model.own_grace.pop(repository, None)
        if hours is not None:
            self.model.own_grace[repository] = hours
        self.model.grace_changed()
