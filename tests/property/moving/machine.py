"""The machine: two registries take pushes and deletions while one is moved into the other, and its workers die, sleep
past their leases, come twice or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from functions.registry.imports import names
from functions.registry.metadata.imports.vocabulary import Mode
from functions.registry.oci.digest import Digest
from tests.imports.old import OldRegistry
from tests.property.model import Document
from tests.property.moving.backstage import MovingBackstage
from tests.property.moving.inspection import KEYS, Inspection
from tests.property.moving.model import BY_DIGEST, BY_NAME, REPOSITORIES, TAGS, Model
from tests.property.moving.stopping import Killed, Moment, killed, stopped
from tests.property.running import step
from tests.support import Registry

REPOSITORY: Final = st.sampled_from(REPOSITORIES)
TAG: Final = st.sampled_from(TAGS)
# By their names, so that a history that is printed can be read.
DOCUMENT: Final = st.sampled_from(sorted(BY_NAME))
# What a worker does at once is some dozens of steps.
MOMENT: Final = st.builds(Moment, st.integers(1, 60), st.booleans())
MODE: Final[st.SearchStrategy[Mode]] = st.sampled_from(["lead", "lead", "lead", "follow"])


@dataclass(frozen=True)
class Change:
    """Somebody's act, of one kind, on a tag or a manifest of a repository."""

    kind: str
    repository: str
    tag: str
    document: str


CHANGE: Final = st.builds(
    Change,
    st.sampled_from(
        [
            "push there",
            "push there",
            "untag there",
            "delete there",
            "push here",
            "push here",
            "untag here",
            "delete here",
            "pull",
            "ask for a pass",
            "collect",
            "work",
        ]
    ),
    REPOSITORY,
    TAG,
    DOCUMENT,
)


class MovingMachine(RuleBasedStateMachine):
    """`registry`, `backstage` and `make_old` are those of the test that runs it; `steps` counts all that were done."""

    registry: Registry
    backstage: MovingBackstage
    make_old: Callable[[], OldRegistry]
    steps = 0
    is_sound = False

    @initialize(
        mode=MODE,
        is_pulling=st.booleans(),
        before=st.lists(st.tuples(REPOSITORY, TAG, DOCUMENT), min_size=1, max_size=4),
    )
    def start(self, mode: Mode, before: list[tuple[str, str, str]], *, is_pulling: bool) -> None:
        self.model = Model(is_followed=mode == "follow")
        self.old = type(self).make_old()
        self.backstage.begin(mode)
        self.inspection = Inspection(self.registry, self.backstage, self.old, self.model)
        self.is_pulling = is_pulling
        for repository, tag, document in before:
            self._push_there(repository, tag, BY_NAME[document])
        self._ask_for_a_pass()
        # Until it is sure that nobody deletes anything any more, nothing of it is given.
        self.backstage.work(1)

    @invariant()
    def nothing_is_lost(self) -> None:
        type(self).steps += 1
        if not self.backstage.is_busy():
            self.model.has_passed()
        self.inspection.look(is_pulling=self.is_pulling)
        self.is_sound = True

    def teardown(self) -> None:
        if self.is_sound:
            self._catch_up()
            if not self.model.is_followed:
                self._seal()

    # Either registry.

    @step(change=CHANGE)
    def change(self, change: Change) -> None:
        self._change(change)

    @step(change=CHANGE)
    def change_once_more(self, change: Change) -> None:
        """So that there is as much of it as of all else."""
        self._change(change)

    @step(repository=REPOSITORY)
    def delete_repository(self, repository: str) -> None:
        answer = self.registry.request("DELETE", f"/api/v1/repositories/{repository}")
        if answer.status_code != HTTPStatus.OK:
            assert answer.status_code in (404, 405), answer.text
            return
        self._forget(repository)

    def _forget(self, repository: str) -> None:
        """Nothing of it comes back if the older registry had it; else what that gets later is its own."""
        remembered = self.backstage.deleted_tags()
        is_dropped = self.backstage.states().get(repository) == "dropped"
        for key in KEYS:
            if key[0] == repository and (is_dropped or key in remembered or key in self.model.new):
                self.model.new[key] = None
                if not is_dropped and key not in remembered:
                    del self.model.new[key]
        if is_dropped:
            self.model.dropped.add(repository)

    @step(repository=REPOSITORY, tag=TAG)
    def pull(self, repository: str, tag: str) -> None:
        self.inspection.pull((repository, tag))

    @step(mode=MODE)
    def decide(self, mode: Mode) -> None:
        self.backstage.decide(mode)
        self.model.is_followed = mode == "follow"

    def _change(self, change: Change) -> None:
        key, document = (change.repository, change.tag), BY_NAME[change.document]
        acts: dict[str, Callable[[], object]] = {
            "push there": lambda: self._push_there(*key, document),
            "untag there": lambda: self._untag_there(*key),
            "delete there": lambda: self._delete_there(change.repository, document),
            "push here": lambda: self._push_here(*key, document),
            "untag here": lambda: self._untag_here(*key),
            "delete here": lambda: self._delete_here(change.repository, document),
            "pull": lambda: self.registry.get(f"/v2/{change.repository}/manifests/{change.tag}"),
            "ask for a pass": self._ask_for_a_pass,
            "collect": self._collect,
            "work": self._take_over,
        }
        acts[change.kind]()

    def _collect(self) -> None:
        self.backstage.pass_time(1)
        self.backstage.collect()

    def _take_over(self) -> None:
        """Another worker takes whatever the first has claimed."""
        self.backstage.pass_lease()
        self.backstage.work()

    # The older registry.

    def _push_there(self, repository: str, tag: str, document: Document) -> None:
        """Pushes as a client does: what it leads to first, and no layer that is there."""
        for child in reversed(list(document.tree())):
            for content in child.blobs:
                if names.layer_link_name(repository, Digest.of(content)) not in self.old.written:
                    self.old.push_layer(repository, content)
            self.old.push_manifest(repository, child.payload)
        self.old.tag(repository, tag, document.digest)
        self.model.old[repository, tag].change(document)

    def _untag_there(self, repository: str, tag: str) -> None:
        if tag in self.old.tags.get(repository, ()):
            self.old.untag(repository, tag)
            self.model.old[repository, tag].change(None)

    def _delete_there(self, repository: str, document: Document) -> None:
        """Unless an index that is tagged lists it: that registry would not mind."""
        tagged = self.old.tags.get(repository, {})
        listing = [BY_DIGEST[digest] for digest in tagged.values() if digest != document.digest]
        if any(document in each.tree() for each in listing):
            return
        if names.revision_link_name(repository, document.digest) in self.old.written:
            self.model.deleted_there.add((repository, document))
            self.old.delete_manifest(repository, document.digest)
            for tag, digest in list(tagged.items()):
                assert digest != document.digest, tag
            for tag in TAGS:
                if tag not in self.old.tags.get(repository, ()):
                    self.model.old[repository, tag].change(None)

    # The new one.

    def _push_here(self, repository: str, tag: str, document: Document) -> None:
        for child in reversed(list(document.tree())):
            for content in child.blobs:
                digest = Digest.of(content)
                if self.registry.request("HEAD", f"/v2/{repository}/blobs/{digest}").status_code != HTTPStatus.OK:
                    location = self.registry.request("POST", f"/v2/{repository}/blobs/uploads/")
                    if location.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                        assert self.model.is_followed
                        return
                    sent = self.registry.request("PUT", f"{location.headers['Location']}?digest={digest}", data=content)
                    assert sent.status_code in (201, 405), sent.text
            reference = tag if child == document else child.digest
            answer = self.registry.put_manifest(repository, reference, child.payload)
            if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                assert self.model.is_followed
                return
            if answer.status_code == HTTPStatus.NOT_FOUND:
                # A collection without grace took something that was pushed a moment ago.
                return
            assert answer.status_code == 201, answer.text
            self.model.deleted_here.discard((repository, child))
        self.model.new[repository, tag] = document

    def _untag_here(self, repository: str, tag: str) -> None:
        status = self.registry.request("DELETE", f"/v2/{repository}/manifests/{tag}").status_code
        assert status in (202, 404, 405)
        if status == HTTPStatus.ACCEPTED:
            assert not self.model.is_followed or repository in self.model.dropped
            self.model.new[repository, tag] = None

    def _delete_here(self, repository: str, document: Document) -> None:
        """Deletes it with all tags that name it here, and those of which that was known to be so."""
        path = f"/v2/{repository}/manifests/{document.digest}"
        tagged = self.backstage.tags()
        status = self.registry.request("DELETE", path).status_code
        assert status in (202, 404, 405)
        if status != HTTPStatus.ACCEPTED:
            return
        self.model.deleted_here.add((repository, document))
        remembered = self.backstage.deleted_tags()
        for tag in TAGS:
            named, _ = tagged.get((repository, tag), (None, None))
            if (repository, tag) in remembered or named == document.digest:
                self.model.new[repository, tag] = None

    # Workers.

    def _ask_for_a_pass(self) -> None:
        answer = self.registry.request("POST", f"/api/v1/imports/{self.backstage.source_id}/start", json={})
        assert answer.status_code == 200, answer.text
        self.backstage.know()
        self.model.ask()

    @step(pieces=st.integers(1, 3))
    def work(self, pieces: int) -> None:
        """Something of what there is to do: the message that would wake another worker is lost."""
        self.backstage.work(pieces)

    @step()
    def two_work(self) -> None:
        """One message came twice."""
        with ThreadPoolExecutor(2) as pool:
            for worker in [pool.submit(self.backstage.work) for _ in range(2)]:
                worker.result()

    @step(moment=MOMENT, then=st.booleans())
    def kill_worker(self, moment: Moment, *, then: bool) -> None:
        try:
            with killed(moment):
                self.backstage.work()
        except Killed:
            if then:
                self.backstage.pass_lease()

    @step(moment=MOMENT, repository=REPOSITORY, tag=TAG)
    def kill_request(self, moment: Moment, repository: str, tag: str) -> None:
        """A process that fetches something dies."""
        try:
            with killed(moment):
                self.registry.get(f"/v2/{repository}/manifests/{tag}")
        except Killed:
            return

    @step(moment=MOMENT, changes=st.lists(CHANGE, min_size=1, max_size=3))
    def others_act_beside_a_worker(self, moment: Moment, changes: list[Change]) -> None:
        """A worker stands still for a while; what others do then may be to take its claims."""
        with self._acting_at(moment, changes):
            self.backstage.work()

    @step(moment=MOMENT, changes=st.lists(CHANGE, min_size=1, max_size=2), repository=REPOSITORY, tag=TAG)
    def others_act_beside_a_pull(self, moment: Moment, changes: list[Change], repository: str, tag: str) -> None:
        with self._acting_at(moment, changes):
            self.registry.get(f"/v2/{repository}/manifests/{tag}")

    @step(moment=MOMENT, changes=st.lists(CHANGE, min_size=1, max_size=2))
    def others_act_beside_a_collection(self, moment: Moment, changes: list[Change]) -> None:
        self.backstage.pass_time(1)
        with self._acting_at(moment, changes):
            self.backstage.collect()

    @contextmanager
    def _acting_at(self, moment: Moment, changes: list[Change]) -> Iterator[None]:
        """Others act while what is done in the block stands still."""
        with self.backstage.others() as others:

            def act() -> None:
                for change in changes:
                    others.act(partial(self._change, change))

            with stopped(moment, act):
                yield

    @step()
    def lease_passes(self) -> None:
        self.backstage.pass_lease()

    @step()
    def catch_up(self) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        """What is under way is brought to its end, then all is compared once more: both sides are one, three ways."""
        self.backstage.pass_lease()
        self.backstage.work()
        self._ask_for_a_pass()
        self.backstage.work()
        assert not self.backstage.is_busy()
        states = set(self.backstage.states().values())
        assert states <= {"imported", "dropped"}, states
        self.model.has_passed()
        self.model.deleted_there.clear()
        self.inspection.look(is_pulling=True)

    def _seal(self) -> None:
        """All that is tagged is here, and stays when all else is collected."""
        self.backstage.seal()
        self.backstage.know()
        for _ in range(4):
            self.backstage.pass_time(100)
            self.backstage.collect()
        self.old.written.clear()
        self.inspection.look(is_pulling=True)
