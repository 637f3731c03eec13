"""The one place where retention removes tags. They are locked first, as whoever pushes or deletes them does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from functions.registry.metadata.db import Call, Statement

# A repository's id and a tag.
Key = tuple[int, str]

_LOCK: Final = Statement(
    "retention_tags_lock",
    int,
    """
    SELECT count(*)
      FROM (SELECT FROM tags
              JOIN unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])) AS asked (repository_id, tag)
                ON asked.repository_id = tags.repository_id AND asked.tag = tags.name
             ORDER BY tags.repository_id, tags.name
               FOR UPDATE OF tags) AS locked
    """,
)

# Triggers queue what they leave behind, and obey the rules for tags once more.
_REMOVE: Final = Statement(
    "retention_tags_remove",
    str,
    """
    DELETE FROM tags
     USING unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])) AS asked (repository_id, tag)
     WHERE tags.repository_id = asked.repository_id AND tags.name = asked.tag
    RETURNING tags.name
    """,
)


def locking(keys: Sequence[Key]) -> Call[int]:
    return _LOCK(**_columns(keys))


def removing(keys: Sequence[Key]) -> Call[str]:
    return _REMOVE(**_columns(keys))


def _columns(keys: Sequence[Key]) -> dict[str, list[Any]]:
    return {"repository_ids": [key[0] for key in keys], "tags": [key[1] for key in keys]}
