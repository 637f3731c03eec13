"""What nothing here needs of a source that is sealed: it may go, and so may what the import knew of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.ending.sealing import REPOSITORIES, repositories_of
from functions.registry.metadata.imports.vocabulary import Source

_OBJECTS: Final = 5000


@dataclass(frozen=True, slots=True)
class _Page:
    """How many were looked at, and the last of them; None if there was none."""

    rows: int
    last: str | None


# Also what somebody queued already: a collection may be about to drop it, for the repository was passed by until now.
_QUEUE_MANIFESTS: Final = Statement(
    "imports_queue_manifests",
    int,
    """
    INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
    SELECT manifests.id, now() + grace('import', manifests.repository_id), 'import'
      FROM manifests
     WHERE manifests.repository_id = ANY (CAST(:ids AS bigint[]))
       AND NOT EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id)
     ORDER BY manifests.id
    ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after
    """,
)

_QUEUE_LINKS: Final = Statement(
    "imports_queue_links",
    int,
    """
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT link.repository_id, link.digest, now() + grace('import', link.repository_id), 'import'
      FROM repository_blobs AS link
     WHERE link.repository_id = ANY (CAST(:ids AS bigint[]))
       AND NOT EXISTS (SELECT FROM manifest_blobs AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM sparse_references AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
     ORDER BY link.repository_id, link.digest
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after
    """,
)

# What no repository links: manifests' own files among them, for these are blobs there too.
_QUEUE_ORPHANS: Final = Statement(
    "imports_queue_orphans",
    _Page,
    """
    WITH page AS MATERIALIZED (
        SELECT blobs.digest, blobs.object_name
          FROM blobs
         WHERE blobs.object_name > :after AND blobs.object_name < :end
         ORDER BY blobs.object_name
         LIMIT :limit
    ), queued AS (
        INSERT INTO blob_reviews AS review (digest, review_after, event)
        SELECT page.digest, now() + grace('orphan'), 'orphan'
          FROM page
         WHERE NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = page.digest)
         ORDER BY page.digest
        ON CONFLICT (digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
         WHERE review.review_after < excluded.review_after
    )
    SELECT count(*), max(object_name) FROM page
    """,
)

# What a blob uses again stays out of it: it is taken out of the queue, or passed by.
_DATE: Final = Statement(
    "imports_date_deletions",
    _Page,
    """
    WITH page AS MATERIALIZED (
        SELECT deletions.object_name
          FROM deletions
         WHERE deletions.object_name > :after AND deletions.object_name < :end AND deletions.not_before = 'infinity'
         ORDER BY deletions.object_name
         LIMIT :limit
           FOR UPDATE OF deletions
    ), dated AS (
        UPDATE deletions SET not_before = now() + grace('delete')
          FROM page WHERE deletions.object_name = page.object_name
    )
    SELECT count(*), max(object_name) FROM page
    """,
)

# With their tags. By ranges of repositories: along the names of tags it takes thirty times as long.
_DROP_REPOSITORIES: Final = Statement(
    "imports_drop_repositories",
    int,
    """
    DELETE FROM import_repositories
     WHERE id = ANY (ARRAY(SELECT id FROM import_repositories WHERE source_id = :id LIMIT :limit))
    """,
)

_DELETED_PAGE: Final = Statement(
    "imports_page_of_deleted",
    str,
    """
    SELECT repository FROM import_deleted
     WHERE repository > :after AND NOT is_import_open()
     ORDER BY repository
     LIMIT :limit
    """,
)

_DROP_DELETED: Final = Statement(
    "imports_drop_deleted",
    int,
    "DELETE FROM import_deleted WHERE repository = ANY (CAST(:repositories AS text[])) AND NOT is_import_open()",
)


def queue_garbage(db: Database, source: Source) -> None:
    """What no tag and no manifest needs in its repositories, and objects that no repository links, are looked at
    later.
    """
    for ids in repositories_of(db, source.id):
        db.batch([_QUEUE_MANIFESTS(ids=ids), _QUEUE_LINKS(ids=ids)])
    _page_through(db, _QUEUE_ORPHANS, source)


def date_deletions(db: Database, source: Source) -> None:
    """Objects whose deletion was queued while they were held may go."""
    _page_through(db, _DATE, source)


def drop(db: Database, source_id: int) -> None:
    """Drops what the import knew of its repositories, a few at a time; problems and figures stay."""
    while db.count(_DROP_REPOSITORIES(id=source_id, limit=REPOSITORIES)):
        pass
    last = ""
    while names := db.all(_DELETED_PAGE(after=last, limit=_OBJECTS)):
        db.count(_DROP_DELETED(repositories=sorted(set(names))))
        last = names[-1]


def _page_through(db: Database, statement: Statement[_Page], source: Source) -> None:
    """Goes through all names under the source's prefix, which ends in a slash."""
    if source.prefix is None:
        return
    last, end = source.prefix, f"{source.prefix[:-1]}0"
    while (page := db.all(statement(after=last, end=end, limit=_OBJECTS))[0]).last is not None:
        last = page.last
