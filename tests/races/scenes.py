"""What lies in the registry when two operations meet. Built once by the product, then put back before each schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.content import blobs, uploads
from functions.registry.metadata.content.uploads import Upload
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from tests.kept_rows import keep, put_back
from tests.metadata.build import APP, OTHER, push_blob, put, query, start_upload, write_part
from tests.races.props import (
    CONFIG,
    CONFIG_DIGEST,
    IMAGE,
    LAYER,
    LAYER_DIGEST,
    MOVING,
    OTHER_IMAGE,
    REFERRER,
    UNTAGGED_INDEX,
)

# The grace is over of every manifest, and of the blobs that are fought over.
_MAKE_DUE: Final = (
    "UPDATE manifest_reviews SET review_after = now() - interval '1 hour'",
    "UPDATE link_reviews SET review_after = now() - interval '1 hour' WHERE digest IN (:config, :layer)",
    "UPDATE blob_reviews SET review_after = now() - interval '1 hour'",
    "UPDATE deletions SET not_before = now() - interval '1 hour'",
)
# Half a lease is twelve hours: of what is due later, a HEAD writes nothing.
_PUT_OFF: Final = (
    "UPDATE manifest_reviews SET review_after = now() + interval '{hours} hours'",
    "UPDATE link_reviews SET review_after = now() + interval '{hours} hours'",
)
# What something holds has been looked at, and has no review any more.
_SETTLE: Final = (
    "DELETE FROM manifest_reviews WHERE is_reached(manifest_id)",
    """DELETE FROM link_reviews AS review USING manifest_blobs AS named
        WHERE named.repository_id = review.repository_id AND named.digest = review.digest""",
)


def _in_hours(hours: int) -> tuple[str, ...]:
    return tuple(sql.format(hours=hours) for sql in _PUT_OFF)


@dataclass(frozen=True, slots=True)
class Scene:
    """`told` says what is there; `build` makes it. Where it `is_lossy`, the layer's object is gone from the store.

    `reviews` are the statements that say when what is there is reviewed.
    """

    name: str
    told: str
    build: Callable[[Database], None]
    is_lossy: bool = False
    reviews: tuple[str, ...] = _MAKE_DUE


@dataclass(frozen=True, slots=True)
class Props:
    """What must be known of a scene: an upload for each, the reviews due at each level, all objects, the sizes of those
    that are blobs, those that are gone from the store, and those that are marked as damaged.
    """

    uploads: tuple[Upload, Upload]
    due: dict[str, int]
    objects: frozenset[str]
    sizes: dict[str, int]
    lost: frozenset[str]
    damaged: frozenset[str]


_DAMAGED: Final = "SELECT object_name FROM blobs WHERE damaged_at IS NOT NULL"
_SIZES: Final = "SELECT object_name, size FROM blobs"
_LAYERS_OBJECT: Final = "SELECT object_name FROM blobs WHERE digest = :layer"


def _another_image(db: Database) -> None:
    for content in OTHER_IMAGE.blobs:
        push_blob(db, APP, content)
    put(db, APP, OTHER_IMAGE.manifest, MOVING)


def _blobs(db: Database) -> None:
    for content in (CONFIG, LAYER):
        push_blob(db, APP, content)
    blobs.mount(db, OTHER, LAYER_DIGEST, APP)


def _linked(db: Database) -> None:
    _another_image(db)
    _blobs(db)


def _elsewhere(db: Database) -> None:
    _linked(db)
    blobs.delete(db, APP, LAYER_DIGEST)


def _unlinked(db: Database) -> None:
    _elsewhere(db)
    blobs.delete(db, OTHER, LAYER_DIGEST)


def _untagged(db: Database) -> None:
    _linked(db)
    put(db, APP, IMAGE.manifest)
    put(db, APP, REFERRER)


def _listed(db: Database) -> None:
    _untagged(db)
    put(db, APP, UNTAGGED_INDEX)


def _tagged(db: Database) -> None:
    """The tag moves from the other image to this one."""
    _untagged(db)
    put(db, APP, IMAGE.manifest, MOVING)


def _damaged(db: Database) -> None:
    _linked(db)
    ((name,),) = query(db, _LAYERS_OBJECT, layer=LAYER_DIGEST.to_bytes())
    blobs.mark(db, LAYER_DIGEST, name)


SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("linked", "the repository links the blobs, and no manifest names them", _linked),
        Scene("elsewhere", "another repository links the layer, this one no longer does", _elsewhere),
        Scene("unlinked", "no repository links the layer any more", _unlinked),
        Scene("untagged", "the manifest and its referrer are there, and the tag is on another manifest", _untagged),
        Scene("listed", "as *untagged*, and an untagged index lists the manifest", _listed),
        Scene("tagged", "the tag is on the manifest, which has a referrer; the other manifest has lost it", _tagged),
        Scene("fresh", "as *untagged*, but all reviews are 23 hours away", _untagged, reviews=_in_hours(23)),
        Scene("nearing", "as *untagged*, but all reviews are 11 hours away", _untagged, reviews=_in_hours(11)),
        Scene("settled", "as *tagged*, but what is held has no review any more", _tagged, reviews=_SETTLE),
        Scene("lost", "as *linked*, but the layer's object is gone, and nobody has noticed", _linked, is_lossy=True),
        Scene("damaged", "as *lost*, but the blob is marked as damaged", _damaged, is_lossy=True),
        Scene("orphaned", "as *unlinked*, and the layer's object is gone too", _unlinked, is_lossy=True),
    )
}

_COUNT_DUE: Final = """
    SELECT (SELECT count(*) FROM manifest_reviews WHERE review_after < now()),
           (SELECT count(*) FROM link_reviews WHERE review_after < now()),
           (SELECT count(*) FROM blob_reviews WHERE review_after < now())
"""
_OBJECTS: Final = """
    SELECT object_name FROM blobs UNION SELECT object_name FROM upload_objects UNION SELECT object_name FROM deletions
"""


class Scenery:
    """Keeps each scene that was built."""

    def __init__(self, url: str, scenes: Mapping[str, Scene] = SCENES) -> None:
        self._scenes = scenes
        self._connection = Connection(url)
        self._database = Database(url, size=1)
        self._props: dict[str, Props] = {}
        keep(self._connection, "empty")

    def close(self) -> None:
        self._database.close()
        self._connection.close()

    def set(self, scene: str) -> Props:
        """The registry holds that scene, and nothing else."""
        if scene not in self._props:
            put_back(self._connection, "empty")
            self._props[scene] = self._build(self._scenes[scene])
            keep(self._connection, scene)
        else:
            put_back(self._connection, scene)
        return self._props[scene]

    def _build(self, scene: Scene) -> Props:
        db = self._database
        scene.build(db)
        pending = write_part(db, start_upload(db))
        uploads.cancel(db, APP, pending.id)
        open_uploads = (
            write_part(db, start_upload(db), len(LAYER)),
            write_part(db, start_upload(db), len(LAYER)),
        )
        blobs_ = {"config": CONFIG_DIGEST.to_bytes(), "layer": LAYER_DIGEST.to_bytes()}
        self._connection.run([(sql, blobs_ if ":layer" in sql else {}) for sql in scene.reviews])
        (due,) = query(db, _COUNT_DUE)
        objects = frozenset(name for (name,) in query(db, _OBJECTS))
        layers = query(db, _LAYERS_OBJECT, layer=LAYER_DIGEST.to_bytes())
        lost = frozenset(name for (name,) in layers if scene.is_lossy)
        sizes = dict(query(db, _SIZES))
        damaged = frozenset(name for (name,) in query(db, _DAMAGED))
        due_by_level = dict(zip(("manifest", "link", "blob"), due, strict=True))
        return Props(open_uploads, due_by_level, objects, sizes, lost, damaged)
