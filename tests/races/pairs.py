"""Every pair of operations, in every scene where both have a part: what comes of it, schedule by schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final, Self

from functions.registry.metadata.driver import Connection
from tests.metadata.build import APP
from tests.races import invariants
from tests.races.gate import GatedDatabase, Rewrite
from tests.races.operations import MISSES, OPERATIONS, SUCCEEDS, Bucket, Cast, Operation
from tests.races.props import IMAGE, MOVED, manifest
from tests.races.scenes import SCENES, Scene, Scenery
from tests.races.schedules import Perform
from tests.races.stage import Choose, Performance, Stage

# Where two have no scene in common, they at least write to the same repository.
_ANYWHERE: Final = "untagged"
DEADLOCK: Final = ", one retried after a deadlock"

Schedules = Callable[[Perform, str], Iterator[Performance]]


@dataclass(frozen=True, slots=True)
class Pair:
    first: Operation
    second: Operation

    def __str__(self) -> str:
        return f"{self.first.name} x {self.second.name}"

    @property
    def scenes(self) -> list[str]:
        """Those where both have a part, and at least one of them on its own."""
        first, second = (*self.first.scenes, *self.first.also), (*self.second.scenes, *self.second.also)
        alone = {*self.first.scenes, *self.second.scenes}
        return [scene for scene in first if scene in second and scene in alone] or [_ANYWHERE]

    @property
    def names(self) -> tuple[str, str]:
        return self.first.name, self.second.name


PAIRS: Final = [Pair(first, second) for first, second in combinations_with_replacement(OPERATIONS.values(), 2)]


class Arena:
    """A database of its own, with two gated connections to it."""

    def __init__(self, url: str, scenes: Mapping[str, Scene] = SCENES) -> None:
        # What is wrong besides, by what only some arenas know.
        self.look_further: Callable[[Pair, Performance, set[str]], list[str]] = lambda *_: []
        # Objects that no row need name.
        self.nobodys: frozenset[str] = frozenset()
        self._scenery = Scenery(url, scenes)
        self._observer = Connection(url)
        self._databases = (GatedDatabase(url), GatedDatabase(url))
        self._stage = Stage(self._databases, self._observer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.close()
        for database in self._databases:
            database.close()
        self._observer.close()
        self._scenery.close()

    def break_statements(self, rewrite: Rewrite) -> None:
        """From now on, what is sent to the server is not what the product sent."""
        for database in self._databases:
            database.gate.rewrite = rewrite

    def race(self, pair: Pair, scene: str, schedules: Schedules) -> Counter[str]:
        """The outcomes, and how many schedules had each. Fails with the first schedule that breaks something."""
        outcomes: Counter[str] = Counter()

        def perform(choose: Choose) -> Performance:
            performance = self._perform(pair, scene, choose)
            outcomes[_in_words(pair, performance)] += 1
            return performance

        for _ in schedules(perform, f"{pair} {scene}"):
            pass
        return outcomes

    def _perform(self, pair: Pair, scene: str, choose: Choose) -> Performance:
        props = self._scenery.set(scene)
        gone: list[str] = []
        cast = [
            Cast(who, database, Bucket(database, props.lost, gone), props)
            for who, database in enumerate(self._databases)
        ]
        operations = (pair.first, pair.second)
        performance = self._stage.perform(lambda who: _ending(operations[who], cast[who]), choose)
        for database in self._databases:
            database.require_gate()
        deleted = set(gone)
        found = invariants.look(self._observer, props.objects - self.nobodys, deleted, props.lost, props.damaged)
        # What moved along with its repository is still there.
        things = found.things | {thing.replace(f" {MOVED} ", f" {APP} ") for thing in found.things}
        faults = [*found.faults, *_broken_promises(pair, performance, things)]
        faults += self.look_further(pair, performance, deleted)
        faults += [ending for ending in performance.endings if ending.startswith("fails")]
        for database in self._databases:
            database.require_gate()
        if faults:
            told = "\n".join([*faults, f"{pair}, scene {scene}:", performance.told(pair.names)])
            raise AssertionError(f"{told}\n  {performance.endings} {performance.refused}")
        return performance


def _ending(operation: Operation, cast: Cast) -> str:
    try:
        return operation.act(cast)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the outcome, and a fault
        return f"fails: {type(error).__name__}: {error}"


def _broken_promises(pair: Pair, performance: Performance, things: set[str]) -> list[str]:
    faults = []
    for who, (operation, other) in enumerate(((pair.first, pair.second), (pair.second, pair.first))):
        if performance.endings[who] == SUCCEEDS:
            lost = set(operation.keeps) - things - set(other.takes)
            faults += [f"{operation.name} succeeded, and {thing} is gone" for thing in sorted(lost)]
        if performance.endings[who] == MISSES and manifest(IMAGE.manifest) not in other.takes:
            faults.append(f"{operation.name}: HEAD found the manifest, then the push missed it")
        if operation.is_collector and any(state.startswith("23") for state in performance.refused[who]):
            faults.append(f"{operation.name} ran into a constraint")
    return faults


def _in_words(pair: Pair, performance: Performance) -> str:
    """How both ended, as `first / second`; which of two alike was first makes no difference.

    Nor does which of two the server ended in a deadlock, because that is up to its clock.
    """
    is_deadlock = any("40P01" in refused for refused in performance.refused)
    words = list(performance.endings) if is_deadlock else [_how(performance, who) for who in range(2)]
    if pair.first is pair.second:
        words.sort(key=lambda word: (word.startswith("waits"), word))
    told = " / ".join(words)
    if words[0] == words[1]:
        told = "both succeed" if words[0] == SUCCEEDS else f"each {words[0]}"
    return f"{told}{DEADLOCK}" if is_deadlock else told


def _how(performance: Performance, who: int) -> str:
    ending = performance.endings[who]
    waited = "waits, then " if who in performance.waited else ""
    is_retried = performance.refused[who] and not ending.startswith("answers")  # there the refusal is the answer
    return f"{waited}{ending}{', retried' if is_retried else ''}"
