"""Blobs as repositories link them. A blob is served only through a link, and only while it is not marked as damaged."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.access import rules
from functions.registry.metadata.content import repositories
from functions.registry.metadata.content.leases import IS_DUE_SOON
from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose, ranked
from functions.registry.metadata.usage import quotas
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName

_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Blob:
    """`size` in bytes; `object_name` is where they are in the bucket."""

    size: int
    object_name: str


class NamedByManifests(Conflict):
    """Manifests of the repository name the blob; `holders` are up to ten of them."""

    def __init__(self, holders: list[Digest]) -> None:
        super().__init__("manifest_blobs_link")
        self.holders = holders


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    is_due_soon: bool


@dataclass(frozen=True, slots=True)
class _Deletion:
    """The link is gone, or `holder` is one of those that keep it."""

    holder: Digest | None


_GET: Final = Statement(
    "blobs_get",
    Blob,
    """
    SELECT blobs.size, blobs.object_name
      FROM repositories
      JOIN repository_blobs AS link ON link.repository_id = repositories.id
      JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
     WHERE repositories.name = :repository AND link.digest = :digest
    """,
    is_hot=True,
)

_LOOK_SQL: Final = """
    SELECT link.size, $is_due_soon
      FROM repositories
      JOIN repository_blobs AS link ON link.repository_id = repositories.id
      JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
      LEFT JOIN link_reviews AS review ON review.repository_id = link.repository_id AND review.digest = link.digest
     WHERE repositories.name = :repository AND link.digest = :digest
    """

_LOOK: Final = Statement("blobs_look", _Look, compose(_LOOK_SQL, is_due_soon=IS_DUE_SOON), is_hot=True)

# The link is locked in the statement that reads it: one that a GC run is taking away is waited for, and is then
# not seen. A lease is written only where less than half of it is left.
_CONFIRM_SQL: Final = """
    WITH confirmed AS (
        SELECT link.repository_id, link.digest, link.size
          FROM repositories
          JOIN repository_blobs AS link ON link.repository_id = repositories.id
          JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
         WHERE repositories.name = :repository AND link.digest = :digest $condition
           FOR KEY SHARE OF link
    ), renewed AS (
        UPDATE link_reviews AS review
           SET review_after = now() + grace('lease', review.repository_id), event = 'lease'
          FROM confirmed
         WHERE review.repository_id = confirmed.repository_id AND review.digest = confirmed.digest
           AND review.review_after < now() + grace('lease', review.repository_id) / 2
    )
    SELECT size FROM confirmed
"""

_CONFIRM: Final = Statement("blobs_confirm", int, compose(_CONFIRM_SQL, condition=""), is_hot=True)

_CONFIRM_UPLOADED: Final = Statement(
    "blobs_confirm_uploaded",
    int,
    compose(
        _CONFIRM_SQL,
        condition="AND NOT EXISTS (SELECT FROM uploads AS open WHERE open.id = :upload_id AND open.expires_at > now())",
    ),
)

_MARK: Final = Statement(
    "blobs_mark",
    int,
    """
    UPDATE blobs SET damaged_at = now()
     WHERE digest = :digest AND object_name = :object_name AND damaged_at IS NULL
    """,
)

_MOUNT: Final = Statement(
    "blobs_mount",
    int,
    """
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT target.id, link.digest, link.size
      FROM repositories AS source
      JOIN repository_blobs AS link ON link.repository_id = source.id AND link.digest = :digest
      JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
      JOIN repositories AS target ON target.name = :repository
     WHERE source.name = :source
       FOR KEY SHARE OF link
    ON CONFLICT (repository_id, digest) DO UPDATE SET linked_at = now()
    """,
    is_hot=True,
)

# What holds it is told by the same statement. A foreign key sees what has come meanwhile.
_DELETE: Final = Statement(
    "blobs_delete_link",
    _Deletion,
    """
    WITH found AS MATERIALIZED (
        SELECT link.repository_id, link.digest
          FROM repositories
          JOIN repository_blobs AS link ON link.repository_id = repositories.id
         WHERE repositories.name = :repository AND link.digest = :digest
    ), holders AS MATERIALIZED (
        SELECT manifests.digest
          FROM found
         CROSS JOIN LATERAL (
               (SELECT named.manifest_id FROM manifest_blobs AS named
                 WHERE named.repository_id = found.repository_id AND named.digest = found.digest LIMIT 10)
               UNION
               (SELECT named.manifest_id FROM sparse_references AS named
                 WHERE named.repository_id = found.repository_id AND named.digest = found.digest LIMIT 10)) AS named
          JOIN manifests ON manifests.id = named.manifest_id
         ORDER BY manifests.digest
         LIMIT 10
    ), deleted AS (
        DELETE FROM repository_blobs AS link USING found
         WHERE link.repository_id = found.repository_id AND link.digest = found.digest
           AND NOT EXISTS (SELECT FROM holders)
        RETURNING link.repository_id, link.digest
    ), remembered AS (
        INSERT INTO import_deleted (repository, digest)
        SELECT coalesce(theirs.name, :repository), deleted.digest
          FROM deleted LEFT JOIN import_repositories AS theirs ON theirs.repository_id = deleted.repository_id
         WHERE is_import_open()
        ON CONFLICT DO NOTHING
    )
    SELECT digest FROM holders UNION ALL SELECT NULL FROM deleted
    """,
)


def get(db: Database, repository: RepositoryName, digest: Digest) -> Blob | None:
    return db.one_or_none(_GET(repository=repository, digest=digest))


def confirm(db: Database, repository: RepositoryName, digest: Digest) -> int | None:
    """Returns the blob's size, or None. The link then stays for at least half a lease, so that a push may rely on
    it.
    """
    found = db.one_or_none(_LOOK(repository=repository, digest=digest))
    if found is None:
        return None
    if not found.is_due_soon:
        return found.size
    return db.one_or_none(_CONFIRM(repository=repository, digest=digest))


def confirm_uploaded(db: Database, repository: RepositoryName, digest: Digest, upload_id: uuid.UUID) -> bool:
    """Confirms for a client that sends the end of an upload once more; False while any such upload is open."""
    return db.one_or_none(_CONFIRM_UPLOADED(repository=repository, digest=digest, upload_id=upload_id)) is not None


def mark(db: Database, digest: Digest, object_name: str) -> bool:
    """The object was found to be gone: nobody is told of the blob until a push brings it again.

    False if the blob has another object by now, or is marked already.
    """
    return db.count(_MARK(digest=digest, object_name=object_name)) > 0


def mount(db: Database, repository: RepositoryName, digest: Digest, source: RepositoryName) -> bool:
    """Links the blob from `source`; False if `source` has no such blob. The repository is created either way.

    Raises ChangeRefused if the blob is over the namespace's quota.
    """
    call = _MOUNT(repository=repository, digest=digest, source=source)
    first = [quotas.claiming(repository.namespace), *repositories.creating(repository)]
    return db.batch([*first, call])[-1].count > 0


def delete(db: Database, repository: RepositoryName, digest: Digest, rank: int = 0) -> bool:
    """Takes the link away; False if there is none. Raises NamedByManifests while manifests of the repository name it.

    `rank` is that of the caller's role: raises ChangeRefused if the repository is kept from it.
    """
    calls: list[Call[Any]] = [
        ranked(rank),
        rules.unless_delete_protected(repository),
        _DELETE(repository=repository, digest=digest),
    ]
    for attempt in range(_ATTEMPTS):
        try:
            found = _DELETE.read(db.batch(calls)[-1])
        except Conflict:
            # A manifest that names it came in between: from now on it is seen.
            if attempt + 1 == _ATTEMPTS:
                raise
        else:
            if holders := [deletion.holder for deletion in found if deletion.holder is not None]:
                raise NamedByManifests(holders)
            return bool(found)
    raise AssertionError  # the last attempt returns or raises
