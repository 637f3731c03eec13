"""A batch of a background migration against all that changes its rows, and against another batch."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from functions.migrate.background.runner import Runner
from functions.registry.metadata.db import Database
from functions.registry.oci.name import Tag
from tests.metadata.build import APP, put, query, value
from tests.races.operations import OPERATIONS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import IMAGE
from tests.races.scenes import SCENES, Scene
from tests.races.stage import Performance

_SIGNATURE: Final = Tag(f"sha256-{IMAGE.digest.hex}.sig")
_SCENES: Final = ("untagged", "tagged")
_PATIENCE_SECONDS: Final = 5.0
# Every tag says something wrong, so a batch writes each of them.
_WRONG: Final = "UPDATE tags SET subject = '\\x00'"
_ACTIVE: Final = """
    UPDATE background_migrations
       SET state = 'active', last = start, stop = '[1000000, "~"]', total = 10, rows_done = 0, due_at = '-infinity'
"""


def _old(scene: Scene) -> Scene:
    def build(db: Database) -> None:
        scene.build(db)
        put(db, APP, IMAGE.manifest, _SIGNATURE)
        query(db, _WRONG)
        query(db, _ACTIVE)

    return replace(scene, build=build)


def _batch(cast_: Cast) -> str:
    until = time.monotonic() + _PATIENCE_SECONDS
    return "does a batch" if Runner(cast_.database, hurries=True).work(until, waits=False) else "gives way"


BATCH: Final = Operation("background batch", _SCENES, _batch)
_MET: Final = ("manifest PUT", "tag move", "tag delete", "manifest delete", "repository delete", "move")
_OTHERS: Final = tuple(replace(OPERATIONS[name], scenes=_SCENES, also=(), keeps=()) for name in _MET)
BACKGROUND_PAIRS: Final = [Pair(BATCH, other) for other in (*_OTHERS, BATCH)]


class BackgroundArena(Arena):
    """Afterwards the migration is finished: then every tag says what it belongs to, and was gone through once."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {name: _old(SCENES[name]) for name in _SCENES})
        self._after = Database(url, size=1)
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _look(self, pair: Pair, performance: Performance, _: set[str]) -> list[str]:
        runner = Runner(self._after, hurries=True)
        query(self._after, "UPDATE background_migrations SET due_at = '-infinity'")
        while runner.work(time.monotonic() + _PATIENCE_SECONDS):
            pass
        wrong = query(self._after, "SELECT name FROM tags WHERE subject IS DISTINCT FROM tag_subject(name)")
        faults = [f"tag {name} says that it belongs to something else" for (name,) in wrong]
        state = value(self._after, "SELECT state FROM background_migrations")
        if state != "finished":
            faults.append(f"the migration is {state}")
        if pair.second is BATCH and performance.endings == ("does a batch", "does a batch"):
            done = value(self._after, "SELECT rows_done FROM background_migrations")
            tags = value(self._after, "SELECT count(*) FROM tags")
            faults += [f"{done} rows were gone through, of {tags}"] if done != tags else []
        return faults
