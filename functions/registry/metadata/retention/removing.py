"""The one place where retention removes tags. They are locked first, as whoever pushes or deletes them does it."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Call, Statement

_LOCK: Final = Statement(
    "retention_tags_lock",
    int,
    """
    SELECT count(*)
      FROM (SELECT FROM tags
             WHERE repository_id = :repository_id AND name = ANY (CAST(:tags AS text[]))
             ORDER BY name
               FOR UPDATE) AS locked
    """,
)

# Triggers queue what they leave behind, and obey the rules for tags once more.
_REMOVE: Final = Statement(
    "retention_tags_remove",
    str,
    """
    DELETE FROM tags WHERE repository_id = :repository_id AND name = ANY (CAST(:tags AS text[])) RETURNING name
    """,
)


def locking(repository_id: int, tags: list[str]) -> Call[int]:
    return _LOCK(repository_id=repository_id, tags=tags)


def removing(repository_id: int, tags: list[str]) -> Call[str]:
    return _REMOVE(repository_id=repository_id, tags=tags)
