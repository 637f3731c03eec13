"""Uploads: their beginning, how each stands, and their end without a blob.

Whoever changes an upload says which version of it was read; if another request was first, nothing is changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from functions.registry.metadata.content import repositories
from functions.registry.metadata.db import Call, Conflict, Database, Row, Statement, compose
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName

_ATTEMPTS: Final = 3


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
    """`received` bytes so far; `hash_state` is None if it could not be kept, `crc32c` if it isn't known of all of them.

    `room` is what its namespace may still receive, as of then; None where there is no quota.
    """

    id: uuid.UUID
    version: int
    received: int
    algorithm: str
    hash_state: bytes | None
    crc32c: int | None = None
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
class NewObject:
    """What the bytes that come next are written to; `first` is where they belong, None if the client doesn't say."""

    name: str
    first: int | None = None


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client says will come: how many bytes, 0 if it doesn't say, and of which digest.

    `object` is what the body of the same request is written to.
    """

    size: int = 0
    digest: Digest | None = None
    object: NewObject | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)


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
    is_hot=True,
)

_PIECES: Final = {
    "columns": """uploads.id, uploads.version, uploads.received, uploads.algorithm, uploads.hash_state,
           uploads.crc32c""",
    "namespace": "split_part(repositories.name, '/', 1)",
    "open": """
      FROM uploads
      JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.id = :id AND repositories.name = :repository AND uploads.expires_at > now()
       AND uploads.principal = :principal
""",
}

_GET: Final = Statement(
    "uploads_get",
    Upload,
    compose("SELECT $columns, CASE WHEN uploads.is_counted THEN room_left($namespace) END $open", **_PIECES),
    is_hot=True,
)

# What the namespace holds already needs no room. Parts are read as JSON: the driver takes a hundred times as long for
# an array of as many names.
_GET_WITH_PARTS: Final = Statement(
    "uploads_get_with_parts",
    _WithParts,
    compose(
        """
    SELECT $columns,
           CASE WHEN uploads.is_counted AND NOT has_blob($namespace, :digest) THEN room_left($namespace) END,
           (SELECT coalesce(json_agg(json_build_array(part.object_name, part.is_fresh) ORDER BY part.number), '[]')
              FROM (SELECT number, object_name, coalesce(finished_at > now() - interval '1 hour', false) AS is_fresh
                      FROM upload_objects
                     WHERE upload_id = uploads.id AND number IS NOT NULL) AS part)
    $open
    """,
        **_PIECES,
    ),
    is_hot=True,
)

# An object of a request's own: named before its first byte is written, where the upload is as it must be for that.
_NAME_NEXT: Final = Statement(
    "uploads_name_next",
    int,
    compose(
        """
    INSERT INTO upload_objects (object_name, upload_id)
    SELECT :object_name, uploads.id $open
       AND (CAST(:first AS bigint) IS NULL OR uploads.received = :first)
    """,
        **_PIECES,
    ),
    is_hot=True,
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
    new: NewUpload | None = None,
) -> uuid.UUID:
    """Returns a new upload, which expires `seconds` after its last change.

    Creates the repository if need be. Raises TooManyUploads, and ChangeRefused if the namespace's quota has no room
    for what was announced.
    """
    new = new or NewUpload()
    start = _START(
        id=new.id,
        repository=repository,
        algorithm=algorithm,
        seconds=seconds,
        principal=owner.label,
        most=owner.most,
        namespace=repository.namespace,
        needed=new.size,
        digest=new.digest,
    )
    calls = [start, *_naming(repository, new.id, owner, new.object)]
    try:
        is_started = db.batch(calls)[0].count > 0
    except Conflict:  # the repository was deleted meanwhile
        is_started = False
    if not is_started:
        first = repositories.creating(repository)
        if not db.batch([*first, *calls])[len(first)].count:
            raise TooManyUploads
    return new.id


def get(
    db: Database,
    repository: RepositoryName,
    upload_id: uuid.UUID,
    owner: Owner = NOBODY,
    next_: NewObject | None = None,
) -> Upload | None:
    """Returns None also for one that has expired, or is another repository's or somebody else's.

    `next_` is made known as an object of the upload, unless its bytes don't belong at the end of what was received.
    """
    call = _GET(id=upload_id, repository=repository, principal=owner.label)
    return _found(db, call, _naming(repository, upload_id, owner, next_), lambda upload: upload)


def get_with_parts(
    db: Database,
    repository: RepositoryName,
    upload_id: uuid.UUID,
    digest: Digest,
    owner: Owner = NOBODY,
    next_: NewObject | None = None,
) -> tuple[Upload, list[Stored]] | None:
    """Does as `get` for an upload that ends as `digest`, with the objects that hold what was received, in order.

    What these cost grows with their number.
    """
    call = _GET_WITH_PARTS(id=upload_id, repository=repository, digest=digest, principal=owner.label)
    found = _found(db, call, _naming(repository, upload_id, owner, next_), lambda row: row.upload)
    if found is None:
        return None
    return found.upload, [Stored(object_name, is_fresh) for object_name, is_fresh in found.parts]


def _found(db: Database, call: Call[Row], naming: list[Call[int]], upload_of: Callable[[Row], Upload]) -> Row | None:
    """Returns its row, with the object named if it has to be. Where another request comes between the two, both are
    asked anew.

    In the end such an upload counts as gone: nothing is written to an object that nobody knows.
    """
    for _ in range(_ATTEMPTS):
        try:
            outcomes = db.batch([call, *naming])
        except Conflict:  # it ended between the two
            return None
        rows = call.statement.read(outcomes[0])
        if not rows:
            return None
        first = naming[0].values["first"] if naming else None
        belongs = first is None or first == upload_of(rows[0]).received
        if not naming or outcomes[1].count or not belongs:
            return rows[0]
    return None


def _naming(repository: RepositoryName, upload_id: uuid.UUID, owner: Owner, next_: NewObject | None) -> list[Call[int]]:
    if next_ is None:
        return []
    key = {"id": upload_id, "repository": repository, "principal": owner.label}
    return [_NAME_NEXT(**key, object_name=next_.name, first=next_.first)]


def cancel(db: Database, repository: RepositoryName, upload_id: uuid.UUID, owner: Owner = NOBODY) -> bool:
    return db.count(_CANCEL(id=upload_id, repository=repository, principal=owner.label)) > 0


def expire(db: Database, limit: int) -> int:
    """Ends uploads whose time is over, at most `limit`; their objects are to be deleted. Returns how many."""
    return db.count(_EXPIRE(limit=limit))
