"""One thing that a client asked for and that only a source has: a tag, a manifest or a link, taken over at this moment.

Two transactions: the links, as an upload would have made them, then what names them. Each may be run again, and finds
what is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement
from functions.registry.metadata.imports import adoption, content, mode
from functions.registry.metadata.imports.adoption import FoundBlob
from functions.registry.metadata.imports.content import IncomingLink, IncomingManifest
from functions.registry.metadata.imports.touching import steps
from functions.registry.metadata.imports.touching.steps import BeginAnew, Ended, Standing
from functions.registry.metadata.imports.vocabulary import ListedTag
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest
from functions.registry.oci.name import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """`payload` is exactly what its source keeps, of which `digest` is true; `pushed_at` as it is there."""

    digest: Digest
    manifest: Manifest
    payload: bytes
    pushed_at: datetime

    @property
    def blobs(self) -> list[Digest]:
        """Returns all that it names, each once, in order; not what an index lists, which may be manifests."""
        return sorted({*self.manifest.required_blobs, *self.manifest.optional_blobs})


@dataclass(frozen=True, slots=True)
class Touch:
    """What was read: a manifest, those of its blobs that were found because no row told of them, and the tag.

    `present` are all of its blobs that the store has. `listed` is the tag as it was read, None if the listing told it.
    """

    source_id: int
    repository: RepositoryName
    fetched: FetchedManifest
    found: Sequence[FoundBlob]
    present: Sequence[Digest]
    tag: Tag | None = None
    listed: ListedTag | None = None


# A repository that nobody has listed yet. What is deleted here later is known by this row.
_NOTE: Final = Statement(
    "imports_note_repository",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, asked_at)
    SELECT id, :path, :name, now() FROM import_sources
     WHERE id = :source_id AND (listed_at IS NULL OR import_mode(id, :name) = 'follow')
       AND state NOT IN ('added', 'opening', 'sealing', 'sealed')
    ON CONFLICT DO NOTHING
    """,
)

# Only forward: another may have read it later, and written it sooner.
_NOTE_TAG: Final = Statement(
    "imports_note_tag",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at)
    VALUES (:import_id, :name, :digest, :generation, :created_at, :updated_at)
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, created_at = excluded.created_at,
           updated_at = excluded.updated_at
     WHERE base.state = 'listed' AND excluded.generation > base.generation
    """,
)

_ASK: Final = Statement(
    "imports_ask_for_repository",
    int,
    """
    UPDATE import_repositories
       SET asked_at = now(), due_at = CASE WHEN lease_until > now() THEN due_at ELSE least(due_at, now()) END
     WHERE id = :id AND asked_at IS NULL AND state IN ('listed', 'importing')
    """,
)


def note_repository(db: Database, source_id: int, path: str, name: RepositoryName) -> None:
    """The source has it: from now on it belongs to that source, unless it belongs to another already."""
    db.count(_NOTE(source_id=source_id, path=path, name=name))


def ask_for(db: Database, import_id: int) -> None:
    """It is imported before those that nobody asked for."""
    db.count(_ASK(id=import_id))


def place(db: Database, source_id: int, repository: RepositoryName) -> None:
    """Makes the repository, empty, unless it is here or must not be. Raises BeginAnew."""

    def work(session: Session) -> None:
        steps.begin(session, mode.importing(), source_id, repository)

    with suppress(Ended):
        db.transaction(work)


def touch_manifest(db: Database, touch: Touch) -> bool:
    """The manifest with its links, and its tag if it has one, are here now. False if they must not be: deleted here, or
    the end of the import. Raises BeginAnew if the blobs have to be looked for again.
    """
    repository, fetched, digest = touch.repository, touch.fetched, touch.fetched.digest

    def link(session: Session) -> None:
        standing = steps.begin(session, mode.linking(), touch.source_id, repository)
        _require_awaited(standing)
        steps.attach(session, standing)
        calls: list[Call[Any]] = [adoption.adopting(touch.found)] if touch.found else []
        linked = [IncomingLink(standing.id, blob) for blob in fetched.blobs]
        session.batch([*calls, content.putting_links(linked)])

    def put(session: Session) -> None:
        standing = steps.begin(session, mode.importing(), touch.source_id, repository)
        _require_awaited(standing)
        if steps.deleted_here(session, repository, [digest]):
            raise Ended
        if touch.tag is not None:
            steps.lock_tags(session, standing, [touch.tag])
        incoming = [IncomingManifest(standing.id, digest, fetched.manifest, fetched.payload, fetched.pushed_at)]
        is_whole = content.put_manifests(session, [incoming])
        if not is_whole and session.all(content.left_out(incoming, touch.present)):
            raise BeginAnew
        if steps.deleted_here(session, repository, [digest]):
            raise Ended
        if touch.tag is not None:
            _put_tag(session, standing, touch, touch.tag)

    try:
        db.transaction(link)
        db.transaction(put)
    except Ended:
        return False
    except Conflict as conflict:
        # What was to be linked, or named, was collected or deleted in between.
        raise BeginAnew from conflict
    return True


def _require_awaited(standing: Standing) -> None:
    """What isn't in an imported repository was deleted or collected there, unless its source still decides."""
    if standing.state == "imported" and standing.mode == "lead":
        raise Ended


def _put_tag(session: Session, standing: Standing, touch: Touch, tag: Tag) -> None:
    if (listed := touch.listed) is not None:
        session.count(
            _NOTE_TAG(
                import_id=standing.import_id,
                name=listed.name,
                digest=listed.digest,
                generation=listed.generation,
                created_at=listed.created_at,
                updated_at=listed.updated_at,
            )
        )
    if not steps.put_tags(session, standing, touch.repository, [tag]):
        raise Ended


def touch_link(
    db: Database, source_id: int, repository: RepositoryName, digest: Digest, found: FoundBlob | None
) -> bool:
    """The repository may serve the blob now, as its source did; False at the end of the import, if the object is being
    deleted, or if somebody deleted it here. Raises BeginAnew.
    """

    def link(session: Session) -> bool:
        standing = steps.begin(session, mode.linking(), source_id, repository)
        _require_awaited(standing)
        steps.attach(session, standing)
        calls: list[Call[Any]] = [adoption.adopting([found])] if found is not None else []
        session.batch([*calls, content.putting_links([IncomingLink(standing.id, digest)])])
        if steps.deleted_here(session, repository, [digest]):
            raise Ended
        return True

    try:
        return db.transaction(link)
    except Ended:
        return False
    except Conflict as conflict:
        raise BeginAnew from conflict
