"""The operations that meet: the product's own functions, on what the props name. Each says in a word how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from functions.gc import deletions
from functions.gc.reviews import BLOBS, LINKS, MANIFESTS
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.metadata.content import blobs, manifests, moves, pushes, removal, repositories, tags
from functions.registry.metadata.content.manifests import ListedByIndex
from functions.registry.metadata.content.pushes import Push, ReferenceMissing
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import UploadUnknown
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import Tag
from functions.registry.uploading import finish as uploading
from functions.registry.wiring import Services
from tests.metadata.build import APP, OTHER, parts_of
from tests.races.gate import GatedDatabase
from tests.races.props import (
    CONFIG,
    IMAGE,
    INDEX,
    LAYER,
    LAYER_DIGEST,
    MOVED,
    MOVING,
    OTHER_IMAGE,
    SPARSE,
    SPARSE_INDEX,
    link,
    manifest,
    whole,
)
from tests.races.scenes import SCENES, Props

# More than is due in any scene.
_BATCH: Final = 20
SUCCEEDS: Final = "succeeds"
UNKNOWN_BLOB: Final = "answers MANIFEST_BLOB_UNKNOWN"
# Allowed only where the other takes it.
MISSES: Final = "answers MANIFEST_BLOB_UNKNOWN after the HEAD"


class BrokenPromise(AssertionError):
    """A client was told that something is there, and could not rely on it."""


@dataclass(slots=True)
class Bucket:
    """Stands in for the store, and stops before each request as before a statement. What is `lost` was gone before;
    both who act remember in `deleted` what was deleted.
    """

    database: GatedDatabase
    lost: frozenset[str]
    deleted: list[str]

    def delete_all(self, names: list[str]) -> dict[str, str]:
        self.database.gate.step("delete the objects")
        self.deleted += names
        return {}

    def size(self, name: str) -> int:
        self.database.gate.step("look at the object")
        if name in self.lost:
            raise ObjectMissing
        return len(LAYER)


@dataclass(frozen=True, slots=True)
class Cast:
    """One of the two who act: `who` is 0 or 1."""

    who: int
    database: GatedDatabase
    bucket: Bucket
    props: Props

    @property
    def services(self) -> Services:
        """Returns as much of them as is used here."""
        return cast(Services, _Services(self.database, self.bucket))


@dataclass(frozen=True, slots=True)
class _Services:
    database: GatedDatabase
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Operation:
    """In `scenes` it acts on what others act on too; in `also` it merely fails, unless the other helps it.

    What it `keeps` must be there once it succeeded, unless the other `takes` it. A collector meets no constraint:
    it has locked what it decides about.
    """

    name: str
    scenes: tuple[str, ...]
    act: Callable[[Cast], str]
    also: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def is_collector(self) -> bool:
        return self.name.startswith("collect")


def _put(cast_: Cast, payload: bytes, *names: Tag, accepts_missing: bool = False) -> str:
    push = Push(APP, Digest.of(payload), parse_manifest(payload, None), payload, names, accepts_missing)
    try:
        pushes.put(cast_.database, push)
    except ReferenceMissing as missing:
        return UNKNOWN_BLOB if missing.digests else "is refused, though nothing is missing"
    return SUCCEEDS


def _head_then_put(cast_: Cast) -> str:
    for content in IMAGE.blobs:
        if blobs.confirm(cast_.database, APP, Digest.of(content)) is None:
            return "finds no blob"
    told = _put(cast_, IMAGE.manifest, MOVING)
    if told != SUCCEEDS and repositories.exists(cast_.database, APP):
        raise BrokenPromise("HEAD found each blob, then the push missed one")
    return told


def _head_then_mount(cast_: Cast) -> str:
    if blobs.confirm(cast_.database, APP, LAYER_DIGEST) is None:
        return "finds no blob"
    if not blobs.mount(cast_.database, OTHER, LAYER_DIGEST, APP):
        if repositories.exists(cast_.database, APP):
            raise BrokenPromise("HEAD found the blob, then the mount missed it")
        return "finds no blob"
    return SUCCEEDS


def _head_then_index(cast_: Cast) -> str:
    if manifests.confirm(cast_.database, APP, IMAGE.digest) is None:
        return "finds no manifest"
    told = _put(cast_, INDEX, Tag("index"))
    return MISSES if told == UNKNOWN_BLOB and repositories.exists(cast_.database, APP) else told


def _commit(cast_: Cast) -> str:
    upload = cast_.props.uploads[cast_.who]
    try:
        uploading.commit(cast_.services, APP, upload, LAYER_DIGEST, *parts_of(upload))
    except UploadUnknown:
        return "finds no upload"
    return SUCCEEDS


def _mark(cast_: Cast) -> str:
    marked = [blobs.mark(cast_.database, LAYER_DIGEST, name) for name in cast_.props.lost]
    return SUCCEEDS if any(marked) else "finds nothing to mark"


def _mount(cast_: Cast) -> str:
    return SUCCEEDS if blobs.mount(cast_.database, APP, LAYER_DIGEST, OTHER) else "finds no blob"


def _untag(cast_: Cast) -> str:
    return SUCCEEDS if tags.delete(cast_.database, APP, MOVING) else "finds no tag"


def _delete_manifest(cast_: Cast) -> str:
    try:
        return SUCCEEDS if manifests.delete(cast_.database, APP, IMAGE.digest) else "finds no manifest"
    except ListedByIndex:
        return "is refused: an index lists it"


def _move(cast_: Cast) -> str:
    try:
        moves.move(cast_.database, APP, MOVED, with_below=False, dry_run=False)
    except moves.NothingToMove:
        return "finds no repository"
    except moves.NameTaken:
        return "finds the name taken"
    except moves.ImportUnfinished:
        return "waits for the import"
    return SUCCEEDS


def _remove(cast_: Cast) -> str:
    return "finds no repository" if removal.remove(cast_.database, APP) is None else SUCCEEDS


def _collect(level: Callable[[Services, int], int], name: str) -> Callable[[Cast], str]:
    """A level of garbage collection, and what became of the reviews that were due at the start."""

    def act(cast_: Cast) -> str:
        level(cast_.services, _BATCH)
        touched, due = cast_.database.gate.touched, cast_.props.due[name]
        reviewed, deleted = (touched.get(f"reviews_{did}_{name}s", 0) for did in ("claim", "delete"))
        parts = {"collects": deleted, "keeps": reviewed - deleted, "leaves": due - reviewed}
        return " and ".join(f"{what} {count}" for what, count in parts.items() if count > 0) or "finds nothing due"

    return act


def _collect_both(cast_: Cast) -> str:
    """Manifests, then at once their links: what the first queues is due at a grace of zero only."""
    return f"{_collect(MANIFESTS.collect, 'manifest')(cast_)}, then {_collect(LINKS.collect, 'link')(cast_)}"


def _delete_object(cast_: Cast) -> str:
    tried = deletions.collect(cast_.services, _BATCH)
    return "deletes it" if tried else "finds nothing due"


_LOSSY: Final = tuple(scene.name for scene in SCENES.values() if scene.is_lossy)
# Scenes that only differ in when what is there is reviewed: what collects and what deletes meets a HEAD in them.
_LATER: Final = ("fresh", "nearing", "settled")
_IMAGE_KEPT: Final = (manifest(IMAGE.manifest), link(CONFIG), link(LAYER))
_SPARSE_KEPT: Final = (manifest(SPARSE.manifest),)

OPERATIONS: Final = {
    operation.name: operation
    for operation in (
        Operation(
            "manifest PUT",
            ("linked", "untagged", "tagged", "listed"),
            lambda cast_: _put(cast_, IMAGE.manifest, MOVING),
            also=("elsewhere", "unlinked", *_LOSSY, *_LATER),
            keeps=_IMAGE_KEPT,
        ),
        Operation(
            "HEAD, then PUT",
            ("linked", "untagged", "tagged", *_LATER),
            _head_then_put,
            also=("elsewhere", "lost", "damaged"),
            keeps=_IMAGE_KEPT,
        ),
        Operation(
            "HEAD, then mount",
            ("linked", "untagged", *_LATER),
            _head_then_mount,
            keeps=(link(LAYER, OTHER),),
        ),
        Operation(
            "HEAD, then index PUT",
            ("untagged", "tagged", *_LATER),
            _head_then_index,
            keeps=(manifest(INDEX), manifest(IMAGE.manifest)),
        ),
        Operation(
            "sparse PUT",
            ("linked",),
            lambda cast_: _put(cast_, SPARSE.manifest, Tag("sparse"), accepts_missing=True),
            also=("elsewhere", "unlinked"),
            keeps=_SPARSE_KEPT,
        ),
        Operation(
            "index PUT",
            ("linked", "untagged", "tagged", "listed"),
            lambda cast_: _put(cast_, INDEX, Tag("index")),
            keeps=(manifest(INDEX), manifest(IMAGE.manifest)),
        ),
        Operation(
            "sparse index PUT",
            ("linked", "untagged"),
            lambda cast_: _put(cast_, SPARSE_INDEX, Tag("sparse"), accepts_missing=True),
            keeps=(manifest(SPARSE_INDEX),),
        ),
        Operation(
            "blob commit",
            ("elsewhere", "unlinked", "linked", "untagged", *_LOSSY),
            _commit,
            keeps=(link(LAYER), whole(LAYER)),
        ),
        Operation("mount", ("elsewhere", "linked", "untagged", "lost", "damaged"), _mount, keeps=(link(LAYER),)),
        Operation("mark", ("lost", "orphaned"), _mark),
        Operation(
            "tag move",
            ("tagged", "untagged"),
            lambda cast_: _put(cast_, OTHER_IMAGE.manifest, MOVING),
            keeps=(manifest(OTHER_IMAGE.manifest),),
        ),
        Operation("tag delete", ("tagged", "untagged"), _untag),
        Operation(
            "manifest delete",
            ("tagged", "untagged", "listed"),
            _delete_manifest,
            also=_LATER,
            takes=(manifest(IMAGE.manifest),),
        ),
        Operation("move", ("linked", "tagged", "elsewhere"), _move, also=("damaged",)),
        Operation(
            "repository delete",
            ("linked", "tagged", "elsewhere"),
            _remove,
            also=("damaged", *_LATER),
            takes=(
                *_IMAGE_KEPT,
                *_SPARSE_KEPT,
                *(manifest(payload) for payload in (INDEX, SPARSE_INDEX, OTHER_IMAGE.manifest)),
            ),
        ),
        Operation(
            "collect manifests",
            ("untagged", "tagged", "listed"),
            _collect(MANIFESTS.collect, "manifest"),
            also=_LATER,
        ),
        Operation(
            "collect links",
            ("linked", "elsewhere", "untagged"),
            _collect(LINKS.collect, "link"),
            also=(*_LOSSY, *_LATER),
        ),
        Operation("collect manifests, then links", (), _collect_both, also=("untagged", "tagged", *_LATER)),
        Operation("collect blobs", ("unlinked", "elsewhere", "linked"), _collect(BLOBS.collect, "blob"), also=_LOSSY),
        Operation("delete object", ("untagged",), _delete_object, also=("unlinked", *_LOSSY)),
    )
}
