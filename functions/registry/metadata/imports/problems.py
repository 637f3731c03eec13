"""What could not be imported as it was: one row for each thing, however often it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from functions.registry.metadata.db import Call, Statement
from functions.registry.metadata.imports.vocabulary import Problem

# Seen again as it was, it is no write.
_NOTE: Final = Statement(
    "imports_note_problems",
    int,
    """
    INSERT INTO import_problems AS known (source_id, repository, kind, key, reason, detail)
    SELECT DISTINCT ON (repository, kind, key) :source_id, repository, kind, key, reason, detail
      FROM unnest(CAST(:repositories AS text[]), CAST(:kinds AS text[]), CAST(:keys AS text[]),
                  CAST(:reasons AS text[]), CAST(:details AS text[])) AS seen (repository, kind, key, reason, detail)
     ORDER BY repository, kind, key
    ON CONFLICT (source_id, repository, kind, key) DO UPDATE
       SET reason = excluded.reason, detail = excluded.detail, seen_at = now(), gone_at = NULL
     WHERE (known.reason, known.detail, known.gone_at)
           IS DISTINCT FROM (excluded.reason, excluded.detail, CAST(NULL AS timestamptz))
    """,
)


def noting(source_id: int, problems: Sequence[Problem]) -> list[Call[Any]]:
    """Is for a batch; nothing if there are none."""
    if not problems:
        return []
    return [
        _NOTE(
            source_id=source_id,
            repositories=[problem.repository for problem in problems],
            kinds=[problem.kind for problem in problems],
            keys=[problem.key for problem in problems],
            reasons=[problem.reason for problem in problems],
            details=[problem.detail for problem in problems],
        )
    ]
