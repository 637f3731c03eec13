"""What copying from another registry asks of the database, beside the pushes that it makes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Call, Conflict, Database, Statement
from functions.registry.metadata.usage import quotas
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName

# The bytes are here already, whoever pushed them: that the other registry has the same under this digest was asked
# before. One that a collection takes away meanwhile breaks the foreign key.
_LINK: Final = Statement(
    "copies_link",
    int,
    """
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repositories.id, blobs.digest, blobs.size
      FROM repositories, blobs
     WHERE repositories.name = :repository AND blobs.digest = :digest AND blobs.damaged_at IS NULL
    ON CONFLICT (repository_id, digest) DO UPDATE SET linked_at = now()
    """,
)

_FIND_UPLOAD: Final = Statement(
    "copies_find_upload",
    uuid.UUID,
    """
    SELECT uploads.id
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.principal = :principal AND uploads.expires_at > now() AND repositories.name = :repository
     ORDER BY uploads.expires_at DESC
     LIMIT 1
    """,
)

_UNLINKED: Final = Statement(
    "copies_unlinked",
    Digest,
    """
    SELECT named.digest
      FROM unnest(CAST(:digests AS bytea[])) AS named (digest)
     WHERE NOT EXISTS (SELECT FROM repositories
                         JOIN repository_blobs AS link ON link.repository_id = repositories.id
                         JOIN blobs ON blobs.digest = link.digest AND blobs.damaged_at IS NULL
                        WHERE repositories.name = :repository AND link.digest = named.digest)
    """,
)

# A manifest with references that were not to be had is looked at again: the source may have them by now.
_KNOWN: Final = Statement(
    "copies_known_manifests",
    Digest,
    """
    SELECT manifests.digest
      FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = ANY (CAST(:digests AS bytea[]))
       AND NOT EXISTS (SELECT FROM sparse_references AS missing WHERE missing.manifest_id = manifests.id)
    """,
)

_PRESENT: Final = Statement(
    "copies_present_manifests",
    Digest,
    """
    SELECT manifests.digest
      FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = ANY (CAST(:digests AS bytea[]))
    """,
)

_DELETED: Final = Statement(
    "copies_deleted_manifests",
    Digest,
    """
    SELECT digest FROM import_deleted
     WHERE repository = :repository AND tag = '' AND digest = ANY (CAST(:digests AS bytea[]))
    """,
)

_AFTER: Final = Statement(
    "copies_manifests_after",
    Digest,
    """
    SELECT manifests.digest
      FROM repositories JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest > CAST(:last AS bytea)
     ORDER BY manifests.digest
     LIMIT :size
    """,
)


def link(db: Database, repository: RepositoryName, digest: Digest) -> bool:
    """Links the blob if this registry has it; False if not. The repository is created either way.

    Raises ChangeRefused if the blob is over the namespace's quota.
    """
    calls: list[Call[Any]] = [quotas.claiming(repository.namespace), *repositories.creating(repository)]
    try:
        return db.batch([*calls, _LINK(repository=repository, digest=digest)])[-1].count > 0
    except Conflict:
        return False


def find_upload(db: Database, repository: RepositoryName, label: str) -> uuid.UUID | None:
    """Returns the open upload of an owner of that label."""
    return db.one_or_none(_FIND_UPLOAD(principal=label, repository=repository))


def unlinked(db: Database, repository: RepositoryName, digests: Sequence[Digest]) -> list[Digest]:
    """Returns which of these blobs the repository does not hold."""
    return db.all(_UNLINKED(repository=repository, digests=list(digests))) if digests else []


def known_manifests(db: Database, repository: RepositoryName, digests: Sequence[Digest]) -> set[Digest]:
    """Returns which of these manifests the repository holds with all that they refer to."""
    return set(db.all(_KNOWN(repository=repository, digests=list(digests)))) if digests else set()


def present_manifests(db: Database, repository: RepositoryName, digests: Sequence[Digest]) -> set[Digest]:
    """Returns which of these manifests the repository holds, whether or not with all that they refer to."""
    return set(db.all(_PRESENT(repository=repository, digests=list(digests)))) if digests else set()


def deleted_manifests(db: Database, repository: RepositoryName, digests: Sequence[Digest]) -> set[Digest]:
    """Returns which of these somebody deleted here before they were copied."""
    return set(db.all(_DELETED(repository=repository, digests=list(digests)))) if digests else set()


def manifests_after(db: Database, repository: RepositoryName, last: Digest | None, size: int) -> list[Digest]:
    """Returns a page of all manifests of the repository, by their digests."""
    return db.all(_AFTER(repository=repository, last=last if last is not None else b"", size=size))
