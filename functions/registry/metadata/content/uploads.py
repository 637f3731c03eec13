"""Uploads and the objects they write.

Whoever changes an upload says which version of it was read; if another request was first, nothing is changed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import ChangeRefused, Conflict, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose uploads they are, and how many one may have open at once; 0 is no limit."""

    label: str
    most: int


# Where nobody is told apart; a label always has a kind.
NOBODY: Final = Owner("", 0)


@dataclass(frozen=True, slots=True)
class Announced:
    """What a client says will come: how many bytes, 0 if it doesn't say, and of which digest."""

    size: int
    digest: Digest | None


NOTHING_ANNOUNCED: Final = Announced(0, None)


class TooManyUploads(Exception):
    """The owner has as many open as one may have."""


@dataclass(frozen=True, slots=True)
class Upload:
    """`received` bytes so far; `hash_state` is None if it could not be kept.

    `room` is what its namespace may still receive, as of then; None where there is no quota.
    """

    id: uuid.UUID
    version: int
    received: int
    algorithm: str
    hash_state: bytes | None
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that holds a part of an upload; a fresh one was written within the last hour."""

    object_name: str
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class _WithParts:
    """A row; each part is a list of its name and whether it is fresh."""

    upload: Upload
    parts: list[Any]


@dataclass(frozen=True, slots=True)
class Part:
    """What was written last: `size` bytes to `object_name`, and the hash of the whole upload after them.

    `digest` is what the client says that the whole is, once it has said so.
    """

    object_name: str
    size: int
    algorithm: str
    hash_state: bytes | None
    digest: Digest | None = None


_START: Final = Statement(
    "uploads_start",
    int,
    """
    INSERT INTO uploads (id, repository_id, algorithm, expires_at, principal, is_counted)
    SELECT :id, id, :algorithm, now() + make_interval(secs => :seconds), :principal, NOT has_blob(:namespace, :digest)
      FROM repositories
     WHERE name = :repository
       AND require_room(:namespace, :needed, :digest)
       AND (CAST(:most AS int) = 0
            OR (SELECT count(*) FROM (SELECT FROM uploads AS open
                                       WHERE open.principal = :principal AND open.expires_at > now()
                                       LIMIT :most) AS counted) < CAST(:most AS int))
    """,
)

_COLUMNS: Final = "uploads.id, uploads.version, uploads.received, uploads.algorithm, uploads.hash_state"
_NAMESPACE: Final = "split_part(repositories.name, '/', 1)"
_OPEN: Final = """
      FROM uploads
      JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.id = :id AND repositories.name = :repository AND uploads.expires_at > now()
       AND uploads.principal = :principal
"""

_GET: Final = Statement(
    "uploads_get",
    Upload,
    f"SELECT {_COLUMNS}, CASE WHEN uploads.is_counted THEN room_left({_NAMESPACE}) END {_OPEN}",
)

# What the namespace holds already needs no room. Parts are read as JSON: the driver takes a hundred times as long for
# an array of as many names.
_GET_WITH_PARTS: Final = Statement(
    "uploads_get_with_parts",
    _WithParts,
    f"""
    SELECT {_COLUMNS},
           CASE WHEN uploads.is_counted AND NOT has_blob({_NAMESPACE}, :digest) THEN room_left({_NAMESPACE}) END,
           (SELECT coalesce(json_agg(json_build_array(part.object_name, part.is_fresh) ORDER BY part.number), '[]')
              FROM (SELECT number, object_name, coalesce(finished_at > now() - interval '1 hour', false) AS is_fresh
                      FROM upload_objects
                     WHERE upload_id = uploads.id AND number IS NOT NULL) AS part)
    {_OPEN}
    """,  # noqa: S608  # pieces of this module
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
               expires_at = now() + make_interval(secs => :seconds),
               is_counted = uploads.is_counted AND NOT has_blob(
                   (SELECT split_part(name, '/', 1) FROM repositories WHERE repositories.id = uploads.repository_id),
                   :digest)
         WHERE id = :id AND version = :version
        RETURNING version
    )
    UPDATE upload_objects SET number = advanced.version, size = :size, finished_at = now()
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
    announced: Announced = NOTHING_ANNOUNCED,
) -> uuid.UUID:
    """A new upload, which expires `seconds` after its last change. Creates the repository if need be.

    Raises TooManyUploads, and ChangeRefused if the namespace's quota has no room for what was announced.
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
        needed=announced.size,
        digest=announced.digest,
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


def get_with_parts(
    db: Database, repository: RepositoryName, upload_id: uuid.UUID, digest: Digest, owner: Owner = NOBODY
) -> tuple[Upload, list[Stored]] | None:
    """As `get` for an upload that ends as `digest`, with the objects that hold what was received, in order.

    What these cost grows with their number.
    """
    key = {"id": upload_id, "repository": repository, "digest": digest}
    found = db.one_or_none(_GET_WITH_PARTS(**key, principal=owner.label))
    if found is None:
        return None
    return found.upload, [Stored(object_name, is_fresh) for object_name, is_fresh in found.parts]


def name_object(db: Database, upload: Upload, object_name: str) -> bool:
    """Makes an object known before its first byte is written; False if the upload is gone."""
    try:
        db.count(_NAME_OBJECT(object_name=object_name, id=upload.id))
    except Conflict:
        return False
    return True


def advance(db: Database, upload: Upload, part: Part, seconds: int) -> Upload | None:
    """Returns the upload with one more part; None, with the part queued for deletion, if it was changed meanwhile.

    Raises ChangeRefused, and queues the part for deletion, if the namespace's quota has no room for it.
    """
    advanced = Upload(
        id=upload.id,
        version=upload.version + 1,
        received=upload.received + part.size,
        algorithm=part.algorithm,
        hash_state=part.hash_state,
    )
    call = _ADVANCE(
        id=upload.id,
        version=upload.version,
        object_name=part.object_name,
        size=part.size,
        received=advanced.received,
        algorithm=part.algorithm,
        hash_state=part.hash_state,
        digest=part.digest,
        seconds=seconds,
    )
    try:
        is_advanced = db.count(call) > 0
    except ChangeRefused:
        discard_object(db, part.object_name)
        raise
    if is_advanced:
        return advanced
    discard_object(db, part.object_name)
    return None


def discard_object(db: Database, object_name: str) -> None:
    """Queues an object for deletion that an upload has no use for."""
    db.count(_DISCARD_OBJECT(object_name=object_name))


def cancel(db: Database, repository: RepositoryName, upload_id: uuid.UUID, owner: Owner = NOBODY) -> bool:
    return db.count(_CANCEL(id=upload_id, repository=repository, principal=owner.label)) > 0


def expire(db: Database, limit: int) -> int:
    """Ends uploads whose time is over, at most `limit`; their objects are to be deleted. Returns how many."""
    return db.count(_EXPIRE(limit=limit))
