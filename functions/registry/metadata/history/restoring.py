"""What was deleted or overwritten, put back: a tag, or a manifest with the tags that went along with it.

Where the manifest is still here the tag alone is written, and its foreign key is the referee against a collection. One
that was deleted by its digest is pushed again from the bytes that were kept, by the statements of a push: children
before what lists them, in the one transaction that writes the tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.content import limits, pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement
from functions.registry.metadata.usage import quotas
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag

_ATTEMPTS: Final = 3


class NothingToRestore(Exception):
    """The message says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tag's last binding that ended, or the one of `digest`; or without a tag that manifest itself.

    `target` is the tag that shall name it, if that is another. Those in `new_tags` must not be there yet.
    """

    repository: RepositoryName
    tag: Tag | None = None
    digest: Digest | None = None
    target: Tag | None = None
    rank: int = 0
    new_tags: Sequence[Tag] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """`previous` is what the tag named until now, None if it wasn't there; it can be put back in its turn."""

    digest: Digest
    tags: list[Tag]
    previous: Digest | None


@dataclass(frozen=True, slots=True)
class _Found:
    """`tags` are those to be written, with what they had in `ids` of the history; 0 where there is none."""

    repository_id: int
    digest: Digest
    refusal: str | None
    tags: list[str]
    ids: list[int]
    previous: Digest | None


# The last binding that ended, or that of the digest: it may name what the tag names now.
_FIND_BINDING: Final = Statement(
    "restoring_find_binding",
    _Found,
    """
    SELECT repositories.id, last.digest, restore_refusal(repositories.id, last.digest),
           json_build_array(CAST(:target AS text)),
           json_build_array(CASE WHEN CAST(:target AS text) = CAST(:tag AS text) THEN last.id ELSE 0 END),
           (SELECT manifests.digest FROM tags JOIN manifests ON manifests.id = tags.manifest_id
             WHERE tags.repository_id = repositories.id AND tags.name = :target)
      FROM repositories
     CROSS JOIN LATERAL (
           SELECT ended.id, ended.digest FROM tag_history AS ended
            WHERE ended.repository_id = repositories.id AND ended.tag = :tag
              AND (CAST(:digest AS bytea) IS NULL OR ended.digest = CAST(:digest AS bytea))
            ORDER BY ended.id DESC
            LIMIT 1) AS last
     WHERE repositories.name = :repository
    """,
)

# With the tags that went along, but for those that name something by now.
_FIND_MANIFEST: Final = Statement(
    "restoring_find_manifest",
    _Found,
    """
    SELECT repositories.id, gone.digest, restore_refusal(repositories.id, gone.digest),
           coalesce(json_agg(along.tag ORDER BY along.tag) FILTER (WHERE along.tag IS NOT NULL), '[]'),
           coalesce(json_agg(along.id ORDER BY along.tag) FILTER (WHERE along.tag IS NOT NULL), '[]'), NULL
      FROM repositories
      JOIN withdrawn_manifests AS gone ON gone.repository_id = repositories.id AND gone.digest = :digest
      LEFT JOIN LATERAL (
           SELECT ended.tag, ended.id FROM tag_history AS ended
            WHERE ended.repository_id = gone.repository_id AND ended.until >= gone.withdrawn_at
              AND ended.changed_at = gone.withdrawn_at AND ended.digest = gone.digest
              AND NOT EXISTS (SELECT FROM tags WHERE tags.repository_id = ended.repository_id
                                                 AND tags.name = ended.tag)) AS along ON true
     WHERE repositories.name = :repository
     GROUP BY repositories.id, gone.repository_id, gone.digest
    """,
)

# As whoever pushes them locks them, before anything is written.
_LOCK_TAGS: Final = Statement(
    "restoring_lock_tags",
    str,
    """
    SELECT tags.name
      FROM repositories JOIN tags ON tags.repository_id = repositories.id
     WHERE repositories.name = :repository AND tags.name = ANY (CAST(:tags AS text[]))
     ORDER BY tags.name
       FOR UPDATE OF tags
    """,
)


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    media_type: str
    payload: bytes
    children: list[str]


# With those of its children that have to be put back before it.
_READ: Final = Statement(
    "restoring_read",
    _Withdrawn,
    """
    SELECT gone.media_type, gone.payload,
           (SELECT coalesce(json_agg(digest_text(child.digest) ORDER BY child.digest), '[]')
              FROM unnest(gone.children) AS child (digest)
             WHERE NOT EXISTS (SELECT FROM manifests AS here
                                WHERE here.repository_id = gone.repository_id AND here.digest = child.digest))
      FROM withdrawn_manifests AS gone
     WHERE gone.repository_id = :repository_id AND gone.digest = :digest
    """,
)

# A tag comes back as it was, with its times and its pulls: what cleans up by them would else take others in its place.
# Pulls that were counted since, under another manifest, are not taken away.
_NAME: Final = Statement(
    "restoring_name",
    int,
    """
    INSERT INTO tags AS tag (repository_id, name, manifest_id, created_at, updated_at, pulls, pulled_at, restored_at)
    SELECT manifests.repository_id, wanted.tag, manifests.id, coalesce(ended.created_at, now()),
           coalesce(ended.updated_at, now()), coalesce(ended.pulls, 0), coalesce(ended.pulled_at, '-infinity'), now()
      FROM manifests
     CROSS JOIN unnest(CAST(:tags AS text[]), CAST(:ids AS bigint[])) AS wanted (tag, id)
      LEFT JOIN tag_history AS ended
        ON ended.repository_id = manifests.repository_id AND ended.tag = wanted.tag AND ended.id = wanted.id
     WHERE manifests.repository_id = :repository_id AND manifests.digest = :digest
     ORDER BY wanted.tag COLLATE "C"
    ON CONFLICT (repository_id, name) DO UPDATE
       SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at, restored_at = now(),
           pulls = greatest(tag.pulls, excluded.pulls), pulled_at = greatest(tag.pulled_at, excluded.pulled_at)
    """,
)


def restore(db: Database, wanted: Wanted, *, dry_run: bool = False) -> Restored:
    """A write as any other: rules, quota and role of a push hold. Raises NothingToRestore and ChangeRefused."""
    found = _require(db.one_or_none(_finding(wanted)))
    if dry_run:
        return _restored(found)
    with told.because("restore"):
        for attempt in range(_ATTEMPTS):
            try:
                return db.transaction(partial(_restore, wanted=wanted, tags=found.tags, is_alone=attempt > 0))
            except Conflict as conflict:
                if not quotas.must_go_alone(conflict) and attempt + 1 == _ATTEMPTS:
                    raise NothingToRestore(f"manifest {found.digest} is being collected") from conflict
    raise NothingToRestore(f"manifest {found.digest} is being collected")


def _restore(session: Session, wanted: Wanted, tags: Sequence[str], *, is_alone: bool) -> Restored:
    names = sorted(tags)
    begin: list[Call[Any]] = [
        pushes.beginning(wanted.repository, names, wanted.rank),
        _LOCK_TAGS(repository=wanted.repository, tags=names),
    ]
    if is_alone:
        begin.insert(0, quotas.claiming(wanted.repository.namespace))
    if wanted.new_tags:
        begin.append(limits.unless_tagged(wanted.repository, wanted.new_tags))
    session.batch(begin)
    found = _require(session.one_or_none(_finding(wanted)))
    _put_back(session, wanted, found.repository_id, found.digest)
    named = [(tag, binding) for tag, binding in zip(found.tags, found.ids, strict=True) if tag in names]
    if named:
        where = {"repository_id": found.repository_id, "digest": found.digest}
        count = session.count(_NAME(**where, tags=[tag for tag, _ in named], ids=[binding for _, binding in named]))
        if count != len(named):
            raise NothingToRestore(f"manifest {found.digest} is collected")
    return _restored(found)


def _put_back(session: Session, wanted: Wanted, repository_id: int, digest: Digest) -> None:
    """Does nothing if the manifest is here. What it held was asked for: what it did without it does without again."""
    stored = session.one_or_none(_READ(repository_id=repository_id, digest=digest))
    if stored is None:
        return
    for child in stored.children:
        _put_back(session, wanted, repository_id, Digest.parse(child))
    manifest = parse_manifest(stored.payload, stored.media_type)
    push = Push(wanted.repository, digest, manifest, stored.payload, (), accepts_missing=True, rank=wanted.rank)
    session.batch(pushes.putting(push))


def _finding(wanted: Wanted) -> Call[_Found]:
    if wanted.tag is None:
        return _FIND_MANIFEST(repository=wanted.repository, digest=wanted.digest)
    target = wanted.target or wanted.tag
    return _FIND_BINDING(repository=wanted.repository, tag=wanted.tag, digest=wanted.digest, target=target)


def _require(found: _Found | None) -> _Found:
    if found is None:
        raise NothingToRestore("nothing is known of it: it was never named, or that is too long ago")
    if found.refusal is not None:
        raise NothingToRestore(found.refusal)
    return found


def _restored(found: _Found) -> Restored:
    return Restored(found.digest, [Tag(tag) for tag in found.tags], found.previous)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a tag named at a time and does not name now. Without a digest it named nothing then."""

    tag: Tag
    digest: Digest | None
    present: Digest | None
    refusal: str | None


# By name, one more than are asked for if there are more. Tags that were made since are told of where all is to be as it
# was.
_DIFFERENCES: Final = Statement(
    "restoring_differences",
    Difference,
    """
    WITH repository AS MATERIALIZED (
        SELECT id FROM repositories WHERE name = :repository
    ), first AS (
        SELECT DISTINCT ON (ended.tag) ended.tag, ended.digest, ended.since
          FROM tag_history AS ended
         WHERE ended.repository_id = (SELECT id FROM repository) AND ended.until > CAST(:moment AS timestamptz)
           AND ended.tag LIKE glob_like(:pattern)
         ORDER BY ended.tag, ended.id
    ), bound AS (
        SELECT tag, digest FROM first WHERE since <= CAST(:moment AS timestamptz)
    ), made_since AS (
        SELECT tags.name AS tag
          FROM tags
         WHERE CAST(:exact AS boolean) AND tags.repository_id = (SELECT id FROM repository)
           AND tags.name LIKE glob_like(:pattern)
           AND coalesce(tags.named_at, tags.updated_at) > CAST(:moment AS timestamptz)
           AND NOT EXISTS (SELECT FROM bound WHERE bound.tag = tags.name)
    )
    SELECT wanted.tag, wanted.digest, manifests.digest,
           CASE WHEN wanted.digest IS NOT NULL THEN restore_refusal(repository.id, wanted.digest) END
      FROM repository
     CROSS JOIN (SELECT tag, digest FROM bound UNION ALL SELECT tag, NULL FROM made_since) AS wanted
      LEFT JOIN tags ON tags.repository_id = repository.id AND tags.name = wanted.tag
      LEFT JOIN manifests ON manifests.id = tags.manifest_id
     WHERE manifests.digest IS DISTINCT FROM wanted.digest AND wanted.tag > CAST(:last AS text)
     ORDER BY wanted.tag
     LIMIT :size
    """,
)


@dataclass(frozen=True, slots=True)
class Then:
    """The tags that `pattern` matches as they were at `moment`; `exact` takes those away that were made since."""

    moment: datetime
    pattern: str
    exact: bool


def differences(db: Database, repository: RepositoryName, then: Then, last: str, size: int) -> list[Difference]:
    """Returns what is to change for the tags to be as they were, by name, behind `last`."""
    where = {"moment": then.moment, "pattern": then.pattern, "exact": then.exact}
    return db.all(_DIFFERENCES(repository=repository, **where, last=last, size=size))
