"""What a manifest refers to, written with it: by statements whose number doesn't depend on how much that is."""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest
from functions.registry.oci.name import RepositoryName

# A blob that the repository does not hold breaks the foreign key to its link. Of those that may live elsewhere one that
# isn't here is remembered, and kept once it comes.
_BLOBS: Final = Statement(
    "manifests_put_blobs",
    int,
    """
    WITH manifest AS MATERIALIZED (
        SELECT manifests.id, manifests.repository_id
          FROM repositories
          JOIN manifests ON manifests.repository_id = repositories.id AND manifests.digest = :digest
         WHERE repositories.name = :repository
    ), optional AS MATERIALIZED (
        SELECT manifest.id, manifest.repository_id, named.digest, link.digest IS NOT NULL AS is_here
          FROM manifest
         CROSS JOIN unnest(CAST(:optional AS bytea[])) AS named (digest)
          LEFT JOIN repository_blobs AS link
            ON link.repository_id = manifest.repository_id AND link.digest = named.digest
    ), awaited AS (
        INSERT INTO sparse_references (manifest_id, repository_id, digest)
        SELECT id, repository_id, digest FROM optional
         WHERE NOT is_here AND digest = ANY (CAST(:awaited AS bytea[]))
         ORDER BY digest
        ON CONFLICT (manifest_id, digest) DO NOTHING
    )
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT manifest.id, manifest.repository_id, named.digest
      FROM manifest
     CROSS JOIN LATERAL (
           SELECT unnest(CAST(:required AS bytea[])) AS digest
           UNION
           SELECT optional.digest FROM optional WHERE optional.is_here
           ) AS named
     ORDER BY named.digest
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,
    is_hot=True,
)

# What an index lists is a child if the repository has a manifest of that digest. Of a type of manifests it has to be
# one: a child that the repository does not hold becomes a NULL, which the column refuses; unless that is accepted. All
# else is a blob then, and breaks the foreign key if it isn't here. Both are found out at one moment, or something that
# comes between two of them would be neither.
_CHILDREN: Final = Statement(
    "manifests_put_children",
    int,
    """
    WITH named AS MATERIALIZED (
        SELECT parent.id AS parent_id, parent.repository_id, listed.digest, listed.may_be_blob, child.id AS child_id
          FROM repositories
          JOIN manifests AS parent ON parent.repository_id = repositories.id AND parent.digest = :digest
         CROSS JOIN (
               SELECT unnest(CAST(:children AS bytea[])) AS digest, false AS may_be_blob
               UNION ALL
               SELECT unnest(CAST(:listed AS bytea[])), true
               ) AS listed
          LEFT JOIN manifests AS child ON child.repository_id = repositories.id AND child.digest = listed.digest
         WHERE repositories.name = :repository
    ), blobs AS (
        INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
        SELECT named.parent_id, named.repository_id, named.digest
          FROM named
         WHERE named.may_be_blob AND named.child_id IS NULL
           AND (NOT CAST(:accepts_missing AS boolean) OR EXISTS (
               SELECT FROM repository_blobs AS link
                WHERE link.repository_id = named.repository_id AND link.digest = named.digest))
         ORDER BY named.digest
        ON CONFLICT (manifest_id, digest) DO NOTHING
        RETURNING digest
    )
    INSERT INTO manifest_children (parent_id, child_id)
    SELECT named.parent_id, named.child_id
      FROM named
     WHERE (SELECT count(*) FROM blobs) >= 0
       AND (named.child_id IS NOT NULL OR NOT (named.may_be_blob OR CAST(:accepts_missing AS boolean)))
     ORDER BY named.child_id
    ON CONFLICT (parent_id, child_id) DO NOTHING
    """,
    is_hot=True,
)

SPARSE: Final = Statement(
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
              AND NOT EXISTS (SELECT FROM manifest_blobs AS kept
                               WHERE kept.manifest_id = manifests.id AND kept.digest = listed.digest)
           ) AS missing
     WHERE repositories.name = :repository
     ORDER BY missing.digest
    ON CONFLICT (manifest_id, digest) DO NOTHING
    """,
)


# OFFSET makes it look for each digest: as a join it would read all links of the repository.
_MISSING_BLOBS: Final = Statement(
    "manifests_missing_blobs",
    Digest,
    """
    SELECT named.digest
      FROM unnest(CAST(:required AS bytea[])) AS named (digest)
     WHERE NOT EXISTS (
           SELECT FROM repositories
             JOIN repository_blobs AS link ON link.repository_id = repositories.id
            WHERE repositories.name = :repository AND link.digest = named.digest
           OFFSET 0)
     LIMIT 10
    """,
)

_MISSING_CHILDREN: Final = Statement(
    "manifests_missing_children",
    Digest,
    """
    SELECT listed.digest
      FROM unnest(CAST(:children AS bytea[]) || CAST(:listed AS bytea[])) AS listed (digest)
     WHERE NOT EXISTS (
           SELECT FROM repositories
             JOIN manifests ON manifests.repository_id = repositories.id
            WHERE repositories.name = :repository AND manifests.digest = listed.digest)
       AND NOT (listed.digest = ANY (CAST(:listed AS bytea[])) AND EXISTS (
           SELECT FROM repositories
             JOIN repository_blobs AS link ON link.repository_id = repositories.id
            WHERE repositories.name = :repository AND link.digest = listed.digest))
     LIMIT 10
    """,
)


def putting(
    repository: RepositoryName, digest: Digest, manifest: Manifest, *, accepts_missing: bool
) -> list[Call[Any]]:
    """Returns what the batch needs that puts the manifest in; what has nothing to do is left out."""
    where = {"repository": repository, "digest": digest}
    required, optional = manifest.required_blobs, manifest.optional_blobs
    children, listed = manifest.child_digests, manifest.listed_digests
    calls: list[Call[Any]] = []
    if manifest.blobs and accepts_missing:
        calls.append(_BLOBS(**where, required=[], optional=sorted({*required, *optional}), awaited=optional))
    elif manifest.blobs:
        calls.append(_BLOBS(**where, required=required, optional=optional, awaited=optional))
    if children or listed:
        calls.append(_CHILDREN(**where, children=children, listed=listed, accepts_missing=accepts_missing))
    if accepts_missing:
        calls.append(SPARSE(**where, required=required, children=sorted([*children, *listed])))
    return calls


def missing(db: Database, repository: RepositoryName, manifest: Manifest) -> list[Digest]:
    """Returns some of what the repository does not hold."""
    children, listed = manifest.child_digests, manifest.listed_digests
    return db.all(_MISSING_BLOBS(repository=repository, required=manifest.required_blobs)) + db.all(
        _MISSING_CHILDREN(repository=repository, children=children, listed=listed)
    )
