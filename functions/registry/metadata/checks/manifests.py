"""Manifests with their bytes and what the rows say of them, read at one moment; and what mends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Checked:
    """`held` are the digests that the rows say it refers to, in hexadecimal as they are kept; `subject` among them not.

    `payload` is None where the page has no room for it any more.
    """

    id: int
    repository: str
    digest: Digest
    media_type: str
    subject: Digest | None
    is_damaged: bool
    held: list[str]
    payload: bytes | None


# Lists come as JSON, for the driver takes a hundred times as long for an array.
_AFTER: Final = Statement(
    "checks_manifests",
    Checked,
    """
    SELECT page.id, repositories.name, page.digest, page.media_type, page.subject, page.damaged_at IS NOT NULL,
           coalesce((SELECT json_agg(encode(held.digest, 'hex'))
                       FROM (SELECT digest FROM manifest_blobs WHERE manifest_id = page.id
                              UNION ALL
                             SELECT child.digest FROM manifest_children AS listed
                               JOIN manifests AS child ON child.id = listed.child_id
                              WHERE listed.parent_id = page.id
                              UNION ALL
                             SELECT digest FROM sparse_references WHERE manifest_id = page.id) AS held), '[]'),
           CASE WHEN page.number = 1 OR page.bytes <= :most THEN page.payload END
      FROM (SELECT *, row_number() OVER (ORDER BY id) AS number,
                   sum(octet_length(payload)) OVER (ORDER BY id) AS bytes
              FROM (SELECT * FROM manifests WHERE id > :after AND id <= :upto ORDER BY id LIMIT :limit) AS found
           ) AS page
      JOIN repositories ON repositories.id = page.repository_id
     ORDER BY page.id
    """,
)

_LAST_ID: Final = Statement(
    "checks_last_manifest", int, "SELECT id FROM manifests WHERE id > 0 ORDER BY id DESC LIMIT 1"
)

# Nothing that is counted or reviewed changes with it: no push, and no time of one.
_QUIETLY: Final = Statement("checks_quietly", str, "SELECT set_config('slipway.describing', 'on', true)")

_MARK: Final = Statement(
    "checks_mark_manifests",
    int,
    """
    UPDATE manifests SET damaged_at = now()
     WHERE id = ANY (CAST(:ids AS bigint[])) AND damaged_at IS NULL
       AND substring(digest FROM 2) <> CASE get_byte(digest, 0) WHEN 1 THEN sha256(payload) ELSE sha512(payload) END
    """,
)


def after(db: Database, id_: int, upto: int, limit: int, most: int) -> list[Checked]:
    """Returns at most `limit`, with payloads of at most `most` bytes together, but for the first."""
    return db.all(_AFTER(after=id_, upto=upto, limit=limit, most=most))


def last_id(db: Database) -> int:
    return db.one_or_none(_LAST_ID()) or 0


def marking(ids: Sequence[int]) -> list[Call[Any]]:
    """Those whose bytes are not those of their digests, as was found of them, are given to nobody until a push brings
    them.
    """
    return [_QUIETLY(), _MARK(ids=list(ids))]


# A reference is written only where the repository has what it names: a link is the right to read a blob, and no check
# gives that away. What is going away meanwhile is waited for, and passed by.
_WRITE_BLOBS: Final = Statement(
    "checks_write_blobs",
    int,
    """
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT manifests.id, manifests.repository_id, link.digest
      FROM manifests
      JOIN repository_blobs AS link ON link.repository_id = manifests.repository_id
     WHERE manifests.id = :id AND link.digest = ANY (CAST(:digests AS bytea[]))
     ORDER BY link.digest
       FOR KEY SHARE OF manifests, link
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,
)

_WRITE_CHILDREN: Final = Statement(
    "checks_write_children",
    int,
    """
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT parent.id, child.id
      FROM manifests AS parent
      JOIN manifests AS child ON child.repository_id = parent.repository_id
     WHERE parent.id = :id AND child.digest = ANY (CAST(:digests AS bytea[]))
     ORDER BY child.id
       FOR KEY SHARE OF parent, child
    ON CONFLICT (parent_id, child_id) DO NOTHING
    """,
)


def writing(id_: int, blobs: Sequence[Digest], children: Sequence[Digest]) -> list[Call[int]]:
    """Writes those of its references that the repository has the link or the manifest for, and takes none away."""
    return [_WRITE_BLOBS(id=id_, digests=list(blobs)), _WRITE_CHILDREN(id=id_, digests=list(children))]
