"""The parts of an upload: what each request wrote to an object of its own, one after the other.

Whoever adds one says which version of the upload was read; if another request was first, nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from functions.registry.metadata.content.uploads import Upload
from functions.registry.metadata.db import ChangeRefused, Conflict, Database, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Part:
    """What was written last: `size` bytes to `object_name`, and hash and CRC32C of the whole upload after them."""

    object_name: str
    size: int
    algorithm: str
    hash_state: bytes | None
    crc32c: int | None = None


_NAME_OBJECT: Final = Statement(
    "uploads_name_object",
    int,
    "INSERT INTO upload_objects (object_name, upload_id) VALUES (:object_name, :id)",
    is_hot=True,
)

_ADVANCE: Final = Statement(
    "uploads_advance",
    int,
    """
    WITH advanced AS (
        UPDATE uploads
           SET version = version + 1, received = :received, algorithm = :algorithm, hash_state = :hash_state,
               crc32c = :crc32c,
               expires_at = now() + make_interval(secs => :seconds),
               is_counted = CASE WHEN CAST(:digest AS bytea) IS NULL THEN is_counted ELSE is_counted AND NOT has_blob(
                   (SELECT split_part(name, '/', 1) FROM repositories WHERE repositories.id = uploads.repository_id),
                   :digest) END
         WHERE id = :id AND version = :version
        RETURNING version
    )
    UPDATE upload_objects SET number = advanced.version, size = :size, finished_at = now()
      FROM advanced WHERE object_name = :object_name
    """,
    is_hot=True,
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


def name_object(db: Database, upload: Upload, object_name: str) -> bool:
    """Makes an object known before its first byte is written; False if the upload is gone."""
    try:
        db.count(_NAME_OBJECT(object_name=object_name, id=upload.id))
    except Conflict:
        return False
    return True


def added(upload: Upload, part: Part) -> Upload:
    """Returns the upload with one more part, of which the database knows nothing yet."""
    received = upload.received + part.size
    return replace(upload, received=received, algorithm=part.algorithm, hash_state=part.hash_state, crc32c=part.crc32c)


def advance(db: Database, upload: Upload, part: Part, seconds: int, digest: Digest | None = None) -> Upload | None:
    """Returns the upload with one more part; None, with the part queued for deletion, if it was changed meanwhile.

    `digest` is what the client says that the whole is, once it has said so: it then needs no room if it is held.
    Raises ChangeRefused, and queues the part for deletion, if the namespace's quota has no room for it.
    """
    advanced = replace(added(upload, part), version=upload.version + 1, room=None)
    call = _ADVANCE(
        id=upload.id,
        version=upload.version,
        object_name=part.object_name,
        size=part.size,
        received=advanced.received,
        algorithm=part.algorithm,
        hash_state=part.hash_state,
        crc32c=part.crc32c,
        digest=digest,
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
