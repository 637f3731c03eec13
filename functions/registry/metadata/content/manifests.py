"""Manifests as they are pulled and deleted; functions.registry.metadata.content.pushes puts them in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.access import rules
from functions.registry.metadata.content import repositories
from functions.registry.metadata.content.leases import IS_DUE_SOON
from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose, ranked
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Reference, RepositoryName, Tag

_ATTEMPTS: Final = 3


class ListedByIndex(Exception):
    """The manifest can't be deleted before the indexes that list it; `holders` are up to ten of them."""

    def __init__(self, holders: list[Digest]) -> None:
        super().__init__(", ".join(map(str, holders)))
        self.holders = holders


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """`payload` is exactly what was pushed."""

    digest: Digest
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """`size` is the payload's, in bytes."""

    digest: Digest
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class _Look:
    head: ManifestHead
    is_due_soon: bool


# One whose bytes are not those of its digest is answered as if it were not there, until a push brings them again.
_GET_BY_TAG: Final = Statement(
    "manifests_get_by_tag",
    StoredManifest,
    """
    SELECT manifests.digest, manifests.media_type, manifests.payload
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository AND tags.name = :tag AND manifests.damaged_at IS NULL
    """,
    is_hot=True,
)

_GET_BY_DIGEST: Final = Statement(
    "manifests_get_by_digest",
    StoredManifest,
    """
    SELECT manifests.digest, manifests.media_type, manifests.payload
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = :digest AND manifests.damaged_at IS NULL
    """,
    is_hot=True,
)

_HEAD_BY_TAG: Final = Statement(
    "manifests_head_by_tag",
    ManifestHead,
    """
    SELECT manifests.digest, manifests.media_type, octet_length(manifests.payload)
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository AND tags.name = :tag AND manifests.damaged_at IS NULL
    """,
    is_hot=True,
)

_LOOK_SQL: Final = """
    SELECT manifests.digest, manifests.media_type, octet_length(manifests.payload), $is_due_soon
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
      LEFT JOIN manifest_reviews AS review ON review.manifest_id = manifests.id
     WHERE repositories.name = :repository AND manifests.digest = :digest AND manifests.damaged_at IS NULL
    """

_LOOK: Final = Statement("manifests_look", _Look, compose(_LOOK_SQL, is_due_soon=IS_DUE_SOON), is_hot=True)

# As with blobs: a client that finds a manifest this way skips its push, so it must stay for the rest of that push.
_CONFIRM: Final = Statement(
    "manifests_confirm",
    ManifestHead,
    """
    WITH confirmed AS (
        SELECT manifests.id, manifests.repository_id, manifests.digest, manifests.media_type,
               octet_length(manifests.payload) AS size
          FROM repositories
          JOIN manifests ON manifests.repository_id = repositories.id
         WHERE repositories.name = :repository AND manifests.digest = :digest AND manifests.damaged_at IS NULL
           FOR KEY SHARE OF manifests
    ), renewed AS (
        UPDATE manifest_reviews AS review
           SET review_after = now() + grace('lease', confirmed.repository_id), event = 'lease'
          FROM confirmed
         WHERE review.manifest_id = confirmed.id
           AND review.review_after < now() + grace('lease', confirmed.repository_id) / 2
    )
    SELECT digest, media_type, size FROM confirmed
    """,
    is_hot=True,
)

_DELETE_TAGS: Final = Statement(
    "manifests_delete_tags",
    str,
    """
    DELETE FROM tags USING repositories, manifests
     WHERE repositories.name = :repository
       AND manifests.repository_id = repositories.id AND manifests.digest = :digest
       AND tags.manifest_id = manifests.id
    RETURNING tags.name
    """,
)

# From a registry that is being moved in it does not come back, whatever becomes of it there.
_DELETE: Final = Statement(
    "manifests_delete",
    int,
    """
    WITH deleted AS (
        DELETE FROM manifests USING repositories
         WHERE repositories.name = :repository
           AND manifests.repository_id = repositories.id AND manifests.digest = :digest
        RETURNING manifests.repository_id, manifests.digest
    ), remembered AS (
        INSERT INTO import_deleted (repository, digest)
        SELECT coalesce(theirs.name, :repository), deleted.digest
          FROM deleted LEFT JOIN import_repositories AS theirs ON theirs.repository_id = deleted.repository_id
         WHERE is_import_open()
        ON CONFLICT DO NOTHING
    )
    SELECT 1 FROM deleted
    """,
)

_LISTED_BY: Final = Statement(
    "manifests_listed_by",
    Digest,
    """
    SELECT parent.digest
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = :digest
     CROSS JOIN LATERAL (SELECT parent_id FROM manifest_children WHERE child_id = manifests.id LIMIT 10) AS listing
      JOIN manifests AS parent ON parent.id = listing.parent_id
     WHERE repositories.name = :repository
     ORDER BY parent.digest
    """,
)


def get(db: Database, repository: RepositoryName, reference: Reference) -> StoredManifest | None:
    if isinstance(reference, Tag):
        return db.one_or_none(_GET_BY_TAG(repository=repository, tag=reference))
    return db.one_or_none(_GET_BY_DIGEST(repository=repository, digest=reference))


def confirm(db: Database, repository: RepositoryName, reference: Reference) -> ManifestHead | None:
    """Returns what a HEAD shows. A manifest confirmed by digest then stays for at least half a lease."""
    if isinstance(reference, Tag):
        return db.one_or_none(_HEAD_BY_TAG(repository=repository, tag=reference))
    found = db.one_or_none(_LOOK(repository=repository, digest=reference))
    if found is None:
        return None
    if not found.is_due_soon:
        return found.head
    return db.one_or_none(_CONFIRM(repository=repository, digest=reference))


@dataclass(frozen=True, slots=True)
class Gone:
    """A manifest that was deleted; its `tags` went along."""

    tags: list[str]


def delete(db: Database, repository: RepositoryName, digest: Digest, rank: int = 0) -> Gone | None:
    """Deletes the manifest and all its tags; None if there is no such manifest. Raises ListedByIndex and ChangeRefused.

    `rank` is that of the caller's role: rules for one of its tags, or for the repository, may take more.
    """
    where = {"repository": repository, "digest": digest}
    calls: list[Call[Any]] = [
        ranked(rank),
        rules.unless_delete_protected(repository),
        repositories.holding(repository),
        _DELETE_TAGS(**where),
        _DELETE(**where),
    ]
    for attempt in range(_ATTEMPTS):
        try:
            *_, tags, manifest = db.batch(calls)
            return Gone(sorted(_DELETE_TAGS.read(tags))) if manifest.count else None
        except Conflict as conflict:
            if conflict.constraint == "manifest_children_child" and (holders := db.all(_LISTED_BY(**where))):
                raise ListedByIndex(holders) from conflict
            # It was tagged between the two statements, or is listed no more: take that tag away as well.
            if attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError  # the last attempt returns or raises
