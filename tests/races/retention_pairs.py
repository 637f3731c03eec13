"""The steps of retention, each against every operation that it may meet, and against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import fills, policies, runs
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from functions.registry.retention import applying, gathering
from tests.metadata.build import APP, put, query
from tests.races.operations import OPERATIONS, SUCCEEDS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import IMAGE, MOVING, OTHER_IMAGE
from tests.races.scenes import SCENES, Scene
from tests.races.stage import Performance

_LEEWAY: Final = 70
_RULES: Final = [{"tags": "*", "keep": {"newest": 1}}]
_POLICY: Final = NewPolicy("tidy", 1, "team/**", "enforce", _RULES, 3600, 100, 5000)
_KEPT: Final = Tag("kept")
_REMOVES: Final = "removes it"

_AGE: Final = "UPDATE tags SET updated_at = now() - interval '10 hours' WHERE name = 'latest'"
_DUE: Final = "UPDATE retention_reviews SET due_at = now() - interval '1 hour'"
_CLOSED: Final = "UPDATE retention_runs SET state = 'applying', applied_at = now(), applied_by = 'somebody'"


def _under_policy(db: Database) -> None:
    """The tag on the image is old, and another one, which is kept, is on another image."""
    SCENES["tagged"].build(db)
    put(db, APP, OTHER_IMAGE.manifest, _KEPT)
    query(db, _AGE)
    policies.put(db, _POLICY, "somebody", 10, 0, is_seen=True)


def _filled(db: Database) -> None:
    _under_policy(db)
    while query(db, "SELECT FROM retention_fills"):
        fills.step(db)


def _filling(db: Database) -> None:
    """Its repository knows the policy, and its tags are about to be queued."""
    _under_policy(db)
    while query(db, "SELECT FROM retention_fills WHERE phase <> 'tags'"):
        fills.step(db)


def _due(db: Database) -> None:
    _filled(db)
    query(db, _DUE)


def _decided(db: Database) -> None:
    _due(db)
    gathering.gather(db, _LEEWAY)
    query(db, _CLOSED)


RETENTION_SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("filling", "a policy is new: its tags are about to be queued", _filling),
        Scene("due", "the verdict on both tags is due: one would go", _due),
        Scene("decided", "a run is being applied, of the one tag that would go", _decided),
    )
}


def _fill(cast_: Cast) -> str:
    return "queues" if fills.step(cast_.database) else "waits for others"


def _gather(cast_: Cast) -> str:
    gathered = gathering.gather(cast_.database, _LEEWAY)
    return f"judges {gathered.judged}, finds {gathered.found.total()}"


def _apply(cast_: Cast) -> str:
    applied = applying.apply_some(cast_.database, _LEEWAY)
    return "finds no run" if applied is None else _REMOVES if applied.removed else "leaves it alone"


def _change(cast_: Cast) -> str:
    policies.put(cast_.database, replace(_POLICY, mode="paused"), "somebody", 10, None, is_seen=True)
    return SUCCEEDS


def _drop(cast_: Cast) -> str:
    return SUCCEEDS if runs.set_state(cast_.database, 1, "dropped", ("applying", "held")) else "finds no run"


STEPS: Final = (
    Operation("fill", ("filling",), _fill),
    Operation("gather", ("due",), _gather),
    Operation("apply", ("decided",), _apply),
    Operation("policy change", ("filling", "due", "decided"), _change),
    Operation("drop", ("decided",), _drop),
)
_MET: Final = (
    "manifest PUT",
    "index PUT",
    "tag move",
    "tag delete",
    "manifest delete",
    "repository delete",
    "move",
    "collect manifests",
)
_OTHERS: Final = tuple(replace(OPERATIONS[name], scenes=tuple(RETENTION_SCENES), also=(), keeps=()) for name in _MET)
_PUSHES: Final = {"manifest PUT": IMAGE.digest, "tag move": OTHER_IMAGE.digest}
_TAKES: Final = {"tag delete", "manifest delete", "repository delete"}

RETENTION_PAIRS: Final = [
    Pair(first, second)
    for number, first in enumerate(STEPS)
    for second in (*_OTHERS, *STEPS[number:])
    if set(first.scenes) & set(second.scenes)
]

# Tags that a policy decides about and that nothing will look at: they would stay for ever.
_FORGOTTEN: Final = """
    SELECT tags.name FROM tags JOIN retention_scopes USING (repository_id)
     WHERE NOT EXISTS (SELECT FROM retention_reviews AS review
                        WHERE review.repository_id = tags.repository_id AND review.tag = tags.name)
       AND NOT EXISTS (SELECT FROM retention_fills)
"""
_REMOVED: Final = "SELECT tag FROM retention_verdicts WHERE outcome = 'removed'"
_COUNTS: Final = """
    SELECT run.id FROM retention_runs AS run
     WHERE run.removed <> (SELECT count(*) FROM retention_verdicts WHERE run_id = run.id AND outcome = 'removed')
"""


class RetentionArena(Arena):
    """What was pushed stays, what is kept stays, nothing is forgotten, and a verdict says what became of its tag."""

    def __init__(self, url: str) -> None:
        super().__init__(url, RETENTION_SCENES)
        self._after = Database(url, size=1)
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _look(self, pair: Pair, performance: Performance, _: set[str]) -> list[str]:
        names = pair.names
        did = {name for name, ending in zip(names, performance.endings, strict=True) if ending == SUCCEEDS}
        rows = query(self._after, "SELECT tags.name, digest FROM tags JOIN manifests ON manifests.id = manifest_id")
        here = {name: Digest.from_bytes(digest) for name, digest in rows}
        faults = [f"nothing will look at {name}" for (name,) in query(self._after, _FORGOTTEN)]
        faults += [f"the counts of run {run} are wrong" for (run,) in query(self._after, _COUNTS)]
        pushed = did & _PUSHES.keys()
        if pushed and not _TAKES.intersection(names) and here.get(MOVING) != _PUSHES[next(iter(pushed))]:
            faults.append(f"a pushed tag is gone, or names {here.get(MOVING)}")
        if "repository delete" not in names and _KEPT not in here:
            faults.append("what is kept is gone")
        removed = {tag for (tag,) in query(self._after, _REMOVED)}
        if (MOVING in removed) != (_REMOVES in performance.endings):
            faults.append("a verdict does not say what became of its tag")
        if MOVING in removed and MOVING in here and not pushed:
            faults.append("what was removed is there")
        if not removed and MOVING not in here and not _TAKES.intersection(names):
            faults.append("a tag is gone that nobody removed")
        return faults
