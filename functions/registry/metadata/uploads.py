"""Uploads and the objects they write.

Whoever changes an upload says which version of it was read; if another request was first, nothing is changed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata import quotas, repositories
from functions.registry.metadata.db import Call, Conflict, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose uploads they are, and how many one may have open at once; 0 is no limit."""

    label: str
    most: int


# Where nobody is told apart; a label always has a kind.
NOBODY: Final = Owner("", 0)


class TooManyUploads(Exception):
    """The owner has as many open as one may have."""


@dataclass(frozen=True, slots=True)
class Upload:
    """`received` bytes so far lie in the objects `parts`, in order; `hash_state` is None if it could not be kept."""

    id: uuid.UUID
    version: int
    received: int
    algorithm: str
    hash_state: bytes | None
    parts: list[str]


@dataclass(frozen=True, slots=True)
class Part:
    """`size` bytes that were written to `object_name`, and the hash of the whole upload after them."""

    object_name: str
    size: int
    algorithm: str
    hash_state: bytes | None


_START: Final = Statement(
    "uploads_start",
    int,
    """
    INSERT INTO uploads (id, repository_id, algorithm, expires_at, principal)
    SELECT :id, id, :algorithm, now() + make_interval(secs => :seconds), :principal
      FROM repositories
     WHERE name = :repository
       AND require_room(:namespace, :needed)
       AND (CAST(:most AS int) = 0
            OR (SELECT count(*) FROM (SELECT FROM uploads AS open
                                       WHERE open.principal = :principal AND open.expires_at > now()
                                       LIMIT :most) AS counted) < CAST(:most AS int))
    """,
)

_GET: Final = Statement(
    "uploads_get",
    Upload,
    """
    SELECT uploads.id, uploads.version, uploads.received, uploads.algorithm, uploads.hash_state,
           ARRAY(SELECT object_name FROM upload_objects
                  WHERE upload_id = uploads.id AND number IS NOT NULL ORDER BY number)
      FROM uploads
      JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.id = :id AND repositories.name = :repository AND uploads.expires_at > now()
       AND uploads.principal = :principal
    """,
)

_NAME_OBJECT: Final = Statement(
    "uploads_name_object",
    int,
    "INSERT INTO upload_objects (object_name, upload_id) VALUES (:object_name, :id)",
)

_ADVANCE: Final = Statement(
    "uploads_advance",
    int,
    """
    WITH advanced AS (
        UPDATE uploads
           SET version = version + 1, received = :received, algorithm = :algorithm, hash_state = :hash_state,
               expires_at = now() + make_interval(secs => :seconds)
         WHERE id = :id AND version = :version
        RETURNING version
    )
    UPDATE upload_objects SET number = advanced.version, size = :size
      FROM advanced WHERE object_name = :object_name
    """,
)

# Also where the upload has ended meanwhile, and its objects' deletion may have been tried before this one was there.
_DISCARD_OBJECT: Final = Statement(
    "uploads_discard_object",
    int,
    """
    WITH discarded AS (DELETE FROM upload_objects WHERE object_name = :object_name)
    INSERT INTO deletions (object_name, not_before) VALUES (:object_name, now() + grace('delete'))
    ON CONFLICT (object_name) DO NOTHING
    """,
)

# The repository is locked first, and then keeps its name: it is that name's namespace whose quota was claimed. Then the
# upload: a commit and a cancellation, or two commits, of one upload go one after the other.
# A blob that is known already is locked too, though nothing of it changes: a collection that has it in hand is waited
# for, and one that comes later passes it by. Otherwise it could be gone before it is linked.
_COMMIT_BLOB: Final = Statement(
    "uploads_commit_blob",
    int,
    """
    INSERT INTO blobs (digest, size, object_name)
    SELECT :digest, :size, :object_name
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.id = :id AND uploads.version = :version AND repositories.name = :repository
       FOR KEY SHARE OF repositories FOR UPDATE OF uploads
    ON CONFLICT (digest) DO UPDATE SET size = blobs.size WHERE false
    """,
)

_COMMIT_LINK: Final = Statement(
    "uploads_commit_link",
    int,
    """
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT uploads.repository_id, blobs.digest, blobs.size
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id, blobs
     WHERE uploads.id = :id AND uploads.version = :version AND repositories.name = :repository
       AND blobs.digest = :digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET linked_at = now()
    """,
)

# Its objects go with it; a trigger condemns those that did not become the blob. It stays if nothing was linked: its
# repository has another name now.
_COMMIT_UPLOAD: Final = Statement(
    "uploads_commit",
    int,
    """
    DELETE FROM uploads USING repositories, repository_blobs AS link
     WHERE uploads.id = :id AND uploads.version = :version
       AND repositories.id = uploads.repository_id AND repositories.name = :repository
       AND link.repository_id = repositories.id AND link.digest = :digest
    """,
)

_CANCEL: Final = Statement(
    "uploads_cancel",
    int,
    """
    DELETE FROM uploads USING repositories
     WHERE uploads.id = :id AND repositories.id = uploads.repository_id AND repositories.name = :repository
       AND uploads.principal = :principal
    """,
)

_EXPIRE: Final = Statement(
    "uploads_expire",
    int,
    """
    WITH expired AS MATERIALIZED (
        SELECT id FROM uploads
         WHERE expires_at <= now()
         ORDER BY expires_at
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM uploads USING expired WHERE uploads.id = expired.id
    """,
)


def start(
    db: Database,
    repository: RepositoryName,
    algorithm: str,
    seconds: int,
    owner: Owner = NOBODY,
    needed: int = 0,
) -> uuid.UUID:
    """A new upload, which expires `seconds` after its last change. Creates the repository if need be.

    `needed` bytes are 0 if the client has not said how many will come. Raises TooManyUploads, and ChangeRefused if the
    namespace's quota has no room for them.
    """
    upload_id = uuid.uuid4()
    call = _START(
        id=upload_id,
        repository=repository,
        algorithm=algorithm,
        seconds=seconds,
        principal=owner.label,
        most=owner.most,
        namespace=repository.namespace,
        needed=needed,
    )
    try:
        is_started = db.count(call) > 0
    except Conflict:  # the repository was deleted meanwhile
        is_started = False
    if not is_started and not db.batch([*repositories.creating(repository), call])[-1].count:
        raise TooManyUploads
    return upload_id


def get(db: Database, repository: RepositoryName, upload_id: uuid.UUID, owner: Owner = NOBODY) -> Upload | None:
    """None also for one that has expired, or is another repository's or somebody else's."""
    return db.one_or_none(_GET(id=upload_id, repository=repository, principal=owner.label))


def name_object(db: Database, upload: Upload, object_name: str) -> bool:
    """Makes an object known before its first byte is written; False if the upload is gone."""
    try:
        db.count(_NAME_OBJECT(object_name=object_name, id=upload.id))
    except Conflict:
        return False
    return True


def advance(db: Database, upload: Upload, part: Part, seconds: int) -> Upload | None:
    """The upload with one more part; None, and the part condemned, if another request changed the upload first."""
    advanced = Upload(
        id=upload.id,
        version=upload.version + 1,
        received=upload.received + part.size,
        algorithm=part.algorithm,
        hash_state=part.hash_state,
        parts=[*upload.parts, part.object_name],
    )
    call = _ADVANCE(
        id=upload.id,
        version=upload.version,
        object_name=part.object_name,
        size=part.size,
        received=advanced.received,
        algorithm=part.algorithm,
        hash_state=part.hash_state,
        seconds=seconds,
    )
    if db.count(call):
        return advanced
    discard_object(db, part.object_name)
    return None


def discard_object(db: Database, object_name: str) -> None:
    """Condemns an object that an upload has no use for."""
    db.count(_DISCARD_OBJECT(object_name=object_name))


def commit(db: Database, repository: RepositoryName, upload: Upload, digest: Digest, object_name: str) -> bool:
    """The upload becomes a blob, linked to its repository; False if another request changed, moved or ended it first.

    If the digest is known already, the older object stays the blob and the new one is condemned. Raises ChangeRefused
    if the blob is over the namespace's quota.
    """
    key = {"id": upload.id, "version": upload.version, "repository": repository, "digest": digest}
    calls: list[Call[Any]] = [
        quotas.claiming(repository.namespace),
        _COMMIT_BLOB(**key, size=upload.received, object_name=object_name),
        _COMMIT_LINK(**key),
        _COMMIT_UPLOAD(**key),
    ]
    return db.batch(calls)[-1].count > 0


def cancel(db: Database, repository: RepositoryName, upload_id: uuid.UUID, owner: Owner = NOBODY) -> bool:
    return db.count(_CANCEL(id=upload_id, repository=repository, principal=owner.label)) > 0


def expire(db: Database, limit: int) -> int:
    """Ends uploads whose time is over, at most `limit`; their objects are condemned. Returns how many there were."""
    return db.count(_EXPIRE(limit=limit))
