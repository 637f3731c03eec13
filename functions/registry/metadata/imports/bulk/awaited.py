"""References that were awaited: what a manifest named before it was here is kept by it from now on.

A client may have asked for an index before its children were imported: it is then as large as they are, once they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from functions.registry.metadata.db import Database, Session, Statement
from functions.registry.metadata.imports import mode

# What is described anew is no push.
_DESCRIBING: Final = Statement(
    "imports_describing", str, "SELECT set_config('slipway.describing', 'on', true)", is_hot=True
)

# What an index lists is a child if there is a manifest of that digest, and else a blob. Gives what has changed.
_KEEP: Final = Statement(
    "imports_keep_awaited",
    int,
    """
    WITH come AS MATERIALIZED (
        SELECT awaited.manifest_id, awaited.repository_id, awaited.digest, child.id AS child_id
          FROM unnest(CAST(:ids AS bigint[])) AS imported (id)
          JOIN import_repositories AS old ON old.id = imported.id
          JOIN sparse_references AS awaited ON awaited.repository_id = old.repository_id
          LEFT JOIN manifests AS child
            ON child.repository_id = awaited.repository_id AND child.digest = awaited.digest
          LEFT JOIN repository_blobs AS link
            ON link.repository_id = awaited.repository_id AND link.digest = awaited.digest
         WHERE child.id IS NOT NULL OR link.digest IS NOT NULL
    ), blobs AS (
        INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
        SELECT manifest_id, repository_id, digest FROM come WHERE child_id IS NULL ORDER BY digest, manifest_id
        ON CONFLICT (manifest_id, digest) DO NOTHING
    ), children AS (
        INSERT INTO manifest_children (parent_id, child_id)
        SELECT manifest_id, child_id FROM come WHERE child_id IS NOT NULL ORDER BY child_id, manifest_id
        ON CONFLICT (parent_id, child_id) DO NOTHING
    ), dropped AS (
        DELETE FROM sparse_references AS awaited
         USING come WHERE awaited.manifest_id = come.manifest_id AND awaited.digest = come.digest
    )
    SELECT DISTINCT manifest_id FROM come WHERE child_id IS NOT NULL ORDER BY manifest_id
    """,
    is_hot=True,
)

_DESCRIBE: Final = Statement(
    "imports_describe_manifests", int, "UPDATE manifests SET size = size WHERE id = ANY (CAST(:manifests AS bigint[]))"
)

_DESCRIBE_TAGS: Final = Statement(
    "imports_describe_tags",
    int,
    "UPDATE tags SET manifest_id = manifest_id WHERE manifest_id = ANY (CAST(:manifests AS bigint[]))",
)

_PARENTS: Final = Statement(
    "imports_parents",
    int,
    """
    SELECT DISTINCT parent_id FROM manifest_children
     WHERE child_id = ANY (CAST(:manifests AS bigint[])) ORDER BY parent_id
    """,
)


def keep(db: Database, ids: Sequence[int]) -> None:
    """Keeps what is awaited in repositories with these imports, and has come; level by level, up to what lists it."""

    def work(session: Session) -> None:
        session.batch([mode.importing(), _DESCRIBING()])
        changed = session.all(_KEEP(ids=list(ids)))
        while changed:
            session.batch([_DESCRIBE(manifests=changed), _DESCRIBE_TAGS(manifests=changed)])
            changed = session.all(_PARENTS(manifests=changed))

    db.transaction(work)
