"""Tries restore, purge, set aside and the end of the window against every operation that each may meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from functions.gc.reviews import TAGS
from functions.registry.metadata.content import manifests, removal, tags
from functions.registry.metadata.content.pushes import ReferenceMissing
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.history import deleted, ending, purging, restoring
from functions.registry.metadata.history.deleted import NameTaken, NotDeleted
from functions.registry.metadata.history.restoring import NothingToRestore, Wanted
from tests.metadata.build import APP, push_image, put, query
from tests.races import scenes
from tests.races.operations import OPERATIONS, SUCCEEDS, UNKNOWN_BLOB, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import (
    CONFIG,
    IMAGE,
    INDEX,
    LAYER,
    MOVING,
    OTHER_IMAGE,
    SIGNATURE,
    SIGNATURE_TAG,
    SPARSE,
    SPARSE_INDEX,
    link,
    manifest,
)
from tests.races.scenes import Scene
from tests.races.stage import Performance

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
_TAGS_DUE: Final = "UPDATE tag_reviews SET review_after = now() - interval '1 hour'"


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


def _signed(db: Database) -> None:
    _tagged(db)
    push_image(db, APP, SIGNATURE_TAG, image=SIGNATURE)
    manifests.delete(db, APP, IMAGE.digest)


def _left(db: Database) -> None:
    _signed(db)
    query(db, "DELETE FROM withdrawn_manifests")


UNDO_SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("deleted", "as *tagged*, and the tag is deleted", _untagged, reviews=_WITHIN),
        Scene("withdrawn", "as *tagged*, and the manifest is deleted by its digest", _withdrawn, reviews=_WITHIN),
        Scene("aside", "as *tagged*, and the repository is deleted", _set_aside, reviews=_WITHIN),
        Scene("deleted_over", "as *deleted*, after the window", _untagged, reviews=_OVER),
        Scene("withdrawn_over", "as *withdrawn*, after the window", _withdrawn, reviews=_OVER),
        Scene("aside_over", "as *aside*, after the window", _set_aside, reviews=_OVER),
        Scene(
            "signed",
            "as *withdrawn*, and a tag is named after the manifest: it is due for review",
            _signed,
            reviews=(*_WITHIN, _TAGS_DUE),
        ),
        Scene("signature_left", "as *signed*, after the window", _left, reviews=(*_OVER, _TAGS_DUE)),
    )
}
_HERE: Final = ("deleted", "withdrawn", "deleted_over", "withdrawn_over")
_ASIDE: Final = ("aside", "aside_over")
_SIGNED: Final = ("signed", "signature_left")


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


def _collect_tags(cast_: Cast) -> str:
    TAGS.collect(cast_.services, 10)
    touched = cast_.database.gate.touched
    if not touched.get("reviews_claim_tags"):
        return "finds nothing due"
    return "takes the signature" if touched.get("reviews_delete_tags") else "leaves the signature"


def _sign(cast_: Cast) -> str:
    try:
        put(cast_.database, APP, SIGNATURE.manifest, SIGNATURE_TAG)
    except ReferenceMissing:
        return UNKNOWN_BLOB
    return SUCCEEDS


_IMAGE_KEPT: Final = (manifest(IMAGE.manifest), link(CONFIG), link(LAYER))
_ALL: Final = (
    *_IMAGE_KEPT,
    *(
        manifest(payload)
        for payload in (INDEX, SPARSE_INDEX, SPARSE.manifest, OTHER_IMAGE.manifest, SIGNATURE.manifest)
    ),
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
COLLECT_TAGS: Final = Operation("collect auxiliary tags", _SIGNED, _collect_tags)
SIGN: Final = Operation("signature PUT", _SIGNED, _sign, keeps=(manifest(SIGNATURE.manifest),))
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
    *(
        Pair(COLLECT_TAGS, replace(other, scenes=_SIGNED, also=()))
        for other in (
            SIGN,
            RESTORE,
            PURGE,
            SET_ASIDE,
            END_WITHDRAWN,
            *_others(
                "manifest PUT",
                "HEAD, then PUT",
                "tag move",
                "move",
                "collect manifests",
                "collect links",
                scenes=_SIGNED,
            ),
        )
    ),
    Pair(COLLECT_TAGS, COLLECT_TAGS),
    Pair(PUT_BACK, PUT_BACK),
    Pair(PUT_BACK, END_REPOSITORY),
    Pair(END_REPOSITORY, END_REPOSITORY),
]


# A signature belongs to what it signs: while that is here, or can be put back, it stays; afterwards it is looked at.
_SIGNATURE: Final = """
    SELECT EXISTS (SELECT FROM tags WHERE name = :tag),
           EXISTS (SELECT FROM tag_reviews WHERE tag = :tag),
           EXISTS (SELECT FROM manifests WHERE digest = tag_subject(:tag)
                   UNION ALL SELECT FROM withdrawn_manifests WHERE digest = tag_subject(:tag) AND until > now())
"""
_PUSHES: Final = {"manifest PUT", "HEAD, then PUT"}


class UndoArena(Arena):
    """What is deleted can be put back here, for a week, with its signature."""

    def __init__(self, url: str) -> None:
        connection = Connection(url)
        connection.simple("UPDATE gc_settings SET grace = '7 days' WHERE event = 'undo'")
        connection.close()
        super().__init__(url, UNDO_SCENES)
        self._after = Database(url, size=1)
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _look(self, pair: Pair, performance: Performance, _: set[str]) -> list[str]:
        if COLLECT_TAGS.name not in pair.names:
            return []
        [[is_here, is_reviewed, has_subject]] = query(self._after, _SIGNATURE, tag=SIGNATURE_TAG)
        did = {name for name, ending in zip(pair.names, performance.endings, strict=True) if ending == SUCCEEDS}
        faults = []
        if not is_here and (SIGN.name in did or (has_subject and not did & _PUSHES)):
            faults.append("a signature is gone whose subject is there, or that was pushed just now")
        if is_here and not has_subject and not is_reviewed and SIGN.name not in did:
            faults.append("nothing will look at the signature again")
        return faults
