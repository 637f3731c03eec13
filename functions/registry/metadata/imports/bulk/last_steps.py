"""The end of a repository's import: that all of it is here, then what is to be looked at later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Database, Session, Statement
from functions.registry.metadata.imports.bulk import awaited
from functions.registry.metadata.imports.bulk.listed_tags import Bases
from functions.registry.metadata.imports.vocabulary import Problem


@dataclass(frozen=True, slots=True)
class Done:
    """What the last listing of a claimed repository showed, and when that began; `left_out` are manifests that are
    there, and not to come.
    """

    id: int
    lease: int
    tags: int
    manifests: int
    left_out: int
    links: int
    objects: int
    oldest: datetime | None
    newest: datetime | None
    compared_at: datetime


# What was listed before, and is gone by now.
_FORGET: Final = Statement(
    "imports_forget_listed",
    int,
    """
    DELETE FROM import_tags AS base
     WHERE base.import_id = ANY (CAST(:ids AS bigint[])) AND base.state = 'listed'
       AND NOT EXISTS (SELECT FROM unnest(CAST(:kept_ids AS bigint[]), CAST(:kept AS text[])) AS listed (id, name)
                        WHERE listed.id = base.import_id AND listed.name = base.name)
    """,
    is_hot=True,
)

_DONE: Final = Statement(
    "imports_done",
    int,
    """
    UPDATE import_repositories AS old
       SET state = 'imported', imported_at = coalesce(old.imported_at, now()), compared_at = done.compared_at,
           tags = done.tags, manifests = done.manifests, links = done.links, objects = done.objects,
           left_out = CASE old.state WHEN 'imported' THEN old.left_out ELSE 0 END + done.left_out,
           oldest = done.oldest, newest = done.newest, asked_at = NULL, attempts = 0, error = NULL
      FROM unnest(CAST(:ids AS bigint[]), CAST(:tags AS bigint[]), CAST(:manifests AS bigint[]),
                  CAST(:left_out AS bigint[]), CAST(:links AS bigint[]), CAST(:objects AS bigint[]),
                  CAST(:oldest AS timestamptz[]), CAST(:newest AS timestamptz[]), CAST(:compared AS timestamptz[]))
           AS done (id, tags, manifests, left_out, links, objects, oldest, newest, compared_at)
     WHERE old.id = done.id
    """,
    is_hot=True,
)

# What it has now it had then: nothing of it is a gain of today's. Days that are too old to be kept would be lost again.
_BASELINE: Final = Statement(
    "imports_note_baseline",
    int,
    """
    INSERT INTO repository_days (repository_id, day, bytes)
    SELECT usage.repository_id, greatest(CAST(old.newest AS date), current_date - 365), usage.bytes
      FROM import_repositories AS old JOIN repository_usage AS usage ON usage.repository_id = old.repository_id
     WHERE old.id = ANY (CAST(:ids AS bigint[]))
     ORDER BY usage.repository_id
    ON CONFLICT (repository_id, day) DO UPDATE SET bytes = excluded.bytes
    """,
    is_hot=True,
)


@dataclass(frozen=True, slots=True)
class _Walked:
    """The last manifest of a part, in the order of repositories and digests."""

    repository_id: int
    digest: bytes


# Without a tag, whether something reaches them or not: a collection finds that out when they are due. Whoever deletes
# one meanwhile is waited for. By digests, for ids of one repository lie among all others'.
_REVIEW_MANIFESTS: Final = Statement(
    "imports_review_manifests",
    _Walked,
    """
    WITH walked AS MATERIALIZED (
        SELECT here.id, here.repository_id, here.digest
          FROM import_repositories AS old
         CROSS JOIN LATERAL (SELECT id, repository_id, digest FROM manifests
                              WHERE manifests.repository_id = old.repository_id
                                AND manifests.digest > CASE WHEN old.repository_id = CAST(:repository_id AS bigint)
                                                            THEN CAST(:digest AS bytea) ELSE '' END
                                AND NOT EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id OFFSET 0)
                              ORDER BY digest LIMIT :limit) AS here
         WHERE old.id = ANY (CAST(:ids AS bigint[])) AND old.repository_id >= CAST(:repository_id AS bigint)
         ORDER BY here.repository_id, here.digest LIMIT :limit
    ), untagged AS MATERIALIZED (
        SELECT id, repository_id FROM manifests WHERE id = ANY (ARRAY(SELECT id FROM walked))
         ORDER BY id FOR KEY SHARE
    ), queued AS (
        INSERT INTO manifest_reviews AS review (manifest_id, review_after, event)
        SELECT id, now() + grace('import', repository_id), 'import' FROM untagged ORDER BY id
        ON CONFLICT (manifest_id) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
         WHERE review.review_after < excluded.review_after
    )
    SELECT repository_id, digest FROM walked ORDER BY repository_id, digest OFFSET :limit - 1
    """,
    is_hot=True,
)

_REVIEW_LINKS: Final = Statement(
    "imports_review_links",
    int,
    """
    INSERT INTO link_reviews AS review (repository_id, digest, review_after, event)
    SELECT link.repository_id, link.digest, now() + grace('import', link.repository_id), 'import'
      FROM import_repositories AS old
      JOIN repository_blobs AS link ON link.repository_id = old.repository_id
     WHERE old.id = ANY (CAST(:ids AS bigint[]))
       AND NOT EXISTS (SELECT FROM manifest_blobs AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM sparse_references AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
     ORDER BY link.repository_id, link.digest
       FOR KEY SHARE OF link
    ON CONFLICT (repository_id, digest) DO UPDATE SET review_after = excluded.review_after, event = excluded.event
     WHERE review.review_after < excluded.review_after
    """,
    is_hot=True,
)

# There is nothing that could be missing.
_END_EMPTY: Final = Statement(
    "imports_end_empty",
    int,
    """
    UPDATE import_repositories AS old
       SET state = CASE old.state WHEN 'importing' THEN 'imported' ELSE old.state END,
           imported_at = coalesce(old.imported_at, now()), compared_at = done.compared_at,
           tags = 0, manifests = 0, links = 0, objects = done.objects, asked_at = NULL,
           due_at = nullif(old.due_at, old.lease_until),
           lease_until = '-infinity', attempts = 0, error = NULL
      FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[]), CAST(:objects AS bigint[]),
                  CAST(:compared AS timestamptz[])) AS done (id, lease, objects, compared_at)
     WHERE old.id = done.id AND old.lease = done.lease AND old.repository_id IS NULL
    """,
)

# Whoever came upon a change meanwhile has set another time than the claim did: then it is due again.
_RELEASE: Final = Statement(
    "imports_release_repositories",
    int,
    """
    UPDATE import_repositories AS old SET due_at = nullif(old.due_at, old.lease_until), lease_until = '-infinity'
      FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS mine (id, lease)
     WHERE old.id = mine.id AND old.lease = mine.lease AND old.state = 'imported'
    """,
    is_hot=True,
)

# What was wrong and is no more: a tag that was mended there, a manifest or a blob that has come since.
_GONE: Final = Statement(
    "imports_end_problems",
    int,
    """
    UPDATE import_problems AS known SET gone_at = now()
      FROM import_repositories AS old
     WHERE old.id = ANY (CAST(:ids AS bigint[])) AND known.source_id = old.source_id AND known.repository = old.path
       AND known.gone_at IS NULL
       AND NOT EXISTS (SELECT FROM unnest(CAST(:seen_repositories AS text[]), CAST(:seen_kinds AS text[]),
                                          CAST(:seen AS text[])) AS seen (repository, kind, key)
                        WHERE seen.repository = known.repository AND seen.kind = known.kind AND seen.key = known.key)
       AND CASE known.reason
           WHEN 'conflict' THEN false
           WHEN 'blob_size' THEN false
           WHEN 'blob_digest' THEN false
           WHEN 'link_repaired' THEN false
           WHEN 'blob_missing' THEN EXISTS (
                SELECT FROM repository_blobs AS link
                 WHERE link.repository_id = old.repository_id AND link.digest = digest_bytes(known.key))
           ELSE known.kind <> 'manifest' OR EXISTS (
                SELECT FROM manifests
                 WHERE manifests.repository_id = old.repository_id AND manifests.digest = digest_bytes(known.key))
           END
    """,
    is_hot=True,
)


def finish(session: Session, done: Sequence[Done], bases: Bases, problems: Sequence[Problem]) -> None:
    """From this commit on all of them are here: what is missing now is missing. `bases` are all of their tags."""
    ids = [each.id for each in done]
    session.batch(
        [
            _FORGET(ids=ids, kept_ids=[id_ for id_, _ in bases], kept=[tag.name for _, tag in bases]),
            _DONE(
                ids=ids,
                tags=[each.tags for each in done],
                manifests=[each.manifests for each in done],
                left_out=[each.left_out for each in done],
                links=[each.links for each in done],
                objects=[each.objects for each in done],
                oldest=[each.oldest for each in done],
                newest=[each.newest for each in done],
                compared=[each.compared_at for each in done],
            ),
            _GONE(
                ids=ids,
                seen_repositories=[problem.repository for problem in problems],
                seen_kinds=[problem.kind for problem in problems],
                seen=[problem.key for problem in problems],
            ),
        ]
    )


def note_baseline(session: Session, done: Sequence[Done]) -> None:
    """What they have now is no gain of today's."""
    session.count(_BASELINE(ids=[each.id for each in done]))


def end_empty(db: Database, done: Sequence[Done]) -> None:
    """Ends those of which nothing is there: they get no repository here."""
    if done:
        db.count(
            _END_EMPTY(
                ids=[each.id for each in done],
                leases=[each.lease for each in done],
                objects=[each.objects for each in done],
                compared=[each.compared_at for each in done],
            )
        )


def settle(db: Database, done: Sequence[Done], limit: int) -> None:
    """Keeps what was awaited, queues what nothing holds, so many at a time, and lets go of the repositories.

    Nothing can go wrong before that: what has no review is kept, and until they are let go they come up again.
    """
    ids = [each.id for each in done]
    awaited.keep(db, ids)
    after: _Walked | None = _Walked(0, b"")
    while after is not None:
        where = {"repository_id": after.repository_id, "digest": after.digest}
        after = db.one_or_none(_REVIEW_MANIFESTS(ids=ids, **where, limit=limit))
    db.batch([_REVIEW_LINKS(ids=ids), _RELEASE(ids=ids, leases=[each.lease for each in done])])
