"""What is imported into repositories: links first, then manifests with what they name, by statements for whole sets.

Whatever is here already stays as it is, so a touch and a bulk step may meet at any point: who comes second finds the
work done. A manifest may come before what it names: that is remembered (`sparse_references`), and held once it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Session, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class IncomingManifest:
    """`payload` is exactly what its source keeps, of which `digest` is true; `pushed_at` as it is there."""

    repository_id: int
    digest: Digest
    manifest: Manifest
    payload: bytes
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class IncomingLink:
    """`linked_at` as it is there; None is as old as the blob."""

    repository_id: int
    digest: Digest
    linked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """One reference of a manifest: a blob, a child, or what an index lists under a type that tells neither."""

    repository_id: int
    parent: Digest
    digest: Digest
    may_be_blob: bool
    may_be_child: bool


# A link is as old as the one in its source, or else as its blob.
_PUT_LINKS: Final = Statement(
    "imports_put_links",
    int,
    """
    INSERT INTO repository_blobs (repository_id, digest, size, linked_at)
    SELECT linked.repository_id, blobs.digest, blobs.size, coalesce(linked.at, blobs.created_at)
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[]), CAST(:times AS timestamptz[]))
           AS linked (repository_id, digest, at)
      JOIN blobs ON blobs.digest = linked.digest
     ORDER BY linked.repository_id, blobs.digest
    ON CONFLICT (repository_id, digest) DO NOTHING
    """,
    is_hot=True,
)

# What an index lists is in a statement before it: its size is that of its children.
_PUT_MANIFESTS: Final = Statement(
    "imports_put_manifests",
    int,
    """
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, payload, pushed_at)
    SELECT came.repository_id, came.digest, came.media_type, came.artifact_type, came.subject,
           CAST(came.annotations AS jsonb), came.payload, came.pushed_at
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:digests AS bytea[]), CAST(:media_types AS text[]),
                  CAST(:artifact_types AS text[]), CAST(:subjects AS bytea[]), CAST(:annotations AS text[]),
                  CAST(:payloads AS bytea[]), CAST(:times AS timestamptz[]))
           AS came (repository_id, digest, media_type, artifact_type, subject, annotations, payload, pushed_at)
     ORDER BY came.repository_id, came.digest
    ON CONFLICT (repository_id, digest) DO NOTHING
    """,
    is_hot=True,
)

# Looked up one by one: the planner, whose figures are of a smaller table, would read all of it.
_NAMED: Final = """
    unnest(CAST(:repository_ids AS bigint[]), CAST(:parents AS bytea[]), CAST(:digests AS bytea[]),
           CAST(:may_be_blob AS boolean[]), CAST(:may_be_child AS boolean[]))
           AS named (repository_id, parent, digest, may_be_blob, may_be_child)
     CROSS JOIN LATERAL (SELECT id, repository_id FROM manifests
                          WHERE manifests.repository_id = named.repository_id AND manifests.digest = named.parent
                         OFFSET 0) AS parent
"""

_PUT_BLOBS: Final = Statement(
    "imports_put_blobs",
    int,
    f"""
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT parent.id, link.repository_id, link.digest
      FROM {_NAMED}
     CROSS JOIN LATERAL (SELECT repository_id, digest FROM repository_blobs AS link
                          WHERE link.repository_id = named.repository_id AND link.digest = named.digest
                         OFFSET 0) AS link
     WHERE named.may_be_blob
       AND NOT (named.may_be_child AND EXISTS (
           SELECT FROM manifests AS child
            WHERE child.repository_id = named.repository_id AND child.digest = named.digest))
     ORDER BY link.digest, parent.id
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,  # noqa: S608  # a constant of this module
    is_hot=True,
)

_PUT_CHILDREN: Final = Statement(
    "imports_put_children",
    int,
    f"""
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT parent.id, child.id
      FROM {_NAMED}
     CROSS JOIN LATERAL (SELECT id FROM manifests
                          WHERE manifests.repository_id = named.repository_id AND manifests.digest = named.digest
                         OFFSET 0) AS child
     WHERE named.may_be_child
     ORDER BY child.id, parent.id
    ON CONFLICT (parent_id, child_id) DO NOTHING
    """,  # noqa: S608  # as above
    is_hot=True,
)

_PUT_SPARSE: Final = Statement(
    "imports_put_sparse",
    int,
    f"""
    INSERT INTO sparse_references (manifest_id, repository_id, digest)
    SELECT parent.id, parent.repository_id, named.digest
      FROM {_NAMED}
     WHERE NOT EXISTS (SELECT FROM manifest_blobs AS kept
                        WHERE kept.manifest_id = parent.id AND kept.digest = named.digest)
       AND NOT EXISTS (SELECT FROM manifests AS child
                         JOIN manifest_children AS kept ON kept.child_id = child.id AND kept.parent_id = parent.id
                        WHERE child.repository_id = named.repository_id AND child.digest = named.digest)
     ORDER BY named.digest, parent.id
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,  # noqa: S608  # as above
    is_hot=True,
)

# What was linked may have been collected before it was named. What an index lists as a manifest may be here as the blob
# of another: nobody waits for that.
_LEFT_OUT: Final = Statement(
    "imports_left_out",
    Digest,
    """
    SELECT DISTINCT awaited.digest
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:parents AS bytea[]), CAST(:digests AS bytea[]))
           AS named (repository_id, parent, digest)
      JOIN manifests ON manifests.repository_id = named.repository_id AND manifests.digest = named.parent
      JOIN sparse_references AS awaited ON awaited.manifest_id = manifests.id AND awaited.digest = named.digest
     WHERE NOT EXISTS (SELECT FROM manifest_blobs AS kept
                        WHERE kept.manifest_id = manifests.id AND kept.digest = awaited.digest)
    """,
    is_hot=True,
)


def blobs_of(incoming: Iterable[IncomingManifest]) -> list[Digest]:
    """Returns all blobs that they name, each once, in order; not what an index lists, which may be manifests."""
    return sorted({digest for came in incoming for digest in _blobs(came.manifest)})


def putting_links(links: Sequence[IncomingLink]) -> Call[int]:
    """Links those that are blobs here."""
    return _PUT_LINKS(
        repository_ids=[link.repository_id for link in links],
        digests=[link.digest for link in links],
        times=[link.linked_at for link in links],
    )


def put_manifests(session: Session, levels: Sequence[Sequence[IncomingManifest]]) -> bool:
    """Puts manifests with what they name; what an index lists is in a level before it, as far as it comes at all.

    Returns whether all that they name is held by this transaction's own rows: then they await nothing, and nothing was
    left out.
    """
    named = _all_named(levels)
    holding = _holding(named)
    outcomes = session.batch([*map(_put, filter(None, levels)), *holding])
    # One that may be either could be held as both, where its manifest comes just now, and hide another that isn't.
    is_sure = not any(each.may_be_blob and each.may_be_child for each in named)
    if is_sure and sum(outcome.count for outcome in outcomes[len(outcomes) - len(holding) :]) == len(named):
        return True
    session.count(_PUT_SPARSE(**_references(named)))
    return False


def left_out(incoming: Sequence[IncomingManifest], present: Iterable[Digest]) -> Call[Digest]:
    """Returns, of the blobs that are `present` in the store, those that the manifests name and that are not here after
    all.
    """
    there = set(present)
    named = [(came, digest) for came in incoming for digest in _blobs(came.manifest) if digest in there]
    return _LEFT_OUT(
        repository_ids=[came.repository_id for came, _ in named],
        parents=[came.digest for came, _ in named],
        digests=[digest for _, digest in named],
    )


def _holding(named: Sequence[_Named]) -> list[Call[int]]:
    """Returns what holds blobs, and what holds children."""
    blobs = [each for each in named if each.may_be_blob]
    children = [each for each in named if each.may_be_child]
    calls = [_PUT_BLOBS(**_references(blobs))] if blobs else []
    return [*calls, _PUT_CHILDREN(**_references(children))] if children else calls


def _references(named: Sequence[_Named]) -> dict[str, Any]:
    return {
        "repository_ids": [each.repository_id for each in named],
        "parents": [each.parent for each in named],
        "digests": [each.digest for each in named],
        "may_be_blob": [each.may_be_blob for each in named],
        "may_be_child": [each.may_be_child for each in named],
    }


def _all_named(levels: Sequence[Sequence[IncomingManifest]]) -> list[_Named]:
    return [each for level in levels for came in level for each in _named(came)]


def _put(level: Sequence[IncomingManifest]) -> Call[int]:
    return _PUT_MANIFESTS(
        repository_ids=[came.repository_id for came in level],
        digests=[came.digest for came in level],
        media_types=[came.manifest.media_type for came in level],
        artifact_types=[came.manifest.artifact_type for came in level],
        subjects=[came.manifest.subject.digest if came.manifest.subject else None for came in level],
        annotations=[json.dumps(came.manifest.annotations) for came in level],
        payloads=[came.payload for came in level],
        times=[came.pushed_at for came in level],
    )


def _named(came: IncomingManifest) -> list[_Named]:
    def named(digest: Digest, *, may_be_blob: bool, may_be_child: bool) -> _Named:
        return _Named(came.repository_id, came.digest, digest, may_be_blob, may_be_child)

    return [
        *(named(digest, may_be_blob=True, may_be_child=False) for digest in _blobs(came.manifest)),
        *(named(digest, may_be_blob=False, may_be_child=True) for digest in came.manifest.child_digests),
        *(named(digest, may_be_blob=True, may_be_child=True) for digest in came.manifest.listed_digests),
    ]


def _blobs(manifest: Manifest) -> list[Digest]:
    return sorted({*manifest.required_blobs, *manifest.optional_blobs})
