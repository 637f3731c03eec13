"""The review queue of auxiliary tags: they go once the manifest that they are named after has gone for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Statement, compose
from functions.registry.metadata.gc.review_queue import (
    Deleted,
    Review,
    ReviewQueue,
    complete_statement,
    reschedule_statement,
)


@dataclass(frozen=True, slots=True)
class TagReview(Review):
    repository_id: int
    tag: str


@dataclass(frozen=True, slots=True)
class _DeletedTag(Deleted):
    repository_id: int
    tag: str


# Locked with their tags, which may be gone.
_CLAIM_TAGS: Final = Statement(
    "reviews_claim_tags",
    TagReview,
    """
    WITH claimed AS MATERIALIZED (
        SELECT event, repository_id, tag FROM tag_reviews
         WHERE review_after < now()
         ORDER BY review_after
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    ), locked AS MATERIALIZED (
        SELECT FROM tags JOIN claimed ON claimed.repository_id = tags.repository_id AND claimed.tag = tags.name
         ORDER BY tags.repository_id, tags.name
           FOR UPDATE OF tags
    )
    SELECT event, repository_id, tag FROM claimed WHERE (SELECT count(*) FROM locked) >= 0
    """,
    is_hot=True,
)

_TAG_KEYS: Final = """
    (repository_id, tag) IN (SELECT * FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])))
"""

# Tags that nobody has pushed since their subject went, and it is not here again.
_ORPHANS: Final = """
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])) AS due (repository_id, tag)
      JOIN repositories ON repositories.id = due.repository_id
      JOIN tag_reviews AS review ON review.repository_id = due.repository_id AND review.tag = due.tag
      JOIN tags ON tags.repository_id = due.repository_id AND tags.name = due.tag AND tags.updated_at <= review.gone_at
     WHERE NOT EXISTS (SELECT FROM manifests AS subject
                        WHERE subject.repository_id = due.repository_id AND subject.digest = tag_subject(due.tag))
"""

# A subject that was deleted may be put back, a repository that is set aside comes back with all its subjects, and one
# that is imported may have them elsewhere.
_DELETE_TAGS: Final = Statement(
    "reviews_delete_tags",
    _DeletedTag,
    compose(
        """
    WITH orphans AS MATERIALIZED (
        SELECT due.repository_id, due.tag
        $orphans
           AND NOT EXISTS (
               SELECT FROM withdrawn_manifests AS subject
                WHERE subject.repository_id = due.repository_id AND subject.digest = tag_subject(due.tag))
           AND repositories.deleted_at IS NULL AND NOT is_awaiting_import(repositories.id)
           AND coalesce(tag_refusal(repositories.name, due.tag, false, 0),
                        deletion_refusal(repositories.name, due.tag, 0)) IS NULL
    ), gone AS (
        DELETE FROM tags USING orphans
         WHERE tags.repository_id = orphans.repository_id AND tags.name = orphans.tag
        RETURNING tags.repository_id, tags.name
    )
    DELETE FROM tag_reviews AS review USING gone
     WHERE review.repository_id = gone.repository_id AND review.tag = gone.name
    RETURNING 0, gone.repository_id, gone.name
    """,
        orphans=_ORPHANS,
    ),
    is_hot=True,
)

# What keeps them may end: they are looked at again.
_RESCHEDULE_ORPHANS: Final = Statement(
    "reviews_reschedule_orphans",
    int,
    compose(
        """
    UPDATE tag_reviews SET review_after = now() + interval '1 day'
     WHERE (repository_id, tag) IN (SELECT due.repository_id, due.tag $orphans)
    """,
        orphans=_ORPHANS,
    ),
    is_hot=True,
)

# What they named is queued by a trigger.
TAGS: Final = ReviewQueue(
    "tag",
    ("repository_id", "tag"),
    _CLAIM_TAGS,
    _DELETE_TAGS,
    complete_statement("tag", _TAG_KEYS),
    reschedule_statement("tag", _TAG_KEYS),
    stay=(_RESCHEDULE_ORPHANS,),
)
