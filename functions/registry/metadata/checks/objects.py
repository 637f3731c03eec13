"""Rows that name objects, in the order of a listing; and what all of them say of an object at one moment.

A name moves between `upload_objects`, `blobs` and `deletions`, so each look is one statement over all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class NamedObject:
    """`digest` is that of the blob which needs the object; None where an upload or a deletion merely explains it."""

    name: str
    digest: Digest | None
    size: int | None
    crc32c: int | None
    is_damaged: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What the rows say of one name. `is_known`: something names it; `is_of_source`: it lies where an older registry
    has its objects, also one whose import is over.
    """

    name: str
    digest: Digest | None
    size: int | None
    crc32c: int | None
    is_damaged: bool
    created_at: datetime | None
    is_known: bool
    is_of_source: bool


_AFTER: Final = Statement(
    "checks_named_objects",
    NamedObject,
    """
    SELECT object_name, digest, size, crc32c, is_damaged
      FROM ((SELECT object_name, digest, size, crc32c, damaged_at IS NOT NULL AS is_damaged FROM blobs
              WHERE object_name > :after AND object_name <= :upto ORDER BY object_name LIMIT :limit)
             UNION ALL
            (SELECT object_name, NULL, NULL, NULL, false FROM upload_objects
              WHERE object_name > :after AND object_name <= :upto ORDER BY object_name LIMIT :limit)
             UNION ALL
            (SELECT object_name, NULL, NULL, NULL, false FROM deletions
              WHERE object_name > :after AND object_name <= :upto ORDER BY object_name LIMIT :limit)) AS named
     ORDER BY object_name
     LIMIT :limit
    """,
)

_LOOK: Final = Statement(
    "checks_look",
    Look,
    """
    SELECT asked.name, blobs.digest, blobs.size, blobs.crc32c, blobs.damaged_at IS NOT NULL, blobs.created_at,
           blobs.digest IS NOT NULL
           OR EXISTS (SELECT FROM upload_objects WHERE upload_objects.object_name = asked.name)
           OR EXISTS (SELECT FROM deletions WHERE deletions.object_name = asked.name),
           EXISTS (SELECT FROM import_sources WHERE prefix IS NOT NULL AND starts_with(asked.name, prefix))
      FROM unnest(CAST(:names AS text[])) AS asked (name)
      LEFT JOIN LATERAL (SELECT * FROM blobs WHERE blobs.object_name = asked.name OFFSET 0) AS blobs ON true
    """,
)

# In the order in which all lock blobs, and past those that somebody has in hand: another check comes.
_FILL: Final = Statement(
    "checks_fill_checksums",
    int,
    """
    WITH seen AS MATERIALIZED (
        SELECT blobs.digest, asked.crc32c
          FROM unnest(CAST(:names AS text[]), CAST(:checksums AS bigint[])) AS asked (name, crc32c)
          JOIN blobs ON blobs.object_name = asked.name
         WHERE blobs.crc32c IS NULL AND blobs.damaged_at IS NULL
         ORDER BY blobs.digest
           FOR NO KEY UPDATE OF blobs SKIP LOCKED
    )
    UPDATE blobs SET crc32c = seen.crc32c FROM seen WHERE blobs.digest = seen.digest
    """,
)

_FIRST_FROM: Final = Statement(
    "checks_first_object", str, "SELECT object_name FROM blobs WHERE object_name >= :start ORDER BY object_name LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class HeldBlob:
    digest: Digest
    size: int
    object_name: str


_HELD: Final = Statement(
    "checks_held_blobs",
    HeldBlob,
    """
    SELECT digest, size, object_name FROM blobs
     WHERE digest > :after AND digest <= :upto ORDER BY digest LIMIT :limit
    """,
)

_BOUNDS: Final = Statement(
    "checks_object_bounds",
    str,
    """
    SELECT object_name
      FROM (SELECT object_name, row_number() OVER (ORDER BY object_name) AS number
              FROM blobs WHERE object_name > :start AND object_name <= :stop) AS numbered
     WHERE number % :each = 0
     ORDER BY object_name
    """,
)


def after(db: Database, name: str, upto: str, limit: int) -> list[NamedObject]:
    """Names behind `name` up to `upto`, which is one of them, bytewise; one that several rows have comes as often."""
    return db.all(_AFTER(after=name, upto=upto, limit=limit))


def look(db: Database, names: Sequence[str]) -> dict[str, Look]:
    return {seen.name: seen for seen in db.all(_LOOK(names=list(names)))}


def filling(checksums: dict[str, int]) -> list[Call[int]]:
    """Notes the checksums of objects that were seen whole, where none is known. Empty for nothing."""
    if not checksums:
        return []
    return [_FILL(names=list(checksums), checksums=list(checksums.values()))]


def first_from(db: Database, start: str) -> str | None:
    """The first name of a blob's object that is not before `start`."""
    return db.one_or_none(_FIRST_FROM(start=start))


def bounds(db: Database, start: str, stop: str, each: int) -> list[str]:
    """Every so manieth name of a blob's object between the two."""
    return db.all(_BOUNDS(start=start, stop=stop, each=each))


def held(db: Database, after_: bytes, upto: bytes, limit: int) -> list[HeldBlob]:
    """Blobs by their digests, as these are kept: behind the first up to the second."""
    return db.all(_HELD(after=after_, upto=upto, limit=limit))
