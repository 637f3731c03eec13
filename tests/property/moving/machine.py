"""The machine: two registries take pushes and deletions while one is moved into the other, and its workers die, sleep
past their leases, come twice or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from functions.registry.metadata.imports.vocabulary import Mode
from tests.imports.old import OldRegistry
from tests.property.moving.acting import ActingMachine, Change
from tests.property.moving.inspection import Inspection
from tests.property.moving.model import BY_NAME, REPOSITORIES, TAGS, Model
from tests.property.moving.stopping import Killed, Moment, killed, stopped
from tests.property.running import step

REPOSITORY: Final = st.sampled_from(REPOSITORIES)
TAG: Final = st.sampled_from(TAGS)
# By their names, so that a history that is printed can be read.
DOCUMENT: Final = st.sampled_from(sorted(BY_NAME))
# What a worker does at once is some dozens of steps.
MOMENT: Final = st.builds(Moment, st.integers(1, 60), st.booleans())
MODE: Final[st.SearchStrategy[Mode]] = st.sampled_from(["lead", "lead", "lead", "follow"])
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


class MovingMachine(ActingMachine):
    """`make_old` is that of the test that runs it; `steps` counts all that were done."""

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

    @step(repository=REPOSITORY, tag=TAG)
    def pull(self, repository: str, tag: str) -> None:
        self.inspection.pull((repository, tag))

    @step(mode=MODE)
    def decide(self, mode: Mode) -> None:
        self.backstage.decide(mode)
        self.model.is_followed = mode == "follow"

    # Workers.

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
