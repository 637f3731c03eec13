"""The machine's foundation: what must hold after each step; and the rules by which clients push."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
)

from functions.registry.oci.digest import Digest
from tests.property import model
from tests.property.chances import (
    CONFIG,
    CONTENT,
    HOURS,
    REPOSITORY,
    TAG,
    TAG_OR_NONE,
    WAY,
)
from tests.property.client import CHUNK, Client, Upload, Way
from tests.property.inspection import Inspection
from tests.property.model import IMAGES, Document, Model
from tests.property.observation import Backstage
from tests.property.running import step
from tests.support import Registry


class PushingMachine(RuleBasedStateMachine):
    """`registry` and `backstage` are those of the test that runs it."""

    registry: Registry
    backstage: Backstage
    is_sound = False

    documents = Bundle("documents")
    begun = Bundle("begun")
    uploads = Bundle("uploads")

    @initialize(target=documents)
    def start(self) -> Any:
        self.backstage.reset()
        self.model = Model()
        self.client = Client(self.registry, self.model)
        self.inspection = Inspection(self.registry, self.backstage, self.model)
        self.held_before: set[tuple[str, Document]] | None = None
        return multiple(*IMAGES)

    @invariant()
    def nothing_is_lost(self) -> None:
        self.inspection.nothing_is_lost(self.held_before)
        self.held_before = None
        self.client.is_alone = True
        self.is_sound = True

    def teardown(self) -> None:
        if self.is_sound:
            self.inspection.nothing_is_left_over()

    def _wait(self, hours: float) -> None:
        self.backstage.pass_time(hours)
        self.model.now += hours

    def _collect_after(self, hours: float, collectors: int = 1) -> None:
        self._wait(hours)
        self._others_come_in()
        self.backstage.collect(collectors)

    def _others_come_in(self) -> None:
        self.client.is_alone = False
        self.held_before = self.model.held_manifests()

    # Pushes.

    @step(repository=REPOSITORY, document=documents, tag=TAG_OR_NONE, way=WAY)
    def push(self, repository: str, document: Document, tag: str | None, way: Way) -> None:
        self.client.push(repository, document, tag, way)

    @step(
        target=documents,
        repository=REPOSITORY,
        children=st.lists(documents, min_size=1, max_size=3),
        subject=st.none() | documents,
        tag=TAG_OR_NONE,
    )
    def push_index(
        self, repository: str, children: list[Document], subject: Document | None, tag: str | None
    ) -> Document:
        document = model.index(children, subject)
        self.client.push(repository, document, tag, Way.CHECKING)
        return document

    @step(
        target=documents,
        repository=REPOSITORY,
        subject=documents,
        config=CONFIG,
        tag=TAG_OR_NONE,
        way=WAY,
    )
    def refer(self, repository: str, subject: Document, config: int, tag: str | None, way: Way) -> Document:
        """Pushes a referrer, whether or not the subject was pushed."""
        document = model.referrer(subject, config)
        self.client.push(repository, document, tag, way)
        return document

    @step(target=begun, repository=REPOSITORY, document=documents, way=WAY)
    def begin_push(self, repository: str, document: Document, way: Way) -> tuple[str, Document]:
        self.client.push_parts(repository, document, way)
        return repository, document

    @step(push=consumes(begun), tag=TAG_OR_NONE)
    def finish_push(self, push: tuple[str, Document], tag: str | None) -> None:
        """It works if what was confirmed then is there still: for so long it must be, the inspection sees to that."""
        self.client.put(*push, tag)

    @step(waiting=HOURS, working=HOURS, repository=REPOSITORY, document=documents, tag=TAG_OR_NONE)
    def push_slowly(self, waiting: float, working: float, repository: str, document: Document, tag: str | None) -> None:
        """What it found there in the beginning is there in the end."""
        self._wait(waiting)
        self.client.push_parts(repository, document, Way.CHECKING)
        self._collect_after(working)
        is_promised = self.model.is_promised_whole(repository, document)
        assert self.client.put(repository, document, tag) or not is_promised, "what was confirmed is gone"

    @step(repository=REPOSITORY, document=documents, tag=TAG)
    def tag_alone(self, repository: str, document: Document, tag: str) -> None:
        """A new tag, or one that moves: refused if something is missing."""
        self.client.put(repository, document, tag)

    @step(repository=REPOSITORY, content=CONTENT, way=WAY)
    def push_blob(self, repository: str, content: bytes, way: Way) -> None:
        self.client.push_blob(repository, content, way)

    @step(repository=REPOSITORY, source=REPOSITORY, content=CONTENT)
    def mount(self, repository: str, source: str, content: bytes) -> None:
        self.client.mount(repository, source, content)

    @step(waiting=HOURS, working=HOURS, repository=REPOSITORY, content=CONTENT)
    def look_for_blob(self, waiting: float, working: float, repository: str, content: bytes) -> None:
        self._wait(waiting)
        self.client.has_blob(repository, Digest.of(content))
        self._collect_after(working)

    @step(waiting=HOURS, working=HOURS, repository=REPOSITORY, document=documents)
    def look_for_manifest(self, waiting: float, working: float, repository: str, document: Document) -> None:
        self._wait(waiting)
        self.client.has_manifest(repository, document)
        self._collect_after(working)

    # Uploads that are not finished at once.

    @step(target=uploads, repository=REPOSITORY, content=CONTENT, is_begun=st.booleans())
    def start_upload(self, repository: str, content: bytes, *, is_begun: bool) -> Upload:
        return self.client.start_upload(repository, content, is_begun=is_begun)

    @step(upload=consumes(uploads))
    def finish_upload(self, upload: Upload) -> None:
        upload = self.client.find(upload)
        if self.client.is_open(upload):
            assert self.client.finish(upload) == 201
        else:
            self.client.finish_again(upload)

    @step(upload=consumes(uploads))
    def spoil_upload(self, upload: Upload) -> None:
        """It is not what it is said to be."""
        upload = self.client.find(upload)
        status = self.client.finish(replace(upload, content=b"something else", sent=CHUNK))
        assert status == (400 if self.client.is_open(upload) else 404)

    @step(upload=consumes(uploads))
    def cancel_upload(self, upload: Upload) -> None:
        upload = self.client.find(upload)
        status = self.client.delete(upload.location)
        assert status == 204 or (status == 404 and not self.client.is_open(upload))
