"""Three of the review queues: manifests that no tag reaches, links that no manifest needs, blobs that nothing links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Statement
from functions.registry.metadata.gc.review_queue import (
    Deleted,
    Review,
    ReviewQueue,
    complete_statement,
    reschedule_statement,
)
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ManifestReview(Review):
    id: int


@dataclass(frozen=True, slots=True)
class _DeletedManifest(Deleted):
    id: int


_CLAIM_MANIFESTS: Final = Statement(
    "reviews_claim_manifests",
    ManifestReview,
    """
    SELECT review.event, manifests.id
      FROM manifest_reviews AS review
      JOIN manifests ON manifests.id = review.manifest_id
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, manifests SKIP LOCKED
    """,
    is_hot=True,
)

# One that an index lists goes after the index: a foreign key holds it, and the index's end queues it again. Of a
# repository that isn't imported as a whole yet nothing goes: what holds it may not be here. Its end, or the end of the
# import, queues it again.
_DELETE_MANIFESTS: Final = Statement(
    "reviews_delete_manifests",
    _DeletedManifest,
    """
    DELETE FROM manifests USING repositories
     WHERE manifests.id = ANY (CAST(:ids AS bigint[])) AND repositories.id = manifests.repository_id
       AND NOT repositories.keep_untagged AND deletion_refusal(repositories.name, NULL, 0) IS NULL
       AND NOT is_awaiting_import(repositories.id)
       AND NOT EXISTS (SELECT FROM manifest_children WHERE child_id = manifests.id)
       AND NOT is_reached(manifests.id)
    RETURNING octet_length(manifests.payload), manifests.id
    """,
    is_hot=True,
)

# What is held by an index that no tag reaches either waits for that index, which nobody may have queued: two that hold
# each other, by a list and by a subject, were kept by the one tag on either.
_REVIEW_HOLDERS: Final = Statement(
    "reviews_queue_holders",
    int,
    """
    INSERT INTO manifest_reviews (manifest_id, review_after, event)
    SELECT holder.id, now() + grace('cascade', holder.repository_id), 'cascade'
      FROM manifests AS holder
     WHERE holder.id IN (SELECT parent_id FROM manifest_children WHERE child_id = ANY (CAST(:ids AS bigint[])))
       AND NOT is_reached(holder.id)
     ORDER BY holder.id
    ON CONFLICT (manifest_id) DO NOTHING
    """,
    is_hot=True,
)

# A rule that keeps a repository may be taken away: what it kept is looked at again from time to time.
_RESCHEDULE_KEPT: Final = Statement(
    "reviews_reschedule_kept",
    int,
    """
    UPDATE manifest_reviews AS review
       SET review_after = now() + greatest(grace('untag', repositories.id), interval '1 hour')
      FROM manifests JOIN repositories ON repositories.id = manifests.repository_id
     WHERE review.manifest_id = ANY (CAST(:ids AS bigint[])) AND review.review_after < now()
       AND manifests.id = review.manifest_id AND NOT repositories.keep_untagged
       AND deletion_refusal(repositories.name, NULL, 0) IS NOT NULL AND NOT is_reached(manifests.id)
    """,
    is_hot=True,
)

_MANIFEST_KEYS: Final = "manifest_id = ANY (CAST(:ids AS bigint[]))"

# Their links, children and referrers are queued by triggers.
MANIFESTS: Final = ReviewQueue(
    "manifest",
    ("id",),
    _CLAIM_MANIFESTS,
    _DELETE_MANIFESTS,
    complete_statement("manifest", _MANIFEST_KEYS),
    reschedule_statement("manifest", _MANIFEST_KEYS),
    stay=(_REVIEW_HOLDERS, _RESCHEDULE_KEPT),
)


@dataclass(frozen=True, slots=True)
class LinkReview(Review):
    repository_id: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class _DeletedLink(Deleted):
    repository_id: int
    digest: Digest


_CLAIM_LINKS: Final = Statement(
    "reviews_claim_links",
    LinkReview,
    """
    SELECT review.event, link.repository_id, link.digest
      FROM link_reviews AS review
      JOIN repository_blobs AS link
        ON link.repository_id = review.repository_id AND link.digest = review.digest
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, link SKIP LOCKED
    """,
    is_hot=True,
)

_DELETE_LINKS: Final = Statement(
    "reviews_delete_links",
    _DeletedLink,
    """
    DELETE FROM repository_blobs AS link
     USING unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[])) AS due (repository_id, digest)
     WHERE link.repository_id = due.repository_id AND link.digest = due.digest
       AND NOT EXISTS (SELECT FROM manifest_blobs AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM sparse_references AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT is_awaiting_import(link.repository_id)
    RETURNING link.size, link.repository_id, link.digest
    """,
    is_hot=True,
)

_LINK_KEYS: Final = """
    (repository_id, digest) IN (
        SELECT * FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[])))
"""

# Their blobs are queued by a trigger.
LINKS: Final = ReviewQueue(
    "link",
    ("repository_id", "digest"),
    _CLAIM_LINKS,
    _DELETE_LINKS,
    complete_statement("link", _LINK_KEYS),
    reschedule_statement("link", _LINK_KEYS),
)


@dataclass(frozen=True, slots=True)
class BlobReview(Review):
    digest: Digest


@dataclass(frozen=True, slots=True)
class _DeletedBlob(Deleted):
    digest: Digest


_CLAIM_BLOBS: Final = Statement(
    "reviews_claim_blobs",
    BlobReview,
    """
    SELECT review.event, blobs.digest
      FROM blob_reviews AS review
      JOIN blobs ON blobs.digest = review.digest
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, blobs SKIP LOCKED
    """,
    is_hot=True,
)

_DELETE_BLOBS: Final = Statement(
    "reviews_delete_blobs",
    _DeletedBlob,
    """
    DELETE FROM blobs
     WHERE digest = ANY (CAST(:digests AS bytea[]))
       AND NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)
       AND NOT is_held(blobs.object_name)
    RETURNING size, digest
    """,
    is_hot=True,
)

_BLOB_KEYS: Final = "digest = ANY (CAST(:digests AS bytea[]))"

# A trigger notes their objects to be deleted.
BLOBS: Final = ReviewQueue(
    "blob",
    ("digest",),
    _CLAIM_BLOBS,
    _DELETE_BLOBS,
    complete_statement("blob", _BLOB_KEYS),
    reschedule_statement("blob", _BLOB_KEYS),
)
