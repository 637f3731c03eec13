"""The end of an upload: one transaction makes it a blob, and links it to the repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.content.uploads import Upload
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.usage import quotas
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Committed:
    """It says whether the upload became the blob, and which object that has; None if there is no such upload."""

    is_done: bool
    object_name: str | None


# The repository is locked first, and then keeps its name: it is that name's namespace whose quota was claimed. Then the
# upload: a commit and a cancellation, or two commits, of one upload go one after the other.
# A blob that is known already is locked too, also where nothing of it changes: a GC run that has it in hand is
# waited for, and one that comes later passes it by. Otherwise it could be gone before it is linked. A damaged one is
# given the new object; a trigger queues for deletion the older.
_COMMIT_BLOB: Final = Statement(
    "uploads_commit_blob",
    int,
    """
    INSERT INTO blobs (digest, size, object_name, crc32c)
    SELECT :digest, :size, :object_name, :crc32c
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id
     WHERE uploads.id = :id AND uploads.version = :version AND repositories.name = :repository
       FOR KEY SHARE OF repositories FOR UPDATE OF uploads
    ON CONFLICT (digest) DO UPDATE
       SET object_name = excluded.object_name, crc32c = excluded.crc32c, damaged_at = NULL
     WHERE blobs.damaged_at IS NOT NULL
    """,
    is_hot=True,
)

# Only to an object of which it is known that it is there: this upload's, or the one that was looked at.
_COMMIT_LINK: Final = Statement(
    "uploads_commit_link",
    int,
    """
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT uploads.repository_id, blobs.digest, blobs.size
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id, blobs
     WHERE uploads.id = :id AND uploads.version = :version AND repositories.name = :repository
       AND blobs.digest = :digest AND blobs.object_name IN (:object_name, :seen)
    ON CONFLICT (repository_id, digest) DO UPDATE SET linked_at = now()
    """,
    is_hot=True,
)

# Its objects go with it; a trigger queues for deletion those that did not become the blob. It stays if nothing was
# linked: its repository has another name now, or the blob has an object that nobody has looked at. Which one that is it
# tells.
_COMMIT_UPLOAD: Final = Statement(
    "uploads_commit",
    Committed,
    """
    WITH ended AS (
        DELETE FROM uploads USING repositories, repository_blobs AS link, blobs
         WHERE uploads.id = :id AND uploads.version = :version
           AND repositories.id = uploads.repository_id AND repositories.name = :repository
           AND link.repository_id = repositories.id AND link.digest = :digest
           AND blobs.digest = link.digest AND blobs.object_name IN (:object_name, :seen)
        RETURNING uploads.id
    )
    SELECT EXISTS (SELECT FROM ended), blobs.object_name
      FROM uploads JOIN repositories ON repositories.id = uploads.repository_id, blobs
     WHERE uploads.id = :id AND uploads.version = :version AND repositories.name = :repository
       AND blobs.digest = :digest
    """,
    is_hot=True,
)


def commit(
    db: Database, repository: RepositoryName, upload: Upload, digest: Digest, object_name: str, seen: str | None = None
) -> Committed:
    """The upload becomes a blob, linked to its repository; not if another request changed, moved or ended it first.

    If the digest is known, its older object stays and the new one is queued for deletion; but only if the older one was
    `seen` in the store. If not, nothing is done either: it is to be looked at, and then this is called again. A blob
    that is marked as damaged is given the new object. Raises ChangeRefused if the blob is over the namespace's quota.
    """
    key = {"id": upload.id, "version": upload.version, "repository": repository, "digest": digest}
    calls: list[Call[Any]] = [
        quotas.claiming(repository.namespace),
        _COMMIT_BLOB(**key, size=upload.received, object_name=object_name, crc32c=upload.crc32c),
        _COMMIT_LINK(**key, object_name=object_name, seen=seen),
        _COMMIT_UPLOAD(**key, object_name=object_name, seen=seen),
    ]
    return next(iter(_COMMIT_UPLOAD.read(db.batch(calls)[-1])), Committed(is_done=False, object_name=None))
