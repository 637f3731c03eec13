"""The end of an import: its source decides about nothing any more, and what nothing here needs of it may go.

Each step may be run again, in this order (functions/migrate/imports/seal.py). Not undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.oci.digest import Digest

# So that no statement holds anything for longer than a moment.
_REPOSITORIES: Final = 200
_OBJECTS: Final = 5000


@dataclass(frozen=True, slots=True)
class Awaited:
    """A reference of an imported manifest whose target isn't here; `path` is its repository in the source."""

    path: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class _Page:
    """How many were looked at, and the last of them; None if there was none."""

    rows: int
    last: str | None


_BEGIN: Final = Statement(
    "imports_begin_seal",
    int,
    """
    UPDATE import_sources SET state = 'sealing', reason = NULL
     WHERE id = :id AND state IN ('open', 'paused') AND listed_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM import_repositories
                        WHERE source_id = :id AND state IN ('listed', 'importing'))
    """,
)

_UNFINISHED: Final = Statement(
    "imports_unfinished",
    str,
    """
    SELECT path FROM import_repositories
     WHERE name >= '' AND source_id = :id AND state IN ('listed', 'importing')
     ORDER BY name LIMIT :limit
    """,
)

# But for what is reported: somebody knows of it.
_AWAITED: Final = Statement(
    "imports_awaited",
    Awaited,
    """
    SELECT DISTINCT old.path, awaited.digest
      FROM import_repositories AS old
      JOIN sparse_references AS awaited ON awaited.repository_id = old.repository_id
     WHERE old.repository_id = ANY (CAST(:ids AS bigint[])) AND old.source_id = :id
       AND NOT EXISTS (SELECT FROM import_problems AS reported
                        WHERE reported.source_id = :id AND reported.repository = old.path
                          AND reported.key = digest_text(awaited.digest) AND reported.gone_at IS NULL)
     ORDER BY old.path, awaited.digest
    """,
)

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

_REPOSITORY_PAGE: Final = Statement(
    "imports_page_of_repositories",
    int,
    """
    SELECT repository_id FROM import_repositories
     WHERE repository_id > :after AND source_id = :id
     ORDER BY repository_id
     LIMIT :limit
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

_END: Final = Statement(
    "imports_end_seal",
    int,
    """
    UPDATE import_sources AS source
       SET state = 'sealed', sealed_at = now(),
           counts = source.counts || jsonb_build_object('repositories', (
               SELECT coalesce(jsonb_object_agg(found.state, found.count), '{}')
                 FROM (SELECT state, count(*) AS count FROM import_repositories
                        WHERE source_id = source.id GROUP BY state) AS found))
     WHERE id = :id AND state = 'sealing'
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


_WISH: Final = Statement(
    "imports_wish_seal",
    int,
    """
    UPDATE import_sources SET options = options || '{"wish": "seal"}', reason = NULL
     WHERE id = :id AND state <> 'sealed'
    """,
)

_WISHED: Final = Statement(
    "imports_wished_seal",
    int,
    """
    SELECT id FROM import_sources
     WHERE state NOT IN ('added', 'sealed') AND (state = 'sealing' OR (state = 'open' AND options ->> 'wish' = 'seal'))
     ORDER BY id
    """,
)

_REFUSE: Final = Statement(
    "imports_refuse_seal",
    int,
    "UPDATE import_sources SET options = options - 'wish', reason = :reason WHERE id = :id",
)


def wish(db: Database, source_id: int) -> None:
    """Whoever works at it seals it, as soon as it may be."""
    db.count(_WISH(id=source_id))


def wished(db: Database) -> list[int]:
    """Returns the sources that somebody wants to be sealed."""
    return db.all(_WISHED())


def refuse(db: Database, source_id: int, reason: str) -> None:
    """It can't be sealed yet: the reason shows, and whoever wants it says so again."""
    db.count(_REFUSE(id=source_id, reason=reason))


def begin(db: Database, source_id: int) -> bool:
    """Nothing is imported from now on, once all transactions that are open are over. False if repositories of it aren't
    imported yet, or if it is being listed, or sealed.
    """
    return db.count(_BEGIN(id=source_id)) > 0


def unfinished(db: Database, source_id: int, limit: int) -> list[str]:
    """Paths of repositories that keep it from being sealed."""
    return db.all(_UNFINISHED(id=source_id, limit=limit))


def awaited(db: Database, source_id: int) -> Iterator[Awaited]:
    """Returns references whose target wasn't there: nothing looks for it after the seal."""
    for ids in _repositories(db, source_id):
        yield from db.all(_AWAITED(id=source_id, ids=ids))


def queue_garbage(db: Database, source: Source) -> None:
    """What no tag and no manifest needs in its repositories, and objects that no repository links, are looked at
    later.
    """
    for ids in _repositories(db, source.id):
        db.batch([_QUEUE_MANIFESTS(ids=ids), _QUEUE_LINKS(ids=ids)])
    _page_through(db, _QUEUE_ORPHANS, source)


def _repositories(db: Database, source_id: int) -> Iterator[list[int]]:
    """Yields those that are here, some at a time."""
    last = 0
    while ids := db.all(_REPOSITORY_PAGE(id=source_id, after=last, limit=_REPOSITORIES)):
        yield ids
        last = ids[-1]


def end(db: Database, source_id: int) -> bool:
    """What is held isn't any more, once all transactions that are open are over."""
    return db.count(_END(id=source_id)) > 0


def date_deletions(db: Database, source: Source) -> None:
    """Objects whose deletion was queued while they were held may go."""
    _page_through(db, _DATE, source)


def drop(db: Database, source_id: int) -> None:
    """Drops what the import knew of its repositories, a few at a time; problems and figures stay."""
    while db.count(_DROP_REPOSITORIES(id=source_id, limit=_REPOSITORIES)):
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
