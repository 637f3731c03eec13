"""What tags named before: bindings that ended, the last first, and what a tag named at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.lists.keyset import Column, Found, Rows, Walk, walk
from functions.registry.metadata.lists.tags import written_digest
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

# Whether each can be put back is asked for what is shown, and for no more.
_PAGE: Final = """
    WITH repository AS MATERIALIZED (
        SELECT id FROM repositories WHERE name = :repository
    ), walked AS MATERIALIZED (
        SELECT $key AS key, tag_history.*
          FROM tag_history
         WHERE tag_history.repository_id = (SELECT id FROM repository) AND $scope AND $here
         ORDER BY $order
         LIMIT least(CAST(:reach AS bigint), CAST(:size AS bigint))
    )
    SELECT coalesce((
           SELECT json_agg(json_build_array(walked.key, walked.id, json_build_object(
                  'tag', walked.tag, 'digest', $digest, 'since', walked.since, 'until', walked.until,
                  'change', CASE WHEN walked.is_move THEN 'moved' ELSE 'deleted' END,
                  'cause', walked.cause, 'actor', walked.actor, 'kind', walked.kind, 'size', walked.size,
                  'is_current', EXISTS (
                      SELECT FROM tags JOIN manifests ON manifests.id = tags.manifest_id
                       WHERE tags.repository_id = walked.repository_id AND tags.name = walked.tag
                         AND manifests.digest = walked.digest),
                  'restorable', asked.refusal IS NULL,
                  'restorable_until', CASE WHEN asked.refusal IS NULL THEN
                                           restorable_until(walked.repository_id, walked.digest) END,
                  'reason', asked.refusal)) ORDER BY walked.key $way, walked.id $way)
             FROM walked
            CROSS JOIN LATERAL (
                  SELECT restore_refusal(walked.repository_id, walked.digest) AS refusal OFFSET 0) AS asked), '[]'),
           NULL
      FROM repository
"""

# In the order in which they ended. Of one tag that is the order of their ids.
COLUMN: Final = Column("tag_history.until", "timestamptz", "tag_history.id")
_COLUMN_OF_TAG: Final = Column("tag_history.id", "bigint", None)


def _listing(name: str, column: Column, scope: str, *, descending: bool) -> Statement[Rows]:
    parts = {"scope": scope, "digest": written_digest("walked.digest")}
    sql = column.walk(_PAGE, descending=descending, **parts)
    return Statement(f"history_{name}_{'down' if descending else 'up'}", Rows, sql)


_OF_REPOSITORY: Final = {
    descending: _listing("of_repository", COLUMN, "true", descending=descending) for descending in (False, True)
}
_OF_TAG: Final = {
    descending: _listing("of_tag", _COLUMN_OF_TAG, "tag_history.tag = :tag", descending=descending)
    for descending in (False, True)
}


@dataclass(frozen=True, slots=True)
class Named:
    """What a tag named at a time: `until` is when that ended, None if it still does."""

    digest: Digest
    since: datetime
    until: datetime | None


# The first that ended after that time, if it had begun by then; else the tag as it is now.
_AT: Final = Statement(
    "history_at",
    Named,
    """
    SELECT named.digest, named.since, named.until
      FROM repositories
     CROSS JOIN LATERAL (
           (SELECT * FROM (
                   SELECT ended.digest, ended.since, ended.until
                     FROM tag_history AS ended
                    WHERE ended.repository_id = repositories.id AND ended.tag = :tag
                      AND ended.until > CAST(:moment AS timestamptz)
                    ORDER BY ended.id
                    LIMIT 1) AS first
             WHERE first.since <= CAST(:moment AS timestamptz))
           UNION ALL
           SELECT manifests.digest, coalesce(tags.named_at, tags.updated_at), NULL
             FROM tags JOIN manifests ON manifests.id = tags.manifest_id
            WHERE tags.repository_id = repositories.id AND tags.name = :tag
              AND coalesce(tags.named_at, tags.updated_at) <= CAST(:moment AS timestamptz)) AS named
     WHERE repositories.name = :repository
     LIMIT 1
    """,
)


def page(db: Database, repository: RepositoryName, tag: Tag | None, part: Walk) -> Found | None:
    """Returns bindings that ended, of one tag or of all; None if there is no such repository."""
    return walk(db, paging(repository, tag, part), part.size)


def paging(repository: RepositoryName, tag: Tag | None, part: Walk) -> Call[Rows]:
    """Returns what `page` asks, for a batch."""
    values: dict[str, Any] = {"repository": repository}
    if tag is None:
        return _OF_REPOSITORY[part.descending](**values, **part.values(COLUMN))
    return _OF_TAG[part.descending](**values, **part.values(_COLUMN_OF_TAG), tag=tag)


def at(db: Database, repository: RepositoryName, tag: Tag, moment: datetime) -> Named | None:
    """Returns what the tag named at that time; None if it named nothing, or that isn't known any more."""
    return db.one_or_none(_AT(repository=repository, tag=tag, moment=moment))
