"""What a check does about damaged blobs and unknown objects: it marks rows, and the collection alone deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest

# A mistake can be undone for as long.
GRACE_DAYS: Final = 7

_UNMARK: Final = Statement(
    "checks_unmark_blob",
    int,
    """
    UPDATE blobs SET damaged_at = NULL
     WHERE digest = :digest AND object_name = :object_name AND damaged_at IS NOT NULL
    """,
)

# What was named meanwhile is passed by, and so is whatever belongs to an older registry.
_QUEUE: Final = Statement(
    "checks_queue_deletions",
    int,
    """
    INSERT INTO deletions (object_name, size, not_before)
    SELECT unknown.name, unknown.size, now() + make_interval(days => :days)
      FROM unnest(CAST(:names AS text[]), CAST(:sizes AS bigint[])) AS unknown (name, size)
     WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.object_name = unknown.name)
       AND NOT EXISTS (SELECT FROM upload_objects WHERE upload_objects.object_name = unknown.name)
       AND NOT EXISTS (SELECT FROM import_sources WHERE prefix IS NOT NULL AND starts_with(unknown.name, prefix))
     ORDER BY unknown.name
    ON CONFLICT (object_name) DO NOTHING
    """,
)


def unmark(db: Database, digest: Digest, object_name: str) -> None:
    """Its object was just read, and has the blob's bytes. If it has another object by now nothing is done."""
    db.count(_UNMARK(digest=digest, object_name=object_name))


def queue(db: Database, names: Sequence[str], sizes: Sequence[int | None]) -> None:
    """Unknown objects go after seven days, unless that is undone."""
    db.count(_QUEUE(names=list(names), sizes=list(sizes), days=GRACE_DAYS))
