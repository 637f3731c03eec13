"""Manifests: stored whole, with what they refer to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata import repositories
from functions.registry.metadata.db import Call, Conflict, Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import Manifest
from functions.registry.oci.name import Reference, RepositoryName, Tag

_ATTEMPTS: Final = 3


class ReferenceMissing(Exception):
    """A manifest names what its repository does not hold; `digests` are some of them."""

    def __init__(self, digests: Sequence[Digest]) -> None:
        super().__init__(", ".join(map(str, digests)))
        self.digests = digests


class ListedByIndex(Exception):
    """An index lists the manifest, so it can't be deleted before the index."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """`payload` is exactly what was pushed."""

    digest: Digest
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ManifestHead:
    """`size` is the payload's, in bytes."""

    digest: Digest
    media_type: str
    size: int


_GET_BY_TAG: Final = Statement(
    "manifests_get_by_tag",
    StoredManifest,
    """
    SELECT manifests.digest, manifests.media_type, manifests.payload
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository AND tags.name = :tag
    """,
)

_GET_BY_DIGEST: Final = Statement(
    "manifests_get_by_digest",
    StoredManifest,
    """
    SELECT manifests.digest, manifests.media_type, manifests.payload
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = :digest
    """,
)

_HEAD_BY_TAG: Final = Statement(
    "manifests_head_by_tag",
    ManifestHead,
    """
    SELECT manifests.digest, manifests.media_type, octet_length(manifests.payload)
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository AND tags.name = :tag
    """,
)

# As with blobs: a client that finds a manifest this way skips its push, so it must stay for the rest of that push.
_CONFIRM: Final = Statement(
    "manifests_confirm",
    ManifestHead,
    """
    WITH confirmed AS (
        SELECT manifests.id, manifests.digest, manifests.media_type, octet_length(manifests.payload) AS size
          FROM repositories
          JOIN manifests ON manifests.repository_id = repositories.id
         WHERE repositories.name = :repository AND manifests.digest = :digest
           FOR KEY SHARE OF manifests
    ), renewed AS (
        UPDATE manifest_reviews AS review SET review_after = now() + grace('lease'), event = 'lease'
          FROM confirmed
         WHERE review.manifest_id = confirmed.id
           AND review.review_after < now() + (SELECT grace / 2 FROM gc_settings WHERE event = 'lease')
    )
    SELECT digest, media_type, size FROM confirmed
    """,
)

_PUT: Final = Statement(
    "manifests_put",
    int,
    """
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, payload)
    SELECT id, :digest, :media_type, :artifact_type, :subject, CAST(:annotations AS jsonb), :payload
      FROM repositories WHERE name = :repository
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

# A child that the repository does not hold becomes a NULL, which the column refuses.
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
     WHERE repositories.name = :repository
     ORDER BY child.id
    ON CONFLICT (parent_id, child_id) DO NOTHING
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

_DELETE_TAGS: Final = Statement(
    "manifests_delete_tags",
    int,
    """
    DELETE FROM tags USING repositories, manifests
     WHERE repositories.name = :repository
       AND manifests.repository_id = repositories.id AND manifests.digest = :digest
       AND tags.manifest_id = manifests.id
    """,
)

_DELETE: Final = Statement(
    "manifests_delete",
    int,
    """
    DELETE FROM manifests USING repositories
     WHERE repositories.name = :repository
       AND manifests.repository_id = repositories.id AND manifests.digest = :digest
    """,
)


def get(db: Database, repository: RepositoryName, reference: Reference) -> StoredManifest | None:
    if isinstance(reference, Tag):
        return db.one_or_none(_GET_BY_TAG(repository=repository, tag=reference))
    return db.one_or_none(_GET_BY_DIGEST(repository=repository, digest=reference))


def confirm(db: Database, repository: RepositoryName, reference: Reference) -> ManifestHead | None:
    """What a HEAD shows. A manifest confirmed by digest then stays for at least half a lease."""
    if isinstance(reference, Tag):
        return db.one_or_none(_HEAD_BY_TAG(repository=repository, tag=reference))
    return db.one_or_none(_CONFIRM(repository=repository, digest=reference))


def put(
    db: Database,
    repository: RepositoryName,
    digest: Digest,
    manifest: Manifest,
    payload: bytes,
    tags: Sequence[Tag],
) -> None:
    """The manifest, its references and its tags, or nothing, in one transaction. Raises ReferenceMissing."""
    calls = _putting(repository, digest, manifest, payload, tags)
    try:
        if not db.batch(calls)[0].count:
            db.batch([*repositories.creating(repository), *calls])
    except Conflict as conflict:
        raise ReferenceMissing(_missing(db, repository, manifest)) from conflict


def _putting(
    repository: RepositoryName, digest: Digest, manifest: Manifest, payload: bytes, tags: Sequence[Tag]
) -> list[Call[Any]]:
    """The same few statements whatever the number of references; those with nothing to do are left out."""
    where = {"repository": repository, "digest": digest}
    calls: list[Call[Any]] = [
        _PUT(
            **where,
            media_type=manifest.media_type,
            artifact_type=manifest.artifact_type,
            subject=manifest.subject.digest if manifest.subject else None,
            annotations=json.dumps(manifest.annotations),
            payload=payload,
        )
    ]
    if manifest.blobs:
        calls.append(_PUT_BLOBS(**where, required=manifest.required_blobs, optional=manifest.optional_blobs))
    if manifest.children:
        calls.append(_PUT_CHILDREN(**where, children=manifest.child_digests))
    if tags:
        calls.append(_PUT_TAGS(**where, tags=sorted(set(tags))))
    return calls


def _missing(db: Database, repository: RepositoryName, manifest: Manifest) -> list[Digest]:
    return db.all(_MISSING_BLOBS(repository=repository, required=manifest.required_blobs)) + db.all(
        _MISSING_CHILDREN(repository=repository, children=manifest.child_digests)
    )


def delete(db: Database, repository: RepositoryName, digest: Digest) -> bool:
    """The manifest and all its tags; False if there is no such manifest. Raises ListedByIndex."""
    where = {"repository": repository, "digest": digest}
    for attempt in range(_ATTEMPTS):
        try:
            return db.batch([_DELETE_TAGS(**where), _DELETE(**where)])[-1].count > 0
        except Conflict as conflict:
            if conflict.constraint == "manifest_children_child":
                raise ListedByIndex from conflict
            # It was tagged between the two statements: take that tag away as well.
            if attempt + 1 == _ATTEMPTS:
                raise
    raise AssertionError  # the last attempt returns or raises
