"""The steps of a check, its repair, and a backup, each against every operation that it may meet, and each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from functions.gc import deletions
from functions.gc.reviews import BLOBS
from functions.migrate.backups import layout
from functions.migrate.checks import objects, repair, rows
from functions.migrate.checks.working import Work
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.gcs import Bucket as GoogleBucket
from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.snapshot import Snapshot
from functions.registry.metadata.checks import checks, mending
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from tests.metadata.build import query
from tests.races.check_scenes import CHECK_ID, CHECK_SCENES, PIECES, PLAIN, QUEUED, TRUE
from tests.races.import_pairs import IMPORTS
from tests.races.old_layout import MOVED_ON, _Inline
from tests.races.operations import OPERATIONS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import CONFIG, LAYER, OTHER_IMAGE
from tests.races.stage import Choose, Performance
from tests.races.undo_pairs import END_REPOSITORY, END_WITHDRAWN, PURGE, PUT_BACK, RESTORE, SET_ASIDE

# Behind all names of objects, and all ids.
_LAST: Final = "~"
_LAST_ID: Final = "1000000"
_BATCH: Final = 20
_NEVER: Final = 1e12
_THEN: Final = datetime(2021, 1, 1, tzinfo=UTC)
_CONTENTS: Final = {Digest.of(content): content for content in (CONFIG, LAYER, *OTHER_IMAGE.blobs)}
_KEPT: Final = "keeps it"
# Where an older registry has its blobs, also those that were pushed there meanwhile.
_OLDER: Final = frozenset(found.object_name for found in MOVED_ON.blobs())


@dataclass(frozen=True, slots=True)
class _Store:
    """All objects of the scene but those that are lost or deleted, each seen in a step of its own."""

    cast: Cast

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        self.cast.database.gate.step("list the objects")
        objects = self.cast.props.objects
        if objects & _OLDER:
            objects |= _OLDER
        found = (self._stored(name) for name in sorted(objects) if name.startswith(prefix) and after < name < before)
        return ObjectPage([each for each in found if each is not None], is_last=True)

    def find(self, name: str) -> StoredObject | None:
        self.cast.database.gate.step("look at the object")
        return self._stored(name)

    def read(self, name: str) -> Iterator[bytes]:
        """Whatever is marked here as damaged was restored, and is the layer."""
        self.cast.database.gate.step("read the object")
        if self._stored(name) is None:
            raise ObjectMissing
        yield LAYER

    def _stored(self, name: str) -> StoredObject | None:
        bucket, props = self.cast.bucket, self.cast.props
        if name in MOVED_ON.objects:
            return MOVED_ON.find(name)
        if name not in props.objects or name in bucket.lost or name in bucket.deleted:
            return None
        return StoredObject(name, props.sizes.get(name, len(LAYER)), None, None, _THEN, 1)


def _work(cast_: Cast) -> Work:
    check, store = checks.get(cast_.database, CHECK_ID), cast(Any, _Store(cast_))
    assert check is not None
    pool = cast(Any, _Inline())
    return Work(check, cast_.database, store, cast(GoogleBucket, store), pool, timedelta(0), _NEVER)


def _step(step: Callable[[Work, Piece], bool], stop: str = "") -> Callable[[Cast], str]:
    def act(cast_: Cast) -> str:
        piece = Piece(PIECES[cast_.who], CHECK_ID, "repair", "0" if stop == _LAST_ID else "", stop, "", 1)
        step(_work(cast_), piece)
        noted = cast_.database.gate.touched.get("checks_note_findings", 0)
        return f"finds {noted or 'nothing'}"

    return act


def _repair(cast_: Cast) -> str:
    piece = Piece(PIECES[cast_.who], CHECK_ID, "repair", "", "", "", 1)
    repair.repair(_work(cast_), piece)
    return "is through"


def _undo(cast_: Cast) -> str:
    return _KEPT if mending.undo(cast_.database, CHECK_ID) else "finds nothing to keep"


def _back_up(cast_: Cast) -> str:
    """The hold, the list, the copies, the seal: as functions/migrate/backups/making.py does them, without bytes."""
    run = runs.claim(cast_.database)
    if run is None:
        return "finds another at work"
    runs.begin(cast_.database, run, f"backup {cast_.who}")
    listed: list[bytes] = []
    cast_.database.gate.step("read the rows")
    with Snapshot.of(cast_.database._pool._url) as snapshot:
        snapshot.copy_objects(_Sink(listed))
    lacks = 0
    for entry in (layout.entry_of(row.rstrip(b"\n")) for row in listed):
        cast_.database.gate.step("copy an object")
        if entry.name in cast_.bucket.deleted:
            return f"fails: {entry.name} is gone before it was copied"
        lacks += entry.is_damaged or entry.name in cast_.bucket.lost
    runs.end(cast_.database, run, "sealed", needs_hold=True)
    return f"seals{f', without {lacks}' if lacks else ''}"


class _Sink:
    def __init__(self, listed: list[bytes]) -> None:
        self.write = listed.append


def _collect_all(cast_: Cast) -> str:
    """The blobs that nothing links, and at once their objects: nothing waits here before it is deleted."""
    BLOBS.collect(cast_.services, _BATCH)
    tried = deletions.collect(cast_.services, _BATCH)
    return f"deletes {tried}" if tried else "deletes nothing"


_UNDO: Final = ("deleted", "withdrawn", "aside", "deleted_over", "withdrawn_over", "aside_over")
_IMPORT: Final = ("old", "touched", "ours", "imported")
_EVERYWHERE: Final = (*PLAIN, *_UNDO, *_IMPORT)
_REPAIRED: Final = tuple(TRUE)
OBJECTS: Final = Operation("compare objects", _EVERYWHERE, _step(objects.check, _LAST))
MANIFESTS: Final = Operation("compare manifests", _EVERYWHERE, _step(rows.check_manifests, _LAST_ID))
REPOSITORIES: Final = Operation("compare repositories", _EVERYWHERE, _step(rows.check_repositories))
UNLINKED: Final = Operation("compare blobs", _EVERYWHERE, _step(rows.check_blobs))
FIGURES: Final = Operation("compare figures", _EVERYWHERE, _step(rows.check_figures))
REPAIR: Final = Operation("repair", _REPAIRED, _repair)
KEEP: Final = Operation("fsck undo", ("queued",), _undo)
BACKUP: Final = Operation("backup", _EVERYWHERE, _back_up)
COLLECT_ALL: Final = Operation("collect blobs, then objects", ("unlinked", "orphaned", "leaked_blob"), _collect_all)

# Where each of the others has a part, in the scenes of this place.
_OF_REPOSITORY: Final = ("untagged", "tagged", "listed", "forgotten", "spoiled", "leaked_manifest")
_OF_LINKS: Final = ("linked", "elsewhere", "found", "restored", "leaked_link")
_OF_BLOBS: Final = (*_OF_LINKS, "unlinked", "lost", "damaged", "orphaned", "leaked_blob")
_PARTS: Final = {
    "manifest PUT": ("linked", *_OF_REPOSITORY, "leaked_link"),
    "HEAD, then PUT": ("linked", "untagged", "leaked_manifest", "leaked_link"),
    "tag move": _OF_REPOSITORY,
    "tag delete": ("tagged", "forgotten", "spoiled", "leaked_manifest"),
    "manifest delete": _OF_REPOSITORY,
    "repository delete": (*_OF_REPOSITORY, *_OF_LINKS),
    "move": ("tagged", *_OF_LINKS, "forgotten", "leaked_manifest"),
    "blob commit": _OF_BLOBS,
    "mount": (*_OF_LINKS, "lost", "damaged"),
    "mark": ("lost", "orphaned", "found"),
    "collect manifests": _OF_REPOSITORY,
    "collect links": (*_OF_LINKS, "lost", "damaged", "untagged"),
    "collect blobs": ("unlinked", "elsewhere", "orphaned", "leaked_blob"),
    "delete object": ("untagged", "unlinked", "queued", "lost"),
}
_IN_ORDINARY: Final = tuple(
    replace(OPERATIONS[name], scenes=scenes, also=(), keeps=()) for name, scenes in _PARTS.items()
)
_IN_UNDO: Final = tuple(
    replace(each, keeps=()) for each in (RESTORE, PURGE, SET_ASIDE, END_WITHDRAWN, PUT_BACK, END_REPOSITORY)
)
_IN_IMPORT: Final = tuple(
    replace(each, scenes=tuple(scene for scene in each.scenes if scene in _IMPORT))
    for each in IMPORTS
    if each.name in ("touch tag", "bulk step", "blob listing", "delta, moved", "seal")
)
_STEPS: Final = (OBJECTS, MANIFESTS, REPOSITORIES, UNLINKED, FIGURES, REPAIR, BACKUP)
# A step that looks at nothing which the other changes has no part in what it does.
_UNTOUCHED: Final = {
    ("compare objects", "tag move"),
    ("compare objects", "tag delete"),
    ("compare blobs", "tag move"),
    ("compare blobs", "tag delete"),
    ("compare manifests", "mark"),
    ("compare repositories", "mark"),
    ("compare blobs", "mark"),
}
CHECK_PAIRS: Final = [
    pair
    for pair in (
        *(
            Pair(step, other)
            for step in _STEPS
            for other in (*_IN_ORDINARY, COLLECT_ALL, *_IN_UNDO, *_IN_IMPORT)
            if (step.name, other.name) not in _UNTOUCHED
        ),
        Pair(REPAIR, REPAIR),
        Pair(REPAIR, OBJECTS),
        Pair(KEEP, OPERATIONS["delete object"]),
        Pair(KEEP, REPAIR),
        Pair(BACKUP, BACKUP),
    )
    if set(pair.first.scenes) & {*pair.second.scenes, *pair.second.also}
]

_OPEN: Final = "SELECT kind, subject FROM findings WHERE gone_at IS NULL"
_FOREIGN: Final = "SELECT counts ->> 'foreign' FROM checks WHERE counts ? 'foreign'"
_WRONGLY_MARKED: Final = """
    SELECT id FROM manifests WHERE damaged_at IS NOT NULL AND sha256(payload) = substring(digest FROM 2)
"""


class CheckArena(Arena):
    """Nothing is found that isn't so, nothing is marked that is whole, and no sealed backup lacks an object."""

    def __init__(self, url: str) -> None:
        super().__init__(url, CHECK_SCENES)
        self._after = Database(url, size=1)
        self._scene = ""
        self.nobodys = frozenset({QUEUED})
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _perform(self, pair: Pair, scene: str, choose: Choose) -> Performance:
        self._scene = scene
        return super()._perform(pair, scene, choose)

    def _look(self, _: Pair, performance: Performance, deleted: set[str]) -> list[str]:
        found = [(kind, subject) for kind, subject in query(self._after, _OPEN)]
        allowed = TRUE.get(self._scene, set())
        faults = [f"found, and not so: {kind} {subject}" for kind, subject in found if kind not in allowed]
        if self._scene not in _IMPORT:
            faults += [f"{number} objects are taken for foreign" for (number,) in query(self._after, _FOREIGN)]
        faults += [f"manifest {id_} is marked, though it is whole" for (id_,) in query(self._after, _WRONGLY_MARKED)]
        if _KEPT in performance.endings and QUEUED in deleted:
            faults.append("an object was kept, and is deleted")
        return faults
