"""The queue of tags whose verdict may have changed: claimed, and put off until it may change next.

Nothing but the reviews is locked meanwhile, so a push of such a tag waits for a moment at most; and no tag is waited
for, so nobody waits crosswise.
"""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Session, Statement

_LONGEST_ERROR: Final = 500

_CLAIM: Final = Statement(
    "retention_reviews_claim",
    list,
    """
    WITH claimed AS MATERIALIZED (
        SELECT repository_id, tag
          FROM retention_reviews
         WHERE due_at <= now()
         ORDER BY due_at
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    SELECT coalesce(json_agg(json_build_array(repository_id, tag) ORDER BY repository_id, tag), '[]') FROM claimed
    """,
)

_PUT_OFF: Final = Statement(
    "retention_reviews_put_off",
    int,
    """
    UPDATE retention_reviews AS review SET due_at = moment_of(settled.due_at), attempts = 0, error = NULL
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[]), CAST(:due_ats AS bigint[]))
           AS settled (repository_id, tag, due_at)
     WHERE review.repository_id = settled.repository_id AND review.tag = settled.tag
    """,
)

_DROP: Final = Statement(
    "retention_reviews_drop",
    int,
    """
    DELETE FROM retention_reviews
     WHERE (repository_id, tag) IN (
           SELECT * FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])))
    """,
)

_FAIL: Final = Statement(
    "retention_reviews_fail",
    int,
    """
    UPDATE retention_reviews
       SET attempts = attempts + 1, error = :error,
           due_at = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
     WHERE repository_id = :repository_id AND tag = :tag AND due_at <= now()
    RETURNING attempts
    """,
)

Key = tuple[int, str]


def claim(session: Session, limit: int) -> list[Key]:
    """Returns repository and tag of what has been due for longest, and locks it until the end of the transaction."""
    found: list[list[Any]] = session.one_or_none(_CLAIM(limit=limit)) or []
    return [(repository_id, tag) for repository_id, tag in found]


def settling(due: dict[Key, int | None]) -> list[Call[Any]]:
    """Returns what to run of claimed reviews; each is due again at a time in microseconds, or never."""
    later = {key: moment for key, moment in due.items() if moment is not None}
    never = [key for key, moment in due.items() if moment is None]
    calls: list[Call[Any]] = []
    if later:
        calls.append(_PUT_OFF(**_keys(list(later)), due_ats=list(later.values())))
    if never:
        calls.append(_DROP(**_keys(never)))
    return calls


def failing(key: Key, error: str) -> Call[int]:
    """Puts off a review that can't be processed: 1, 2, 4, … minutes, at most a day."""
    return _FAIL(repository_id=key[0], tag=key[1], error=error[:_LONGEST_ERROR])


def _keys(keys: list[Key]) -> dict[str, list[Any]]:
    return {"repository_ids": [key[0] for key in keys], "tags": [key[1] for key in keys]}
