"""Objects of an old registry become blobs of this one, under the names that they have.

A name that is made from a digest comes again: the old software writes it anew, and so does a second import. So whoever
adopts one takes it out of the deletions first, and leaves alone what a collection has in hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """An object that is there: `size` in bytes, `created_at` when it was written."""

    digest: Digest
    size: int
    object_name: str
    created_at: datetime


# The names are locked in their order, by all who adopt. Of two digests of one object, or two objects of one digest, the
# first stays: ON CONFLICT is about both keys.
_ADOPT: Final = Statement(
    "imports_adopt",
    str,
    """
    WITH found AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:digests AS bytea[]), CAST(:sizes AS bigint[]), CAST(:object_names AS text[]),
                             CAST(:created AS timestamptz[])) AS found (digest, size, object_name, created_at)
    ), pending AS MATERIALIZED (
        SELECT object_name, is_being_deleted(attempts, not_before) AS is_leaving FROM deletions
         WHERE object_name = ANY (CAST(:object_names AS text[])) ORDER BY object_name
           FOR UPDATE
    ), taken AS (
        DELETE FROM deletions USING pending
         WHERE deletions.object_name = pending.object_name AND NOT pending.is_leaving
    ), adopted AS (
        INSERT INTO blobs (digest, size, object_name, created_at)
        SELECT found.digest, found.size, found.object_name, found.created_at
          FROM found
         WHERE NOT EXISTS (SELECT FROM pending
                            WHERE pending.object_name = found.object_name AND pending.is_leaving)
         ORDER BY found.digest
        ON CONFLICT DO NOTHING
    )
    SELECT object_name FROM pending WHERE is_leaving
    """,
    is_hot=True,
)

# Named before it is written, so that a crash leaves nothing that no row tells of.
_EXPECT: Final = Statement(
    "imports_expect",
    int,
    """
    INSERT INTO deletions (object_name, size, not_before)
    SELECT expected.object_name, expected.size, now() + interval '1 day'
      FROM unnest(CAST(:object_names AS text[]), CAST(:sizes AS bigint[])) AS expected (object_name, size)
     ORDER BY expected.object_name
    """,
)

_UNKNOWN: Final = Statement(
    "imports_unknown_blobs",
    Digest,
    """
    SELECT named.digest FROM unnest(CAST(:digests AS bytea[])) AS named (digest)
     WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.digest = named.digest)
    """,
    is_hot=True,
)


def adopting(found: Sequence[FoundBlob]) -> Call[Any]:
    """Is for a transaction that needs these blobs."""
    return _ADOPT(
        digests=[blob.digest for blob in found],
        sizes=[blob.size for blob in found],
        object_names=[blob.object_name for blob in found],
        created=[blob.created_at for blob in found],
    )


def adopt(db: Database, found: Sequence[FoundBlob]) -> list[str]:
    """Makes blobs of them, in one statement. Returns the names that a collection has in hand: ask for them later."""
    return db.all(adopting(found)) if found else []


def expect(db: Database, sizes: Mapping[str, int]) -> None:
    """Objects of these names are about to be written: they are collected in a day, unless they are adopted."""
    db.count(_EXPECT(object_names=list(sizes), sizes=list(sizes.values())))


def unknown(db: Database, digests: Sequence[Digest]) -> list[Digest]:
    """Returns those of which there is no blob."""
    return db.all(_UNKNOWN(digests=sorted(set(digests)))) if digests else []
