"""What an older registry holds of the props, and the scenes in which it is moved in: in lead, with all names known."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from functions.migrate.imports.batch import Batch, Work, list_batch
from functions.migrate.imports.bulk import Importing
from functions.migrate.imports.delta import Delta
from functions.migrate.imports.reading import Payloads
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.imports import links, names
from functions.registry.imports.origin import Blobs, Origin
from functions.registry.imports.sources import OpenSources
from functions.registry.imports.touch import Touching
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import adoption, claims, sources
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.bulk import listed
from functions.registry.metadata.imports.bulk.listed import ListedRepository
from functions.registry.metadata.imports.opened import OpenSource
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT, ListedTag
from functions.registry.oci.digest import Digest
from tests.metadata.build import APP, push_blob, put, query
from tests.races.props import IMAGE, INDEX, MOVING, OTHER_IMAGE, REFERRER
from tests.races.scenes import Scene
from tests.support import Image

NEWER: Final = Image(config=b'{"of": "a newer image"}', layers=(b"newer layer",))
_THEN: Final = datetime(2021, 1, 1, tzinfo=UTC)
SOURCE_ID: Final = 1
_DEADLINE: Final = 1e12
# What was claimed may be claimed again.
PASS_LEASE: Final = "UPDATE import_repositories SET lease_until = '-infinity', due_at = now() WHERE lease_until > now()"
_LARGEST_MANIFEST: Final = 1 << 22


@dataclass
class Shelf:
    """A layout that nobody changes while two operations meet; a place to read from."""

    objects: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        self.objects[LAYOUT_ROOT + name] = (content, len(self.objects) + 1)

    def push(self, payload: bytes, contents: tuple[bytes, ...], *tags: str) -> None:
        for content in contents:
            digest = Digest.of(content)
            self.write(names.blob_name(digest), content)
            self.write(names.layer_link_name(APP, digest), str(digest).encode())
        digest = Digest.of(payload)
        self.write(names.blob_name(digest), payload)
        self.write(names.revision_link_name(APP, digest), str(digest).encode())
        for tag in tags:
            self.write(names.history_link_name(APP, tag, digest), str(digest).encode())
            self.write(names.current_link_name(APP, tag), str(digest).encode())

    def later(self) -> Shelf:
        return Shelf(dict(self.objects))

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        found = [
            self._stored(name)
            for name in sorted(self.objects)
            if name.startswith(prefix) and name > after and (not before or name < before)
        ]
        return ObjectPage(found, is_last=True)

    def find(self, name: str) -> StoredObject | None:
        return self._stored(name) if name in self.objects else None

    def read(self, name: str, most: int) -> bytes:
        if name not in self.objects:
            raise ObjectMissing(name)
        return self.objects[name][0][:most]

    def folders(self, prefix: str) -> list[str]:
        raise NotImplementedError(prefix)

    def blobs(self) -> list[FoundBlob]:
        parts = [(names.parse(name.removeprefix(LAYOUT_ROOT)), name) for name in sorted(self.objects)]
        return [
            FoundBlob(part.digest, len(self.objects[name][0]), name, _THEN)
            for part, name in parts
            if isinstance(part, names.BlobData)
        ]

    def _stored(self, name: str) -> StoredObject:
        content, generation = self.objects[name]
        digest = links.read(content)
        md5 = links.sum_of(digest) if digest is not None else None
        return StoredObject(name, len(content), md5, None, _THEN + timedelta(minutes=generation), generation)


def _as_it_was() -> Shelf:
    shelf = Shelf()
    shelf.push(IMAGE.manifest, IMAGE.blobs, MOVING, "v1")
    shelf.push(INDEX, (), "index")
    shelf.push(REFERRER, ())
    return shelf


OLD: Final = _as_it_was()
# The tag that is fought over was moved there, or deleted.
MOVED_ON: Final = OLD.later()
MOVED_ON.push(NEWER.manifest, NEWER.blobs, MOVING)
GONE: Final = OLD.later()
del GONE.objects[LAYOUT_ROOT + names.current_link_name(APP, MOVING)]


class _Inline:
    """Does everything at once, on the thread that asks."""

    map = staticmethod(map)


class _Steady:
    """A pace that never changes, and asks nobody."""

    manifests = 500
    repositories = 50

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        yield


class _Known(OpenSources):
    """As a process knows it that has asked before."""

    def known(self) -> list[OpenSource]:
        return [
            OpenSource(
                id=SOURCE_ID,
                kind="layout",
                address="gs://bucket",
                prefix=LAYOUT_ROOT,
                is_listed=True,
                is_followed=False,
                renames={},
            )
        ]


def touching(database: Database) -> Touching:
    return Touching(database, _Known(database), lambda _: _blobs(database, OLD), _LARGEST_MANIFEST)


def _blobs(database: Database, shelf: Shelf) -> Blobs:
    origin = Origin(SOURCE_ID, shelf, LAYOUT_ROOT, "bucket", is_here=True)
    return Blobs(origin, database, cast(Bucket, None), cast(Any, _Inline()))


def work_at(database: Database, shelf: Shelf, then: Callable[[], None] = lambda: None) -> bool:
    """One piece of a worker's: whatever is due of the source, imported or compared. False if nothing is. `then` happens
    once it has listed what it claimed.
    """
    source = next(iter(claims.sources_at_work(database)), None)
    if source is None:
        return False
    origin = Origin(source.id, shelf, LAYOUT_ROOT, "bucket", is_here=True)
    pool = cast(Any, _Inline())
    blobs = Blobs(origin, database, cast(Bucket, None), pool)
    work = Work(source, origin, blobs, database, pool, cast(Any, _Steady()), _LARGEST_MANIFEST)
    batch = list_batch(work, claims.claim(database, source.id, 10, 1_000_000))
    then()
    for kind, state in ((Importing, "importing"), (Delta, "imported")):
        part: Batch = batch.part(lambda member, state=state: member.claim.state == state)  # type: ignore[misc]
        if part.members:
            kind(part, Payloads(work), _DEADLINE).run()
    return bool(batch.members)


def _open(db: Database) -> None:
    # In each scene the same, for scenes are put back from copies.
    query(db, "SELECT setval(pg_get_serial_sequence('import_sources', 'id'), :id, false)", id=SOURCE_ID)
    source = sources.add(db, NewSource("layout", "gs://bucket", LAYOUT_ROOT))
    sources.set_mode(db, source.id, "lead")
    sources.open_up(db, source.id)
    sources.begin_listing(db, source.id)


def _list(db: Database) -> None:
    adoption.adopt(db, OLD.blobs())
    tags = [
        ListedTag(tag, digest, stored.generation, stored.updated, stored.updated)
        for tag, digest in ((MOVING, IMAGE.digest), ("v1", IMAGE.digest), ("index", Digest.of(INDEX)))
        if (stored := OLD.find(LAYOUT_ROOT + names.current_link_name(APP, tag))) is not None
    ]
    noted = ListedRepository(str(APP), str(APP), tags, 3, 2, len(OLD.objects), _THEN, _THEN)
    db.transaction(lambda session: listed.put(session, SOURCE_ID, [noted], _THEN))
    query(db, "UPDATE import_sources SET state = 'open', listed_at = now()")


def _old(db: Database) -> None:
    _open(db)
    _list(db)


def _touched(db: Database) -> None:
    _old(db)
    touching(db).fetch_manifest(APP, MOVING)


def _pushed(db: Database) -> None:
    _old(db)
    for content in OTHER_IMAGE.blobs:
        push_blob(db, APP, content)
    put(db, APP, OTHER_IMAGE.manifest, MOVING)


def _ours(db: Database) -> None:
    """The blobs are here under names of this registry when they are listed there, and nothing links them."""
    _open(db)
    for content in IMAGE.blobs:
        push_blob(db, APP, content)
    query(db, "DELETE FROM repository_blobs")
    _list(db)


def _settled(db: Database) -> None:
    _old(db)
    work_at(db, OLD)


def _imported(db: Database) -> None:
    _settled(db)
    query(db, "UPDATE import_repositories SET due_at = now() - interval '1 minute', lease_until = '-infinity'")


IMPORT_SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("old", "only the older registry has the image, its index and its referrer, and all is listed", _old),
        Scene("touched", "as *old*, and the tag was fetched", _touched),
        Scene("pushed", "as *old*, and the tag was pushed here with another image", _pushed),
        Scene("ours", "as *old*, but the blobs lie here under names of this registry, and nothing links them", _ours),
        Scene("imported", "as *old*, and all was imported; a comparison is due", _imported),
        Scene("settled", "as *old*, and all was imported; nothing is due", _settled),
    )
}
