"""What holds after every schedule, read from the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest

_MANIFESTS: Final = """
    SELECT manifests.id, digest, payload, is_reached(manifests.id, only_by_tags => true),
           EXISTS (SELECT FROM manifest_reviews WHERE manifest_id = manifests.id) OR is_awaiting_import(repository_id),
           ARRAY(SELECT parent_id FROM manifest_children WHERE child_id = manifests.id
                  UNION
                 SELECT sparse.manifest_id FROM sparse_references AS sparse
                  WHERE sparse.repository_id = manifests.repository_id AND sparse.digest = manifests.digest
                  UNION
                 SELECT subject.id FROM manifests AS subject
                  WHERE subject.repository_id = manifests.repository_id AND subject.digest = manifests.subject)
      FROM manifests
"""

# What of a manifest's references is held, in whichever way.
_HELD: Final = """
    SELECT named.manifest_id, named.digest
      FROM manifest_blobs AS named
      JOIN repository_blobs USING (repository_id, digest)
      JOIN blobs ON blobs.digest = named.digest
     WHERE NOT EXISTS (SELECT FROM deletions WHERE deletions.object_name = blobs.object_name)
     UNION
    SELECT parent_id, child.digest FROM manifest_children JOIN manifests AS child ON child.id = child_id
     UNION
    SELECT manifest_id, digest FROM sparse_references
"""

_LINKS: Final = """
    SELECT repositories.name, digest FROM repository_blobs JOIN repositories ON repositories.id = repository_id
"""

_BLOBS: Final = "SELECT digest, object_name, damaged_at IS NOT NULL FROM blobs"

_OBJECTS: Final = """
    SELECT object_name FROM blobs UNION SELECT object_name FROM upload_objects UNION SELECT object_name FROM deletions
"""

_NEEDED_OBJECTS: Final = "SELECT object_name FROM blobs UNION SELECT object_name FROM upload_objects"

# Each gives rows only where something is wrong.
WRONG: Final = {
    "a live blob's object is queued for deletion": """
        SELECT object_name FROM blobs JOIN deletions USING (object_name)
    """,
    "a link that nothing names has no review": """
        SELECT repository_id, digest FROM repository_blobs AS link
         WHERE NOT EXISTS (SELECT FROM manifest_blobs AS named
                            WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
           AND NOT EXISTS (SELECT FROM sparse_references AS named
                            WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
           AND NOT EXISTS (SELECT FROM link_reviews AS review
                            WHERE review.repository_id = link.repository_id AND review.digest = link.digest)
           AND NOT is_awaiting_import(link.repository_id)
    """,
    "a blob that nothing links has no review": """
        SELECT digest FROM blobs
         WHERE NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)
           AND NOT EXISTS (SELECT FROM blob_reviews AS review WHERE review.digest = blobs.digest)
           AND NOT is_held(blobs.object_name)
    """,
    "a review failed": """
        SELECT error FROM manifest_reviews WHERE error IS NOT NULL
         UNION SELECT error FROM link_reviews WHERE error IS NOT NULL
         UNION SELECT error FROM blob_reviews WHERE error IS NOT NULL
    """,
    "a repository's usage is wrong": """
        SELECT repository_id, tags, manifests, manifest_bytes, blobs, blob_bytes FROM repository_usage
        EXCEPT
        SELECT id, (SELECT count(*) FROM tags WHERE repository_id = repositories.id),
               (SELECT count(*) FROM manifests WHERE repository_id = repositories.id),
               (SELECT coalesce(sum(length(payload)), 0) FROM manifests WHERE repository_id = repositories.id)
               + (SELECT coalesce(sum(length(payload)), 0) FROM withdrawn_manifests
                   WHERE repository_id = repositories.id),
               (SELECT count(*) FROM repository_blobs WHERE repository_id = repositories.id),
               (SELECT coalesce(sum(size), 0) FROM repository_blobs WHERE repository_id = repositories.id)
          FROM repositories
    """,
    "a namespace's usage is wrong": """
        SELECT namespace_id, repositories, tags, manifests, manifest_bytes, blobs, blob_bytes FROM namespace_totals
        EXCEPT
        SELECT namespaces.id, count(of.id) FILTER (WHERE of.deleted_at IS NULL), coalesce(sum(tags), 0),
               coalesce(sum(manifests), 0),
               coalesce(sum(manifest_bytes), 0),
               (SELECT count(DISTINCT digest) FROM repository_blobs
                  JOIN repositories ON repositories.id = repository_id WHERE namespace_id = namespaces.id),
               (SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (
                       SELECT digest FROM repository_blobs
                         JOIN repositories ON repositories.id = repository_id WHERE namespace_id = namespaces.id))
          FROM namespaces
          LEFT JOIN repositories AS of ON of.namespace_id = namespaces.id
          LEFT JOIN repository_usage ON repository_id = of.id
         GROUP BY namespaces.id
    """,
    "the registry's usage is wrong": """
        SELECT repositories, tags, manifests, manifest_bytes, blobs, blob_bytes FROM registry_totals
        EXCEPT
        SELECT (SELECT count(*) FROM repositories WHERE deleted_at IS NULL), (SELECT count(*) FROM tags), count(*),
               coalesce(sum(length(payload)), 0)
               + (SELECT coalesce(sum(length(payload)), 0) FROM withdrawn_manifests),
               (SELECT count(*) FROM blobs), (SELECT coalesce(sum(size), 0) FROM blobs)
          FROM manifests
    """,
    "what a withdrawn manifest held is gone before its time": """
        SELECT gone.digest FROM withdrawn_manifests AS gone CROSS JOIN unnest(blobs) AS held (digest)
         WHERE gone.until > now() AND NOT EXISTS (
               SELECT FROM repository_blobs AS link
                WHERE link.repository_id = gone.repository_id AND link.digest = held.digest)
        UNION ALL
        SELECT gone.digest FROM withdrawn_manifests AS gone CROSS JOIN unnest(children) AS held (digest)
         WHERE gone.until > now() AND NOT EXISTS (
               SELECT FROM manifests AS here
                WHERE here.repository_id = gone.repository_id AND here.digest = held.digest
                UNION ALL
               SELECT FROM withdrawn_manifests AS here
                WHERE here.repository_id = gone.repository_id AND here.digest = held.digest)
    """,
    "a manifest is here and withdrawn": """
        SELECT digest FROM withdrawn_manifests JOIN manifests USING (repository_id, digest)
    """,
    "a repository's usage is counted in another namespace": """
        SELECT repository_id FROM repository_usage AS usage JOIN repositories ON repositories.id = repository_id
         WHERE usage.namespace_id <> repositories.namespace_id
    """,
    "a namespace's blobs are counted wrongly": """
        (TABLE namespace_blobs EXCEPT
         SELECT namespace_id, digest, min(blobs.size), count(*)
           FROM repository_blobs JOIN blobs USING (digest) JOIN repositories ON repositories.id = repository_id
          GROUP BY namespace_id, digest)
    """,
}

# After every schedule: so they are prepared.
_LOOKED_AT: Final = (_MANIFESTS, _HELD, _LINKS, _OBJECTS, _NEEDED_OBJECTS, _BLOBS, *WRONG.values())


@dataclass(frozen=True, slots=True)
class _Manifest:
    id: int
    digest: Digest
    payload: bytes
    is_reached: bool
    has_review: bool
    holders: list[int]


@dataclass(frozen=True, slots=True)
class Found:
    """`faults` is empty if all is well; `things` are the manifests, links and whole blobs, as the props name them."""

    faults: list[str]
    things: set[str]


def look(
    connection: Connection,
    written: frozenset[str],
    deleted: set[str],
    lost: frozenset[str],
    damaged: frozenset[str] = frozenset(),
) -> Found:
    """`written` are the objects that there were, `deleted` those that the bucket was told to delete.

    Those that are `lost` are gone from the bucket, although nobody was to delete them; `damaged` are those whose blobs
    were marked before anything happened.
    """
    outcomes = connection.run([(sql, {}) for sql in _LOOKED_AT], kept=_LOOKED_AT)
    answers: list[list[list[Any]]] = [outcome.rows for outcome in outcomes]
    manifests = [_Manifest(row[0], Digest.from_bytes(row[1]), *row[2:]) for row in answers[0]]
    held = {(manifest, Digest.from_bytes(digest)) for manifest, digest in answers[1]}
    named, needed = ({name for (name,) in rows} for rows in answers[3:5])
    faults = [f"{what}: {rows}" for what, rows in zip(WRONG, answers[6:], strict=True) if rows]
    faults += _incomplete(manifests, held)
    faults += [f"nothing will ever review manifest {lost.digest}" for lost in _forgotten(manifests)]
    faults += [f"object {name} is named by nothing" for name in written - named - deleted]
    faults += [f"object {name} is needed and was deleted" for name in needed & deleted]
    blobs = [(Digest.from_bytes(digest), name, is_marked) for digest, name, is_marked in answers[5]]
    faults += [
        f"{digest} is marked, though its object is there"
        for digest, name, marked in blobs
        if marked and name not in lost | damaged
    ]
    whole = {f"bytes of {digest}" for digest, name, is_marked in blobs if not is_marked and name not in lost}
    links = {f"link {repository} {Digest.from_bytes(digest)}" for repository, digest in answers[2]}
    return Found(faults, whole | links | {f"manifest {manifest.digest}" for manifest in manifests})


def _incomplete(manifests: list[_Manifest], held: set[tuple[int, Digest]]) -> list[str]:
    """Whatever a manifest names is held by it, so that it can be pulled as long as the manifest."""
    faults = []
    for manifest in manifests:
        parsed = parse_manifest(manifest.payload, None)
        references = {*parsed.required_blobs, *parsed.child_digests}
        missing = sorted(reference for reference in references if (manifest.id, reference) not in held)
        faults += [f"manifest {manifest.digest} does not hold {reference}" for reference in missing]
    return faults


def _forgotten(manifests: list[_Manifest]) -> list[_Manifest]:
    """Those that no tag reaches, have no review, and are held by nothing that will be reviewed itself."""
    unreached = {manifest.id: manifest for manifest in manifests if not manifest.is_reached}
    remembered = {manifest.id for manifest in unreached.values() if manifest.has_review}
    while more := {
        manifest.id
        for manifest in unreached.values()
        if manifest.id not in remembered and remembered.intersection(manifest.holders)
    }:
        remembered |= more
    return [manifest for manifest in unreached.values() if manifest.id not in remembered]
