"""Rows that no review waits for although nothing needs them: space for ever. Each look is one statement.

Where an import is under way reviews are put aside until it ends, so nothing of such a repository is a leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest

# As many as have so many manifests and links together, and one in any case.
_REPOSITORIES: Final = Statement(
    "checks_repositories",
    int,
    """
    SELECT id
      FROM (SELECT page.id, row_number() OVER (ORDER BY page.id) AS number,
                   sum(usage.manifests + usage.blobs) OVER (ORDER BY page.id) AS total
              FROM (SELECT id FROM repositories WHERE id > :after ORDER BY id LIMIT :limit) AS page
              LEFT JOIN LATERAL (
                   SELECT manifests, blobs FROM repository_usage WHERE repository_id = page.id LIMIT 1) AS usage ON true
           ) AS counted
     WHERE number = 1 OR total <= :most
     ORDER BY id
    """,
)


@dataclass(frozen=True, slots=True)
class LeakedManifest:
    id: int
    repository: str
    digest: Digest
    size: int


# OFFSET makes it look rows up one by one: as joins they would read whole tables.
# Downwards from tags and from reviews, due or not: what is above a manifest may be looked at late, and then queues it.
_MANIFESTS: Final = Statement(
    "checks_leaked_manifests",
    LeakedManifest,
    """
    WITH RECURSIVE looked AS MATERIALIZED (
        SELECT id, name FROM repositories
         WHERE id = ANY (CAST(:ids AS bigint[])) AND NOT keep_untagged AND NOT is_awaiting_import(id)
    ), held AS (
        SELECT manifests.id
          FROM looked
         CROSS JOIN LATERAL (SELECT id FROM manifests WHERE repository_id = looked.id OFFSET 0) AS manifests
         WHERE EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id OFFSET 0)
            OR EXISTS (SELECT FROM manifest_reviews AS review WHERE review.manifest_id = manifests.id OFFSET 0)
         UNION
        SELECT below.id
          FROM held
         CROSS JOIN LATERAL (
               SELECT child_id AS id FROM manifest_children WHERE parent_id = held.id
                UNION ALL
               SELECT child.id
                 FROM sparse_references AS awaited
                 JOIN manifests AS child
                   ON child.repository_id = awaited.repository_id AND child.digest = awaited.digest
                WHERE awaited.manifest_id = held.id
                UNION ALL
               SELECT referrer.id
                 FROM manifests AS subject
                 JOIN manifests AS referrer
                   ON referrer.repository_id = subject.repository_id AND referrer.subject = subject.digest
                WHERE subject.id = held.id) AS below
    )
    SELECT manifests.id, looked.name, manifests.digest, manifests.size
      FROM looked
     CROSS JOIN LATERAL (
           SELECT id, digest, octet_length(payload) AS size FROM manifests WHERE repository_id = looked.id OFFSET 0
           ) AS manifests
     WHERE NOT EXISTS (SELECT FROM held WHERE held.id = manifests.id)
     ORDER BY manifests.id
    """,
)


@dataclass(frozen=True, slots=True)
class LeakedLink:
    repository_id: int
    repository: str
    digest: Digest
    size: int


_LINKS: Final = Statement(
    "checks_leaked_links",
    LeakedLink,
    """
    SELECT link.repository_id, repositories.name, link.digest, link.size
      FROM repositories
      JOIN repository_blobs AS link ON link.repository_id = repositories.id
     WHERE repositories.id = ANY (CAST(:ids AS bigint[])) AND NOT is_awaiting_import(repositories.id)
       AND NOT EXISTS (SELECT FROM manifest_blobs AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM sparse_references AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM link_reviews AS review
                        WHERE review.repository_id = link.repository_id AND review.digest = link.digest)
     ORDER BY link.repository_id, link.digest
    """,
)


@dataclass(frozen=True, slots=True)
class CheckedBlob:
    digest: Digest
    size: int
    is_leaked: bool


_BLOBS: Final = Statement(
    "checks_leaked_blobs",
    CheckedBlob,
    """
    SELECT blobs.digest, blobs.size,
           NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest OFFSET 0)
           AND NOT EXISTS (SELECT FROM blob_reviews AS review WHERE review.digest = blobs.digest OFFSET 0)
           AND NOT is_held(blobs.object_name)
      FROM blobs
     WHERE blobs.digest > :after
     ORDER BY blobs.digest
     LIMIT :limit
    """,
)

# What is going away meanwhile is waited for, and passed by.
_REVIEW_MANIFESTS: Final = Statement(
    "checks_review_manifests",
    int,
    """
    INSERT INTO manifest_reviews (manifest_id, review_after, event)
    SELECT id, now() + grace('push', repository_id), 'push'
      FROM manifests WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id
       FOR KEY SHARE
    ON CONFLICT (manifest_id) DO NOTHING
    """,
)

_REVIEW_LINKS: Final = Statement(
    "checks_review_links",
    int,
    """
    INSERT INTO link_reviews (repository_id, digest, review_after, event)
    SELECT link.repository_id, link.digest, now() + grace('upload', link.repository_id), 'upload'
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[])) AS found (repository_id, digest)
      JOIN repository_blobs AS link ON link.repository_id = found.repository_id AND link.digest = found.digest
     ORDER BY link.repository_id, link.digest
       FOR KEY SHARE OF link
    ON CONFLICT (repository_id, digest) DO NOTHING
    """,
)

_REVIEW_BLOBS: Final = Statement(
    "checks_review_blobs",
    int,
    """
    INSERT INTO blob_reviews (digest, review_after, event)
    SELECT digest, now() + grace('upload'), 'upload'
      FROM blobs WHERE digest = ANY (CAST(:digests AS bytea[])) ORDER BY digest
       FOR KEY SHARE
    ON CONFLICT (digest) DO NOTHING
    """,
)


def repositories_after(db: Database, id_: int, limit: int, most: int) -> list[int]:
    """Returns at most `limit` ids, of repositories with at most `most` manifests and links together, but for the
    first.
    """
    return db.all(_REPOSITORIES(after=id_, limit=limit, most=most))


def manifests(db: Database, ids: Sequence[int]) -> list[LeakedManifest]:
    """Returns those of the repositories with these ids. One that is large takes longer than a request may."""
    return db.transaction(lambda session: session.all(_MANIFESTS(ids=list(ids))), is_long=True)


def links(db: Database, ids: Sequence[int]) -> list[LeakedLink]:
    """Returns those of the repositories with these ids. One that is large takes longer than a request may."""
    return db.transaction(lambda session: session.all(_LINKS(ids=list(ids))), is_long=True)


def blobs_after(db: Database, digest: Digest | None, limit: int) -> list[CheckedBlob]:
    return db.all(_BLOBS(after=b"" if digest is None else digest, limit=limit))


def reviewing_manifests(ids: Sequence[int]) -> Call[int]:
    """Gives each a review with a fresh grace: the collection decides, as always."""
    return _REVIEW_MANIFESTS(ids=list(ids))


def reviewing_links(links_: Sequence[tuple[int, Digest]]) -> Call[int]:
    return _REVIEW_LINKS(repository_ids=[id_ for id_, _ in links_], digests=[digest for _, digest in links_])


def reviewing_blobs(digests: Sequence[Digest]) -> Call[int]:
    return _REVIEW_BLOBS(digests=list(digests))
