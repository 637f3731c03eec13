"""What lies in the registry when a step of a check, a repair or a backup meets something else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from functions.registry.metadata.backups import runs
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.vocabulary import Found, Kind
from functions.registry.metadata.content import blobs
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from tests.metadata.build import APP, query, set_grace, value
from tests.races.old_layout import IMPORT_SCENES
from tests.races.props import IMAGE, LAYER_DIGEST
from tests.races.scenes import SCENES, Scene
from tests.races.undo_pairs import UNDO_SCENES

CHECK_ID: Final = 1
# One for each of the two who act.
PIECES: Final = (1, 2)
QUEUED: Final = f"blobs/{uuid.UUID(int=1)}/{'0' * 12}"
_OPTIONS: Final = {"repair": True, "delete_unknown": True, "yes": True}
_PIECE: Final = """
    INSERT INTO check_pieces (id, check_id, step, lease, lease_until) OVERRIDING SYSTEM VALUE
    VALUES (:id, 1, 'repair', 1, 'infinity')
"""
_UNDO_FOR_A_WEEK: Final = "UPDATE gc_settings SET grace = '7 days' WHERE event = 'undo'"
_OBJECT_OF: Final = "SELECT object_name FROM blobs WHERE digest = :digest"
_MANIFEST_OF: Final = "SELECT id FROM manifests WHERE digest = :digest"
_REPOSITORY: Final = "SELECT id FROM repositories WHERE name = :name"
# As many bytes, of which one is another: a size is not what it was.
_SPOIL: Final = """
    UPDATE manifests
       SET payload = convert_to(regexp_replace(convert_from(payload, 'UTF8'), '("size": ?)[0-9]', '\\19'), 'UTF8')
     WHERE digest = :digest
"""
_FORGET: Final = "DELETE FROM manifest_blobs WHERE digest = :layer AND manifest_id = :id"
_REVIEW_LATER: Final = """
    INSERT INTO link_reviews (repository_id, digest, review_after, event) VALUES (:id, :layer, now() + '1 day', 'push')
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after
"""


def _note(db: Database, kind: Kind, subject: str, digest: Digest | None = None) -> None:
    db.batch(findings.noting(CHECK_ID, [Found(kind, subject, "as a check has found it", digest, size=1)]))


def _past_triggers(db: Database, sql: str, **values: object) -> None:
    """Does it as if it had never been, or somebody had a hand in it."""
    query(db, "SET session_replication_role = replica")
    query(db, sql, **values)
    query(db, "RESET session_replication_role")


def _layers_object(db: Database) -> str:
    return str(value(db, _OBJECT_OF, digest=LAYER_DIGEST.to_bytes()))


def _found(db: Database) -> None:
    _note(db, "missing", _layers_object(db), LAYER_DIGEST)


def _restored(db: Database) -> None:
    name = _layers_object(db)
    blobs.mark(db, LAYER_DIGEST, name)
    _note(db, "marked", name, LAYER_DIGEST)


def _images_id(db: Database) -> int:
    return int(value(db, _MANIFEST_OF, digest=IMAGE.digest.to_bytes()))


def _forgotten(db: Database) -> None:
    layer, id_ = LAYER_DIGEST.to_bytes(), _images_id(db)
    _past_triggers(db, _FORGET, layer=layer, id=id_)
    query(db, _REVIEW_LATER, layer=layer, id=value(db, _REPOSITORY, name=str(APP)))
    _note(db, "references", str(id_), IMAGE.digest)


def _spoiled(db: Database) -> None:
    _past_triggers(db, _SPOIL, digest=IMAGE.digest.to_bytes())
    _note(db, "manifest", str(_images_id(db)), IMAGE.digest)


def _leaked_manifest(db: Database) -> None:
    id_ = _images_id(db)
    query(db, "DELETE FROM manifest_reviews WHERE manifest_id = :id", id=id_)
    _note(db, "leaked_manifest", str(id_), IMAGE.digest)


def _leaked_link(db: Database) -> None:
    id_ = value(db, _REPOSITORY, name=str(APP))
    query(db, "DELETE FROM link_reviews WHERE repository_id = :id AND digest = :d", id=id_, d=LAYER_DIGEST.to_bytes())
    _note(db, "leaked_link", f"{id_}/{LAYER_DIGEST}", LAYER_DIGEST)


def _leaked_blob(db: Database) -> None:
    query(db, "DELETE FROM blob_reviews WHERE digest = :digest", digest=LAYER_DIGEST.to_bytes())
    _note(db, "leaked_blob", str(LAYER_DIGEST), LAYER_DIGEST)


def _queued(db: Database) -> None:
    """An unknown object was queued for deletion, and its seven days are over."""
    _note(db, "unknown", QUEUED)
    query(db, "INSERT INTO deletions (object_name, size, not_before) VALUES (:name, 1, now())", name=QUEUED)
    query(db, "UPDATE findings SET action = 'queued', acted_at = now(), gone_at = now()")


def _under_way(db: Database, build: Callable[[Database], None], planted: Callable[[Database], None] | None) -> None:
    """In each scene the same numbers, for scenes are put back from copies. What was garbage goes at once."""
    build(db)
    set_grace(db, delete=0)
    query(db, "SELECT setval(pg_get_serial_sequence('checks', 'id'), :id, false)", id=CHECK_ID)
    checks.start(db, "somebody", _OPTIONS)
    for id_ in PIECES:
        query(db, _PIECE, id=id_)
    if planted is not None:
        planted(db)
    runs.ask(db, "backup", "gs://elsewhere")


def _scene(
    scene: Scene,
    planted: Callable[[Database], None] | None = None,
    *,
    name: str = "",
    told: str = "",
    undo: bool = False,
) -> Scene:
    def build(db: Database) -> None:
        if undo:
            query(db, _UNDO_FOR_A_WEEK)
        _under_way(db, scene.build, planted)

    return replace(scene, name=name or scene.name, told=told or scene.told, build=build)


PLAIN: Final = ("linked", "elsewhere", "unlinked", "untagged", "listed", "tagged", "lost", "damaged", "orphaned")
_PLANTED: Final = (
    _scene(SCENES["lost"], _found, name="found", told="as *lost*, and a check has found it"),
    _scene(
        SCENES["linked"],
        _restored,
        name="restored",
        told="as *linked*, and the blob is marked as damaged though somebody has restored its object",
    ),
    _scene(SCENES["tagged"], _forgotten, name="forgotten", told="as *tagged*, but no row says that it needs the layer"),
    _scene(SCENES["tagged"], _spoiled, name="spoiled", told="as *tagged*, but the manifest has other bytes"),
    _scene(
        SCENES["untagged"], _leaked_manifest, name="leaked_manifest", told="as *untagged*, but it waits for no review"
    ),
    _scene(SCENES["linked"], _leaked_link, name="leaked_link", told="as *linked*, but the link waits for no review"),
    _scene(
        SCENES["unlinked"], _leaked_blob, name="leaked_blob", told="as *unlinked*, but the blob waits for no review"
    ),
    _scene(
        SCENES["linked"],
        _queued,
        name="queued",
        told="as *linked*, and the seven days are over of an unknown object that a repair has queued for deletion",
    ),
)
CHECK_SCENES: Final = {
    scene.name: scene
    for scene in (
        *(_scene(SCENES[name]) for name in PLAIN),
        *_PLANTED,
        *(_scene(scene, undo=True) for scene in UNDO_SCENES.values()),
        *(_scene(scene) for scene in IMPORT_SCENES.values()),
    )
}
# What is wrong in a scene, so that a check may find it.
TRUE: Final[dict[str, set[str]]] = {
    **{name: {"missing"} for name in ("lost", "damaged", "orphaned", "found")},
    "restored": {"marked"},
    "forgotten": {"references"},
    "spoiled": {"manifest"},
    "queued": {"unknown"},
    **{kind: {kind} for kind in ("leaked_manifest", "leaked_link", "leaked_blob")},
}
