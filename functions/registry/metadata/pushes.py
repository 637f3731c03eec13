"""A push: the manifest, what it refers to and its tags, in one transaction of a few statements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata import limits, quotas, repositories
from functions.registry.metadata.db import Call, Conflict, Database, Statement
from functions.registry.metadata.driver import Outcome
from functions.registry.metadata.quotas import QuotaUse
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest
from functions.registry.oci.name import RepositoryName, Tag

_ATTEMPTS: Final = 3


class ReferenceMissing(Exception):
    """A manifest names what its repository does not hold; `digests` are some of them."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        super().__init__(", ".join(map(str, digests)))
        self.digests = digests


@dataclass(frozen=True, slots=True)
class Push:
    """`accepts_missing` references are remembered, and kept once they come; otherwise the push is refused.

    `rank` is that of the caller's role, for the rules about tags. Of the `tags`, those in `new_tags` may not be there
    yet.
    """

    repository: RepositoryName
    digest: Digest
    manifest: Manifest
    payload: bytes
    tags: Sequence[Tag]
    accepts_missing: bool = False
    rank: int = 0
    new_tags: Sequence[Tag] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """`missing_references` were accepted; `quota` is the namespace's, if it has one that is nearly used up."""

    missing_references: int
    quota: QuotaUse | None


# Locks the tags, whether they are there or not, and what else a push must find unchanged until it is over.
_BEGIN: Final = Statement("manifests_begin_push", str, "SELECT begin_push(:repository, CAST(:tags AS text[]), :rank)")

# A tag that is there already is locked before anything is written (counting makes that happen first): whoever takes it
# away locks it before its manifest, and the other way round both would wait for each other. The repository is locked
# again, for it may have come since the push began; from here on it is found under its name.
_PUT: Final = Statement(
    "manifests_put",
    int,
    """
    WITH locked AS (
        SELECT tags.name
          FROM repositories
          JOIN tags ON tags.repository_id = repositories.id AND tags.name = ANY (CAST(:tags AS text[]))
         WHERE repositories.name = :repository
         ORDER BY tags.name
           FOR UPDATE OF tags
    )
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, payload)
    SELECT id, :digest, :media_type, :artifact_type, :subject, CAST(:annotations AS jsonb), :payload
      FROM repositories WHERE name = :repository AND (SELECT count(*) FROM locked) >= 0
       FOR KEY SHARE OF repositories
    ON CONFLICT (repository_id, digest) DO UPDATE SET pushed_at = now(), media_type = excluded.media_type
    """,
)

# A blob that the repository does not hold breaks the foreign key to its link.
_PUT_BLOBS: Final = Statement(
    "manifests_put_blobs",
    int,
    """
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT manifests.id, manifests.repository_id, named.digest
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = :digest
     CROSS JOIN LATERAL (
           SELECT unnest(CAST(:required AS bytea[])) AS digest
           UNION
           SELECT link.digest FROM repository_blobs AS link
            WHERE link.repository_id = repositories.id AND link.digest = ANY (CAST(:optional AS bytea[]))
           ) AS named
     WHERE repositories.name = :repository
     ORDER BY named.digest
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,
)

# A child that the repository does not hold becomes a NULL, which the column refuses; unless that is accepted.
_PUT_CHILDREN: Final = Statement(
    "manifests_put_children",
    int,
    """
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT parent.id, child.id
      FROM repositories
      JOIN manifests AS parent ON parent.repository_id = repositories.id AND parent.digest = :digest
     CROSS JOIN unnest(CAST(:children AS bytea[])) AS listed (digest)
      LEFT JOIN manifests AS child ON child.repository_id = repositories.id AND child.digest = listed.digest
     WHERE repositories.name = :repository AND (child.id IS NOT NULL OR NOT CAST(:accepts_missing AS boolean))
     ORDER BY child.id
    ON CONFLICT (parent_id, child_id) DO NOTHING
    """,
)

_PUT_SPARSE: Final = Statement(
    "manifests_put_sparse",
    int,
    """
    INSERT INTO sparse_references (manifest_id, repository_id, digest)
    SELECT manifests.id, repositories.id, missing.digest
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = :digest
     CROSS JOIN LATERAL (
           SELECT named.digest FROM unnest(CAST(:required AS bytea[])) AS named (digest)
            WHERE NOT EXISTS (SELECT FROM manifest_blobs AS kept
                               WHERE kept.manifest_id = manifests.id AND kept.digest = named.digest)
           UNION
           SELECT listed.digest FROM unnest(CAST(:children AS bytea[])) AS listed (digest)
            WHERE NOT EXISTS (SELECT FROM manifest_children AS kept
                                JOIN manifests AS child ON child.id = kept.child_id
                               WHERE kept.parent_id = manifests.id AND child.digest = listed.digest)
           ) AS missing
     WHERE repositories.name = :repository
     ORDER BY missing.digest
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,
)

# In the order of their names: two pushes of the same tags never wait for each other crosswise.
_PUT_TAGS: Final = Statement(
    "manifests_put_tags",
    int,
    """
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT manifests.repository_id, tag.name, manifests.id
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = :digest
     CROSS JOIN unnest(CAST(:tags AS text[])) AS tag (name)
     WHERE repositories.name = :repository
     ORDER BY tag.name COLLATE "C"
    ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = now()
    """,
)

_MISSING_BLOBS: Final = Statement(
    "manifests_missing_blobs",
    Digest,
    """
    SELECT named.digest
      FROM unnest(CAST(:required AS bytea[])) AS named (digest)
     WHERE NOT EXISTS (
           SELECT FROM repositories
             JOIN repository_blobs AS link ON link.repository_id = repositories.id
            WHERE repositories.name = :repository AND link.digest = named.digest)
     LIMIT 10
    """,
)

_MISSING_CHILDREN: Final = Statement(
    "manifests_missing_children",
    Digest,
    """
    SELECT listed.digest
      FROM unnest(CAST(:children AS bytea[])) AS listed (digest)
     WHERE NOT EXISTS (
           SELECT FROM repositories
             JOIN manifests ON manifests.repository_id = repositories.id
            WHERE repositories.name = :repository AND manifests.digest = listed.digest)
     LIMIT 10
    """,
)


def put(db: Database, push: Push) -> Pushed:
    """All of it becomes visible together, or nothing does. Raises ReferenceMissing and ChangeRefused."""
    begin: list[Call[Any]] = [_BEGIN(repository=push.repository, tags=sorted(set(push.tags)), rank=str(push.rank))]
    if push.new_tags:
        begin.append(limits.unless_tagged(push.repository, push.new_tags))
    calls = _calls(push)
    for attempt in range(_ATTEMPTS):
        try:
            outcomes = _batch(db, push, [*begin, *calls])[-len(calls) :]
            if not outcomes[0].count:
                # In the order in which all take their locks: what the namespace may hold, then the repository.
                first = [quotas.claiming(push.repository.namespace), *repositories.creating(push.repository)]
                outcomes = db.batch([*first, *begin, *calls])[-len(calls) :]
        except Conflict as conflict:
            # Nothing is missing, or that is accepted: something went or came between two statements, so once more.
            missing = [] if push.accepts_missing else _missing(db, push)
            if missing or attempt + 1 == _ATTEMPTS:
                raise ReferenceMissing(missing) from conflict
        else:
            run = zip(calls, outcomes, strict=True)
            missing_references = sum(outcome.count for call, outcome in run if call.statement is _PUT_SPARSE)
            return Pushed(missing_references, quotas.read_nearly_used(outcomes[-1]))
    raise AssertionError  # the last attempt returns or raises


def _batch(db: Database, push: Push, calls: list[Call[Any]]) -> list[Outcome]:
    """Beside other pushes; where that can't be, for little of the namespace's quota is left, once more and alone."""
    try:
        return db.batch(calls)
    except Conflict as conflict:
        if not quotas.must_go_alone(conflict):
            raise
    return db.batch([quotas.claiming(push.repository.namespace), *calls])


def _calls(push: Push) -> list[Call[Any]]:
    """The same few statements whatever the number of references; those with nothing to do are left out."""
    manifest = push.manifest
    where = {"repository": push.repository, "digest": push.digest}
    required, optional = manifest.required_blobs, manifest.optional_blobs
    calls: list[Call[Any]] = [
        _PUT(
            **where,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            subject=manifest.subject.digest if manifest.subject else None,
            annotations=json.dumps(manifest.annotations),
            payload=push.payload,
            tags=sorted(set(push.tags)),
        )
    ]
    if manifest.blobs and push.accepts_missing:
        calls.append(_PUT_BLOBS(**where, required=[], optional=sorted({*required, *optional})))
    elif manifest.blobs:
        calls.append(_PUT_BLOBS(**where, required=required, optional=optional))
    if manifest.children:
        calls.append(_PUT_CHILDREN(**where, children=manifest.child_digests, accepts_missing=push.accepts_missing))
    if push.accepts_missing:
        calls.append(_PUT_SPARSE(**where, required=required, children=manifest.child_digests))
    if push.tags:
        calls.append(_PUT_TAGS(**where, tags=sorted(set(push.tags))))
    return [*calls, quotas.nearly_used(push.repository.namespace)]


def _missing(db: Database, push: Push) -> list[Digest]:
    """Some of what the repository does not hold."""
    return db.all(_MISSING_BLOBS(repository=push.repository, required=push.manifest.required_blobs)) + db.all(
        _MISSING_CHILDREN(repository=push.repository, children=push.manifest.child_digests)
    )
