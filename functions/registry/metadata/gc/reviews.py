"""Review queues: what may be garbage, looked at once its grace is over.

Each level is one transaction of two calls. `claim_…` takes due reviews and locks what they are about, passing by what
others have locked. `carry_out_…`, in the next statement, deletes what nothing holds; then it settles the reviews of
what stays. The locks come first because a statement that waited still decides by what it saw before it waited.
docs/gc.md tells every race.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Session, Statement
from functions.registry.metadata.gc.collected import Outcome
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ManifestReview:
    id: int
    event: str


@dataclass(frozen=True, slots=True)
class _DeletedManifest:
    id: int
    size: int


_CLAIM_MANIFESTS: Final = Statement(
    "reviews_claim_manifests",
    ManifestReview,
    """
    SELECT manifests.id, review.event
      FROM manifest_reviews AS review
      JOIN manifests ON manifests.id = review.manifest_id
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, manifests SKIP LOCKED
    """,
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
    RETURNING manifests.id, octet_length(manifests.payload)
    """,
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
)

# A rule that keeps a repository may be taken away: what it kept is looked at again from time to time.
_PUT_OFF_KEPT: Final = Statement(
    "reviews_put_off_kept",
    int,
    """
    UPDATE manifest_reviews AS review
       SET review_after = now() + greatest(grace('untag', repositories.id), interval '1 hour')
      FROM manifests JOIN repositories ON repositories.id = manifests.repository_id
     WHERE review.manifest_id = ANY (CAST(:ids AS bigint[])) AND review.review_after < now()
       AND manifests.id = review.manifest_id AND NOT repositories.keep_untagged
       AND deletion_refusal(repositories.name, NULL, 0) IS NOT NULL AND NOT is_reached(manifests.id)
    """,
)

# Those that this very transaction queued again are due later, and stay.
_SETTLE_MANIFESTS: Final = Statement(
    "reviews_settle_manifests",
    int,
    "DELETE FROM manifest_reviews WHERE manifest_id = ANY (CAST(:ids AS bigint[])) AND review_after < now()",
)


def claim_manifests(session: Session, limit: int) -> list[ManifestReview]:
    return session.all(_CLAIM_MANIFESTS(limit=limit))


def carry_out_manifests(session: Session, claimed: list[ManifestReview]) -> Outcome:
    """Manifests that no tag reaches. Their links, children and referrers are queued by triggers."""
    outcome = Outcome(len(claimed))
    events = {review.id: review.event for review in claimed}
    deleted = session.all(_DELETE_MANIFESTS(ids=list(events)))
    for manifest in deleted:
        outcome.add(events[manifest.id], manifest.size)
    kept = sorted(events.keys() - {manifest.id for manifest in deleted})
    session.batch([_REVIEW_HOLDERS(ids=kept), _PUT_OFF_KEPT(ids=kept), _SETTLE_MANIFESTS(ids=kept)])
    return outcome


@dataclass(frozen=True, slots=True)
class LinkReview:
    repository_id: int
    digest: Digest
    event: str


@dataclass(frozen=True, slots=True)
class _DeletedLink:
    repository_id: int
    digest: Digest
    size: int


_CLAIM_LINKS: Final = Statement(
    "reviews_claim_links",
    LinkReview,
    """
    SELECT link.repository_id, link.digest, review.event
      FROM link_reviews AS review
      JOIN repository_blobs AS link
        ON link.repository_id = review.repository_id AND link.digest = review.digest
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, link SKIP LOCKED
    """,
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
    RETURNING link.repository_id, link.digest, link.size
    """,
)

_SETTLE_LINKS: Final = Statement(
    "reviews_settle_links",
    int,
    """
    DELETE FROM link_reviews AS review
     USING unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[])) AS due (repository_id, digest)
     WHERE review.repository_id = due.repository_id AND review.digest = due.digest AND review.review_after < now()
    """,
)


def claim_links(session: Session, limit: int) -> list[LinkReview]:
    return session.all(_CLAIM_LINKS(limit=limit))


def carry_out_links(session: Session, claimed: list[LinkReview]) -> Outcome:
    """Links that no manifest of their repository needs. Their blobs are queued by a trigger."""
    outcome = Outcome(len(claimed))
    events = {(review.repository_id, review.digest): review.event for review in claimed}
    due = {
        "repository_ids": [review.repository_id for review in claimed],
        "digests": [review.digest for review in claimed],
    }
    for link in session.all(_DELETE_LINKS(**due)):
        outcome.add(events[link.repository_id, link.digest], link.size)
    session.count(_SETTLE_LINKS(**due))
    return outcome


@dataclass(frozen=True, slots=True)
class BlobReview:
    digest: Digest
    event: str


@dataclass(frozen=True, slots=True)
class _DeletedBlob:
    digest: Digest
    size: int


_CLAIM_BLOBS: Final = Statement(
    "reviews_claim_blobs",
    BlobReview,
    """
    SELECT blobs.digest, review.event
      FROM blob_reviews AS review
      JOIN blobs ON blobs.digest = review.digest
     WHERE review.review_after < now()
     ORDER BY review.review_after
     LIMIT :limit
       FOR UPDATE OF review, blobs SKIP LOCKED
    """,
)

_DELETE_BLOBS: Final = Statement(
    "reviews_delete_blobs",
    _DeletedBlob,
    """
    DELETE FROM blobs
     WHERE digest = ANY (CAST(:digests AS bytea[]))
       AND NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)
       AND NOT is_held(blobs.object_name)
    RETURNING digest, size
    """,
)

_SETTLE_BLOBS: Final = Statement(
    "reviews_settle_blobs",
    int,
    "DELETE FROM blob_reviews WHERE digest = ANY (CAST(:digests AS bytea[])) AND review_after < now()",
)


def claim_blobs(session: Session, limit: int) -> list[BlobReview]:
    return session.all(_CLAIM_BLOBS(limit=limit))


def carry_out_blobs(session: Session, claimed: list[BlobReview]) -> Outcome:
    """Blobs that no repository links. Their objects are queued for deletion by a trigger."""
    outcome = Outcome(len(claimed))
    events = {review.digest: review.event for review in claimed}
    for blob in session.all(_DELETE_BLOBS(digests=list(events))):
        outcome.add(events[blob.digest], blob.size)
    session.count(_SETTLE_BLOBS(digests=list(events)))
    return outcome


# A review that fails is put off for 1, 2, 4, … minutes from now, at most a day, so that the queue goes on behind it.
_PUT_OFF_MANIFEST: Final = Statement(
    "reviews_put_off_manifest",
    int,
    """
    UPDATE manifest_reviews
       SET attempts = attempts + 1, error = :error,
           review_after = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
     WHERE manifest_id = :id AND review_after < now()
    RETURNING attempts
    """,
)

_PUT_OFF_LINK: Final = Statement(
    "reviews_put_off_link",
    int,
    """
    UPDATE link_reviews
       SET attempts = attempts + 1, error = :error,
           review_after = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
     WHERE repository_id = :repository_id AND digest = :digest AND review_after < now()
    RETURNING attempts
    """,
)

_PUT_OFF_BLOB: Final = Statement(
    "reviews_put_off_blob",
    int,
    """
    UPDATE blob_reviews
       SET attempts = attempts + 1, error = :error,
           review_after = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
     WHERE digest = :digest AND review_after < now()
    RETURNING attempts
    """,
)

_LONGEST_ERROR: Final = 500


def put_off_manifest(db: Database, review: ManifestReview, error: str) -> int:
    """How often it has failed by now; 0 if somebody else has settled it."""
    return db.one_or_none(_PUT_OFF_MANIFEST(id=review.id, error=error[:_LONGEST_ERROR])) or 0


def put_off_link(db: Database, review: LinkReview, error: str) -> int:
    """As put_off_manifest."""
    key = {"repository_id": review.repository_id, "digest": review.digest}
    return db.one_or_none(_PUT_OFF_LINK(**key, error=error[:_LONGEST_ERROR])) or 0


def put_off_blob(db: Database, review: BlobReview, error: str) -> int:
    """As put_off_manifest."""
    return db.one_or_none(_PUT_OFF_BLOB(digest=review.digest, error=error[:_LONGEST_ERROR])) or 0
