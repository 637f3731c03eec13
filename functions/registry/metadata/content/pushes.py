"""A push: the manifest, what it refers to and its tags, in one transaction of a few statements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.content import limits, references, repositories
from functions.registry.metadata.db import TELL, Call, Conflict, Database, Statement, compose
from functions.registry.metadata.driver import Outcome
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import QuotaUse
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest
from functions.registry.oci.name import RepositoryName, Tag

_ATTEMPTS: Final = 3


class TypeDiffers(Exception):
    """These bytes are in the repository under another media type, which is `stored`; None if they left just now."""

    def __init__(self, stored: str | None) -> None:
        super().__init__(stored)
        self.stored = stored


class ReferenceMissing(Exception):
    """A manifest names what its repository does not hold; `digests` are some of them."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        super().__init__(", ".join(map(str, digests)))
        self.digests = digests


@dataclass(frozen=True, slots=True)
class Push:
    """`accepts_missing` references are remembered, and kept once they come; otherwise the push is refused.

    `rank` is that of the caller's role, for the rules about tags. Of the `tags`, those in `new_tags` may not be there
    yet. A copy is made from the registry that decides about the repository, where others have to push.
    """

    repository: RepositoryName
    digest: Digest
    manifest: Manifest
    payload: bytes
    tags: Sequence[Tag]
    accepts_missing: bool = False
    rank: int = 0
    new_tags: Sequence[Tag] = ()
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """`missing_references` were accepted; `quota` is the namespace's, if it has one that is nearly used up."""

    missing_references: int
    quota: QuotaUse | None


# Locks the tags, whether they are there or not, and what else a push must find unchanged until it is over.
_BEGIN: Final = Statement(
    "manifests_begin_push",
    str,
    compose("SELECT begin_push(:repository, CAST(:tags AS text[]), :rank), $tell", tell=TELL),
    is_hot=True,
)

_COPYING: Final = Statement("manifests_begin_copy", str, "SELECT set_config('slipway.copying', 'on', true)")

# A tag that is there already is locked before anything is written (counting makes that happen first): whoever takes it
# away locks it before its manifest, and the other way round both would wait for each other. The repository is locked
# again, for it may have come since the push began; from here on it is found under its name.
# One that is marked as damaged is given its bytes again.
# What a digest is served as never changes: another type that somebody names becomes a NULL, which the column refuses.
_PUT: Final = Statement(
    "manifests_put",
    int,
    """
    WITH locked AS (
        SELECT tags.name
          FROM repositories
         CROSS JOIN unnest(CAST(:tags AS text[])) AS pushed (name)
          JOIN tags ON tags.repository_id = repositories.id AND tags.name = pushed.name
         WHERE repositories.name = :repository
         ORDER BY tags.name
           FOR UPDATE OF tags
    )
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, payload)
    SELECT id, :digest, :media_type, :artifact_type, :subject, CAST(:annotations AS jsonb), :payload
      FROM repositories WHERE name = :repository AND (SELECT count(*) FROM locked) >= 0
       FOR KEY SHARE OF repositories
    ON CONFLICT (repository_id, digest) DO UPDATE
       SET pushed_at = now(), damaged_at = NULL,
           payload = CASE WHEN manifests.damaged_at IS NULL THEN manifests.payload ELSE excluded.payload END,
           media_type = CASE WHEN NOT CAST(:is_typed AS boolean)
                               OR media_type_essence(manifests.media_type) = media_type_essence(excluded.media_type)
                             THEN manifests.media_type END
    """,
    is_hot=True,
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
    is_hot=True,
)

_STORED_TYPE: Final = Statement(
    "manifests_stored_type",
    str,
    """
    SELECT manifests.media_type
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = :digest
    """,
)


def beginning(repository: RepositoryName, tags: Sequence[str], rank: int) -> Call[str]:
    """Returns what a push, or whoever writes tags as one does, begins with."""
    return _BEGIN(repository=repository, tags=sorted(set(tags)), rank=str(rank))


def put(db: Database, push: Push) -> Pushed:
    """All of it becomes visible together, or nothing does. Raises TypeDiffers, ReferenceMissing and ChangeRefused."""
    begin: list[Call[Any]] = [beginning(push.repository, push.tags, push.rank)]
    if push.is_copy:
        begin.insert(0, _COPYING())
    if push.new_tags:
        begin.append(limits.unless_tagged(push.repository, push.new_tags))
    calls = putting(push)
    for attempt in range(_ATTEMPTS):
        try:
            outcomes = _batch(db, push, [*begin, *calls])[-len(calls) :]
            if not outcomes[0].count:
                # In the order in which all take their locks: what the namespace may hold, then the repository.
                first = [quotas.claiming(push.repository.namespace), *repositories.creating(push.repository)]
                outcomes = db.batch([*first, *begin, *calls])[-len(calls) :]
        except Conflict as conflict:
            if conflict.constraint == "media_type":
                stored = db.one_or_none(_STORED_TYPE(repository=push.repository, digest=push.digest))
                raise TypeDiffers(stored) from conflict
            # Nothing is missing, or that is accepted: something went or came between two statements, so once more.
            missing = [] if push.accepts_missing else references.missing(db, push.repository, push.manifest)
            if missing or attempt + 1 == _ATTEMPTS:
                raise ReferenceMissing(missing) from conflict
        else:
            run = zip(calls, outcomes, strict=True)
            missing_references = sum(outcome.count for call, outcome in run if call.statement is references.SPARSE)
            return Pushed(missing_references, quotas.read_nearly_used(outcomes[-1]))
    raise AssertionError  # the last attempt returns or raises


def _batch(db: Database, push: Push, calls: list[Call[Any]]) -> list[Outcome]:
    """Runs beside other pushes; where that can't be, for little of the namespace's quota is left, once more and
    alone.
    """
    try:
        return db.batch(calls)
    except Conflict as conflict:
        if not quotas.must_go_alone(conflict):
            raise
    return db.batch([quotas.claiming(push.repository.namespace), *calls])


def putting(push: Push) -> list[Call[Any]]:
    """Returns what puts the manifest with its references and tags into a transaction that `beginning` has begun: the
    same few statements whatever the number of references; those with nothing to do are left out.
    """
    manifest = push.manifest
    where = {"repository": push.repository, "digest": push.digest}
    calls: list[Call[Any]] = [
        _PUT(
            **where,
            media_type=manifest.media_type,
            is_typed=manifest.is_typed,
            artifact_type=manifest.artifact_type,
            subject=manifest.subject.digest if manifest.subject else None,
            annotations=json.dumps(manifest.annotations, ensure_ascii=False),
            payload=push.payload,
            tags=sorted(set(push.tags)),
        )
    ]
    calls += references.putting(push.repository, push.digest, manifest, accepts_missing=push.accepts_missing)
    if push.tags:
        calls.append(_PUT_TAGS(**where, tags=sorted(set(push.tags))))
    return [*calls, quotas.nearly_used(push.repository.namespace)]
