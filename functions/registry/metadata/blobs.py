"""Blobs as repositories link them. A blob is served only through a link, and only while it is not marked as damaged."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata import quotas, repositories, rules
from functions.registry.metadata.db import Call, Database, Statement, ranked
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Blob:
    """`size` in bytes; `object_name` is where they are in the bucket."""

    size: int
    object_name: str


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
)

# The link is locked in the statement that reads it: one that a collection is taking away is waited for, and is then
# not seen. A lease is written only where less than half of it is left.
_CONFIRM_SQL: Final = """
    WITH confirmed AS (
        SELECT link.repository_id, link.digest, link.size
          FROM repositories
          JOIN repository_blobs AS link ON link.repository_id = repositories.id
          JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
         WHERE repositories.name = :repository AND link.digest = :digest {condition}
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

_CONFIRM: Final = Statement("blobs_confirm", int, _CONFIRM_SQL.format(condition=""))

_CONFIRM_UPLOADED: Final = Statement(
    "blobs_confirm_uploaded",
    int,
    _CONFIRM_SQL.format(
        condition="AND NOT EXISTS (SELECT FROM uploads AS open WHERE open.id = :upload_id AND open.expires_at > now())"
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
)

_DELETE: Final = Statement(
    "blobs_delete_link",
    int,
    """
    DELETE FROM repository_blobs AS link
     USING repositories
     WHERE repositories.name = :repository AND link.repository_id = repositories.id AND link.digest = :digest
    """,
)


def get(db: Database, repository: RepositoryName, digest: Digest) -> Blob | None:
    return db.one_or_none(_GET(repository=repository, digest=digest))


def confirm(db: Database, repository: RepositoryName, digest: Digest) -> int | None:
    """The blob's size, or None. The link then stays for at least half a lease, so that a push may rely on it."""
    return db.one_or_none(_CONFIRM(repository=repository, digest=digest))


def confirm_uploaded(db: Database, repository: RepositoryName, digest: Digest, upload_id: uuid.UUID) -> bool:
    """As `confirm`, for a client that sends the end of an upload once more; False while any such upload is open."""
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
    """Takes the link away; False if there is none. Raises Conflict while a manifest of the repository names it.

    `rank` is that of the caller's role: raises ChangeRefused if the repository is kept from it.
    """
    calls: list[Call[Any]] = [
        ranked(rank),
        rules.unless_kept(repository),
        _DELETE(repository=repository, digest=digest),
    ]
    return db.batch(calls)[-1].count > 0
