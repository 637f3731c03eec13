"""The steps of an import, each against every operation that it may meet, and against each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from functions.migrate.imports.links import Again
from functions.migrate.imports.seal import Sealing, SealRefused
from functions.registry.metadata.content import blobs, manifests
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import Tag
from tests.metadata.build import APP, query
from tests.races.old_layout import (
    GONE,
    IMPORT_SCENES,
    MOVED_ON,
    NEWER,
    OLD,
    PASS_LEASE,
    SOURCE_ID,
    Shelf,
    touching,
    work_at,
)
from tests.races.operations import OPERATIONS, SUCCEEDS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import IMAGE, MOVING, OTHER_IMAGE
from tests.races.stage import Performance

_FOUND: Final = "finds it"
_BEFORE: Final = ("old", "touched", "pushed", "ours")
_AFTER: Final = ("imported",)
_SETTLED: Final = ("settled",)
_SEALS: Final = "seals"
# More than any of these has.
_MOST_STEPS: Final = 40


def _touch(reference: Tag | Digest) -> Callable[[Cast], str]:
    def act(cast_: Cast) -> str:
        return _FOUND if touching(cast_.database).fetch_manifest(APP, reference) else "finds nothing"

    return act


def _work(shelf: Shelf, *, is_overslept: bool = False) -> Callable[[Cast], str]:
    def act(cast_: Cast) -> str:
        gate = cast_.database.gate
        try:
            did = work_at(cast_.database, shelf, lambda: gate.simple(PASS_LEASE) if is_overslept else None)
        except Again:
            return "comes again later"
        return "is through" if did else "finds nothing to do"

    return act


class Killed(BaseException):
    """The process is gone: nothing catches this on its way out."""


def _killed(act: Callable[[Cast], str]) -> Callable[[Cast], str]:
    """The operation, but for that its process dies in front of a statement or a COMMIT: another one each time."""
    moments = itertools.cycle(range(1, _MOST_STEPS))

    def killed(cast_: Cast) -> str:
        gate = cast_.database.gate
        step, left = gate.step, next(moments)

        def stepping(what: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            step(what)

        gate.step = stepping
        try:
            return act(cast_)
        except Killed:
            return "dies"
        finally:
            gate.step = step

    return killed


def _adopt(cast_: Cast) -> str:
    return "leaves some" if adoption.adopt(cast_.database, OLD.blobs()) else "adopts all"


def _seal(cast_: Cast) -> str:
    try:
        Sealing(cast_.database, OLD, wait_seconds=0.0).seal(SOURCE_ID)
    except SealRefused:
        return "is refused for now"
    return _SEALS


IMPORTS: Final = (
    Operation("touch tag", _BEFORE, _touch(MOVING)),
    Operation("touch manifest", _BEFORE, _touch(IMAGE.digest)),
    Operation("touch index", _BEFORE, _touch(Tag("index"))),
    Operation("bulk step", _BEFORE, _work(OLD)),
    Operation("blob listing", ("old", "ours"), _adopt),
    Operation("delta, moved", _AFTER, _work(MOVED_ON)),
    Operation("delta, deleted", _AFTER, _work(GONE)),
    Operation("seal", _SETTLED, _seal),
)
# Whose process dies in the middle; or who sleeps past a claim, which another takes over, and comes back.
DISTURBED: Final = (
    Operation("touch tag, killed", _BEFORE, _killed(_touch(MOVING))),
    Operation("bulk step, killed", _BEFORE, _killed(_work(OLD))),
    Operation("bulk step, overslept", _BEFORE, _work(OLD, is_overslept=True)),
    Operation("delta, moved, killed", _AFTER, _killed(_work(MOVED_ON))),
    Operation("delta, deleted, killed", _AFTER, _killed(_work(GONE))),
    Operation("delta, moved, overslept", _AFTER, _work(MOVED_ON, is_overslept=True)),
    Operation("delta, deleted, overslept", _AFTER, _work(GONE, is_overslept=True)),
    Operation("seal, killed", _SETTLED, _killed(_seal)),
)
_MET: Final = (
    "manifest PUT",
    "HEAD, then PUT",
    "tag move",
    "tag delete",
    "manifest delete",
    "repository delete",
    "move",
    "blob commit",
    "mount",
    "collect manifests",
    "collect links",
    "collect blobs",
    "delete object",
)
# What they keep elsewhere holds here only if it was there: the promise of a push is looked at below.
_OTHERS: Final = tuple(
    replace(OPERATIONS[name], scenes=(*_BEFORE, *_AFTER, *_SETTLED), also=(), keeps=()) for name in _MET
)
_PUSHES: Final = {
    "manifest PUT": IMAGE.digest,
    "HEAD, then PUT": IMAGE.digest,
    "tag move": OTHER_IMAGE.digest,
}
_CHANGES: Final = {*_PUSHES, "tag delete", "manifest delete", "repository delete", "move"}
_TAKES: Final = {"tag delete", "manifest delete", "repository delete", "move"}

IMPORT_PAIRS: Final = [
    Pair(first, second)
    for number, first in enumerate(IMPORTS)
    for second in (*_OTHERS, *IMPORTS[number:])
    if set(first.scenes) & set(second.scenes)
]
# The second of two that are alike takes over from the first: one message came twice.
DISTURBED_PAIRS: Final = [
    Pair(first, second)
    for number, first in enumerate(DISTURBED)
    for second in (*_OTHERS, *IMPORTS, *DISTURBED[number:])
    if set(first.scenes) & set(second.scenes)
]


def _latest(names: tuple[str, str]) -> Shelf | None:
    """What the older registry holds in the end, where one of the two compares with that."""
    compared = [name for name in names if name.startswith("delta")]
    if not compared:
        return None
    return MOVED_ON if any(name.startswith("delta, moved") for name in compared) else GONE


class ImportArena(Arena):
    """Afterwards it fetches and imports once more: what was deleted here must not come back, what was pushed stays."""

    def __init__(self, url: str) -> None:
        super().__init__(url, IMPORT_SCENES)
        self._after = Database(url, size=2)
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _look(self, pair: Pair, performance: Performance, deleted: set[str]) -> list[str]:
        names = pair.names
        did = {name for name, ending in zip(names, performance.endings, strict=True) if ending == SUCCEEDS}
        if "move" not in did and not any(_SEALS in ending for ending in performance.endings):
            touching(self._after).fetch_manifest(APP, MOVING)
            touching(self._after).fetch_manifest(APP, IMAGE.digest)
            if any(name.startswith(("bulk step", "touch")) for name in names):
                self._go_on(OLD)
        if "seal, killed" in names:
            Sealing(self._after, OLD).seal(SOURCE_ID)
        shelf = _latest(names)
        if shelf is not None and "move" not in did:
            self._go_on(shelf)
        return [
            *self._risen(did),
            *self._overwritten(names, did),
            *self._not_followed(names, shelf),
            *self._incomplete(deleted),
        ]

    def _go_on(self, shelf: Shelf) -> None:
        """Whoever comes once all claims are over, to compare with what is there in the end."""
        query(self._after, "UPDATE import_repositories SET lease_until = '-infinity', due_at = now()")
        work_at(self._after, shelf)

    def _not_followed(self, names: tuple[str, str], shelf: Shelf | None) -> list[str]:
        """Where nobody changed it here, the tag names what it names there in the end."""
        if shelf is None or _CHANGES.intersection(names):
            return []
        here, there = self._tags().get(MOVING), NEWER.digest if shelf is MOVED_ON else None
        return [] if here == there else [f"the tag names {here}, and {there} in the older registry"]

    def _risen(self, did: set[str]) -> list[str]:
        pushed = did & _PUSHES.keys()
        if "move" in did or pushed:
            return []
        faults = []
        if "tag delete" in did and manifests.get(self._after, APP, MOVING):
            faults.append("a deleted tag is back")
        if "manifest delete" in did and manifests.get(self._after, APP, IMAGE.digest):
            faults.append("a deleted manifest is back")
        if "repository delete" in did and self._tags():
            faults.append(f"a deleted repository is back: {sorted(self._tags())}")
        return faults

    def _overwritten(self, names: tuple[str, str], did: set[str]) -> list[str]:
        pushed = did & _PUSHES.keys()
        if not pushed or _TAKES.intersection(names):
            return []
        here = self._tags().get(MOVING)
        return [] if here == _PUSHES[pushed.pop()] else [f"a pushed tag is overwritten: it names {here}"]

    def _incomplete(self, deleted: set[str]) -> list[str]:
        faults = []
        for tag, digest in self._tags().items():
            stored = manifests.get(self._after, APP, digest)
            assert stored is not None
            for named in parse_manifest(stored.payload, None).required_blobs:
                blob = blobs.get(self._after, APP, named)
                if blob is None or blob.object_name in deleted:
                    faults.append(f"tag {tag} lacks {named}")
        return faults

    def _tags(self) -> dict[str, Digest]:
        rows = query(
            self._after,
            """
            SELECT tags.name, manifests.digest FROM tags JOIN manifests ON manifests.id = tags.manifest_id
              JOIN repositories ON repositories.id = tags.repository_id WHERE repositories.name = :name
            """,
            name=str(APP),
        )
        return {name: Digest.from_bytes(digest) for name, digest in rows}
