"""Three disasters, and the way back from each: in the words and the order of docs/operations.md."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.drill.client import Client, Pulled
from tests.drill.stand import Stand, StepFailed

ROWS: Final = "rows destroyed"
OBJECTS: Final = "objects destroyed"
EVERYTHING: Final = "everything gone"
_MOST_PUSHES: Final = 3


@dataclass(frozen=True)
class Result:
    """`lost` tags; `point_seconds`: of how much before the disaster nothing came back; `time_seconds`: until it had."""

    disaster: str
    tags: int
    lost: list[str]
    point_seconds: float
    time_seconds: float


@dataclass
class Drill:
    stand: Stand
    seed: int
    steps: int
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311  # no secret
        self._client = Client("", self._chance)

    def run(self, disasters: Sequence[str]) -> list[Result]:
        """One after the other. The first of them needs the database's own log."""
        self._client.address = self.stand.start()
        try:
            if ROWS in disasters:
                self.stand.begin_archiving()
                self._client.address = self._address()
            for disaster in disasters:
                _DISASTERS[disaster](self)
        finally:
            self.stand.stop()
        return self.results

    def _address(self) -> str:
        if self.stand.stack is None:
            raise StepFailed("the registry is not running")
        return self.stand.stack.address

    def _use(self) -> None:
        """A while in the registry's life, with a collection in the middle."""
        self._client.use(self.steps // 2)
        self.stand.collect()
        self._client.use(self.steps // 2)

    def rows_destroyed(self) -> None:
        self._use()
        truth, moment = self._client.pull_all(), self.stand.now()
        self._use()
        self.stand.collect()
        self.stand.execute("DELETE FROM tags; DROP TABLE manifests CASCADE")
        started = time.monotonic()
        self.stand.archive_all()
        self.stand.recover(moment)
        self._client.address = self.stand.start()
        self.stand.bring_back_deleted(moment)
        self._require_clean()
        self._judge(ROWS, truth, 0.0, started)

    def objects_destroyed(self) -> None:
        self._use()
        self._back_up()
        self._client.use(self.steps // 2)
        truth = self._client.pull_all()
        self.stand.destroy_objects(self._chance)
        started = time.monotonic()
        # What the backups have; what was cut lies in its own place, and what was pushed since is in none.
        self.stand.slipway(
            "operator", "restore-backup", str(self.stand.backups), "--objects-only", "--yes", codes=(0, 1)
        )
        # The rest is pushed again by whoever built it.
        for _ in range(_MOST_PUSHES):
            self.stand.slipway("fsck", "run", "--repair", "--yes", codes=(0, 1))
            damaged = self._damaged()
            if not damaged:
                break
            for digest in damaged:
                if digest in self._client.built:
                    repository, image = self._client.built[digest]
                    self._client.push(repository, image=image)
        self._require_clean()
        self._judge(OBJECTS, truth, 0.0, started)

    def everything_gone(self) -> None:
        self._use()
        truth = self._client.pull_all()
        self._back_up()
        self._use()
        age = (self.stand.now() - self._sealed_of()).total_seconds()
        self.stand.stop()
        shutil.rmtree(self.stand.data)
        self.stand.number += 1
        started = time.monotonic()
        self._client.address = self.stand.start()
        self.stand.slipway("operator", "restore-backup", str(self.stand.backups), "--yes")
        self._require_clean()
        self._judge(EVERYTHING, truth, age, started)

    def _back_up(self) -> None:
        self.stand.slipway("backup", "create", "--wait")

    def _sealed_of(self) -> datetime:
        found: list[dict[str, Any]] = json.loads(self.stand.slipway("backup", "list", "-o", "json"))
        return datetime.fromisoformat(found[0]["snapshot_at"])

    def _damaged(self) -> list[str]:
        return [
            each["digest"] for each in json.loads(self.stand.slipway("fsck", "show", "-o", "json")) if each["digest"]
        ]

    def _require_clean(self) -> None:
        """Unknown are objects that were pushed after the moment: they are nobody's, and cost space alone."""
        self.stand.slipway("fsck", "run", codes=(0, 1))
        found = json.loads(self.stand.slipway("fsck", "show", "-o", "json"))
        wrong = [each for each in found if each["kind"] != "unknown"]
        if wrong:
            raise StepFailed(f"fsck has found {wrong[:5]}")

    def _judge(self, disaster: str, truth: dict[str, Pulled], point_seconds: float, started: float) -> None:
        """Judges by what can be pulled: at once, and after collections that have waited for nothing."""
        there = self._client.pull_all()
        seconds = time.monotonic() - started
        for _ in range(2):
            self.stand.collect()
        kept = self._client.pull_all()
        lost = sorted(
            tag
            for tag, pulled in truth.items()
            if there.get(tag) != pulled or _essence(kept.get(tag)) != _essence(pulled)
        )
        self.stand.slipway("operator", "recount")
        self.results.append(Result(disaster, len(truth), lost, point_seconds, seconds))


_DISASTERS: Final[dict[str, Callable[[Drill], None]]] = {
    ROWS: Drill.rows_destroyed,
    OBJECTS: Drill.objects_destroyed,
    EVERYTHING: Drill.everything_gone,
}


def _essence(pulled: Pulled | None) -> set[str] | None:
    return None if pulled is None else set(pulled)
