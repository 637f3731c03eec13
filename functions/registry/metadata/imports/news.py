"""What a source says has changed in it: its repositories are compared at once, and not only when its time has come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from functions.registry.metadata.db import Database, Statement

# One that is being compared at this moment may have been listed before it changed: it stays due.
_COMPARE: Final = Statement(
    "imports_compare_repositories",
    int,
    """
    WITH told AS MATERIALIZED (
        SELECT id FROM import_repositories
         WHERE source_id = :source_id AND path = ANY (CAST(:paths AS text[]))
           AND state IN ('listed', 'importing', 'imported')
         ORDER BY id
           FOR NO KEY UPDATE
    )
    UPDATE import_repositories AS old SET due_at = now()
      FROM told WHERE old.id = told.id AND (old.due_at IS NULL OR old.due_at > now())
    """,
)

# What isn't known yet; a name that another has is left to the next listing, which tells of it.
_ADD: Final = Statement(
    "imports_add_repositories",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, due_at)
    SELECT source.id, told.path, told.name, now()
      FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[])) AS told (path, name)
      JOIN import_sources AS source ON source.id = :source_id AND source.state NOT IN ('added', 'sealing', 'sealed')
     WHERE source.listed_at IS NOT NULL
     ORDER BY told.path
    ON CONFLICT DO NOTHING
    """,
)


def note(db: Database, source_id: int, changed: Mapping[str, str]) -> None:
    """Compares these repositories as soon as may be: each by its path there, with the name that it gets here.

    While the source is listed for the first time, what it doesn't know is left to that.
    """
    if changed:
        which = {"source_id": source_id, "paths": list(changed)}
        db.batch([_COMPARE(**which), _ADD(**which, names=list(changed.values()))])
