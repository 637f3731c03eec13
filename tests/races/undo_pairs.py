"""Tries restore, purge, set aside and the end of the window against every operation that each may meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from functions.registry.metadata.content import manifests, removal, tags
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.history import deleted, ending, purging, restoring
from functions.registry.metadata.history.deleted import NameTaken, NotDeleted
from functions.registry.metadata.history.restoring import NothingToRestore, Wanted
from tests.metadata.build import APP
from tests.races import scenes
from tests.races.operations import OPERATIONS, SUCCEEDS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import CONFIG, IMAGE, INDEX, LAYER, MOVING, OTHER_IMAGE, SPARSE, SPARSE_INDEX, link, manifest
from tests.races.scenes import Scene

# What can be put back is far away; all else is due.
_WITHIN: Final = (
    """UPDATE manifest_reviews SET review_after = now() - interval '1 hour'
        WHERE review_after < now() + interval '3 days'""",
    """UPDATE link_reviews SET review_after = now() - interval '1 hour'
        WHERE review_after < now() + interval '3 days' AND digest IN (:config, :layer)""",
    "UPDATE blob_reviews SET review_after = now() - interval '1 hour'",
    "UPDATE deletions SET not_before = now() - interval '1 hour'",
)
_OVER: Final = (
    "UPDATE manifest_reviews SET review_after = now() - interval '1 hour'",
    "UPDATE link_reviews SET review_after = now() - interval '1 hour' WHERE digest IN (:config, :layer)",
    "UPDATE withdrawn_manifests SET until = now() - interval '1 hour'",
    "UPDATE repositories SET deleted_until = now() - interval '1 hour' WHERE deleted_at IS NOT NULL",
    "UPDATE blob_reviews SET review_after = now() - interval '1 hour'",
    "UPDATE deletions SET not_before = now() - interval '1 hour'",
)


def _tagged(db: Database) -> None:
    scenes.SCENES["tagged"].build(db)


def _untagged(db: Database) -> None:
    _tagged(db)
    tags.delete(db, APP, MOVING)


def _withdrawn(db: Database) -> None:
    _tagged(db)
    manifests.delete(db, APP, IMAGE.digest)


def _set_aside(db: Database) -> None:
    _tagged(db)
    removal.remove(db, APP)


UNDO_SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("deleted", "as *tagged*, and the tag is deleted", _untagged, reviews=_WITHIN),
        Scene("withdrawn", "as *tagged*, and the manifest is deleted by its digest", _withdrawn, reviews=_WITHIN),
        Scene("aside", "as *tagged*, and the repository is deleted", _set_aside, reviews=_WITHIN),
        Scene("deleted_over", "as *deleted*, after the window", _untagged, reviews=_OVER),
        Scene("withdrawn_over", "as *withdrawn*, after the window", _withdrawn, reviews=_OVER),
        Scene("aside_over", "as *aside*, after the window", _set_aside, reviews=_OVER),
    )
}
_HERE: Final = ("deleted", "withdrawn", "deleted_over", "withdrawn_over")
_ASIDE: Final = ("aside", "aside_over")


def _restore(cast_: Cast) -> str:
    try:
        restoring.restore(cast_.database, Wanted(APP, MOVING, IMAGE.digest))
    except NothingToRestore as nothing:
        return f"answers: {'collected' if 'collected' in str(nothing) else 'nothing'}"
    return SUCCEEDS


def _purge(cast_: Cast) -> str:
    done = purging.purge(cast_.database, APP, None)
    return "finds no repository" if done is None else "purges some" if done.manifests else "finds nothing"


def _end_withdrawn(cast_: Cast) -> str:
    return f"ends {ending.end_withdrawn(cast_.database, 10)}"


def _end_repository(cast_: Cast) -> str:
    rows = 0
    while more := ending.end_repository(cast_.database, 2):
        rows += more
    return "ends it" if rows else "finds nothing"


def _put_back(cast_: Cast) -> str:
    try:
        deleted.put_back(cast_.database, APP)
    except NotDeleted:
        return "finds nothing deleted"
    except NameTaken:
        return "finds the name taken"
    return SUCCEEDS


_IMAGE_KEPT: Final = (manifest(IMAGE.manifest), link(CONFIG), link(LAYER))
_ALL: Final = (
    *_IMAGE_KEPT,
    *(manifest(payload) for payload in (INDEX, SPARSE_INDEX, SPARSE.manifest, OTHER_IMAGE.manifest)),
)
RESTORE: Final = Operation("restore", _HERE, _restore, keeps=_IMAGE_KEPT)
PURGE: Final = Operation("purge", _HERE, _purge)
END_WITHDRAWN: Final = Operation("end withdrawn", ("withdrawn_over",), _end_withdrawn)
SET_ASIDE: Final = Operation(
    "set aside",
    _HERE,
    lambda cast_: "finds none" if removal.remove(cast_.database, APP) is None else SUCCEEDS,
    takes=_ALL,
)
PUT_BACK: Final = Operation("put back", _ASIDE, _put_back, keeps=_IMAGE_KEPT)
END_REPOSITORY: Final = Operation("end repository", ("aside_over",), _end_repository)
_MET: Final = (
    "manifest PUT",
    "HEAD, then PUT",
    "tag move",
    "tag delete",
    "manifest delete",
    "move",
    "mount",
    "blob commit",
    "collect manifests",
    "collect links",
    "collect blobs",
)


def _others(*names: str, scenes: tuple[str, ...]) -> list[Operation]:
    return [replace(OPERATIONS[name], scenes=scenes, also=()) for name in names]


_IN_REPOSITORY: Final = (RESTORE, PURGE, END_WITHDRAWN, SET_ASIDE)
UNDO_PAIRS: Final = [
    *(
        Pair(one, other)
        for one in _IN_REPOSITORY
        for other in _others(*_MET, scenes=_HERE)
        # It may break what a HEAD promised, and says so.
        if (one.name, other.name) != ("purge", "HEAD, then PUT")
    ),
    *(Pair(one, other) for place, one in enumerate(_IN_REPOSITORY) for other in _IN_REPOSITORY[place:]),
    *(
        Pair(one, other)
        for one in (PUT_BACK, END_REPOSITORY)
        for other in _others(
            "manifest PUT", "mount", "collect manifests", "collect links", "collect blobs", scenes=_ASIDE
        )
    ),
    Pair(PUT_BACK, PUT_BACK),
    Pair(PUT_BACK, END_REPOSITORY),
    Pair(END_REPOSITORY, END_REPOSITORY),
]


class UndoArena(Arena):
    """What is deleted can be put back here, for a week."""

    def __init__(self, url: str) -> None:
        connection = Connection(url)
        connection.simple("UPDATE gc_settings SET grace = '7 days' WHERE event = 'undo'")
        connection.close()
        super().__init__(url, UNDO_SCENES)
