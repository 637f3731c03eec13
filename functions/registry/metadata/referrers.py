"""Referrers: manifests whose subject is a given digest, whether or not that is here.

Clients older than the referrers list kept one of their own: an index under a tag made from the digest. What such an
index lists counts as well, if it names no subject itself (distribution-spec, "Referrers Tag Schema").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.name import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class Referrer:
    """What a referrers list shows; `size` is the manifest's, in bytes."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    size: int
    annotations: dict[str, str]


# Both halves read at most a page, in order; no manifest is in both, since only one of them takes those with a subject.
_LIST: Final = Statement(
    "referrers_list",
    Referrer,
    """
    (SELECT manifests.digest, manifests.media_type, manifests.artifact_type,
            octet_length(manifests.payload), manifests.annotations
       FROM repositories
       JOIN manifests ON manifests.repository_id = repositories.id
      WHERE repositories.name = :repository AND manifests.subject = :subject AND manifests.digest > :last
        AND (CAST(:artifact_type AS text) IS NULL OR manifests.artifact_type = :artifact_type)
      ORDER BY manifests.digest
      LIMIT :size)
    UNION ALL
    (SELECT listed.digest, listed.media_type, listed.artifact_type,
            octet_length(listed.payload), listed.annotations
       FROM repositories
       JOIN tags ON tags.repository_id = repositories.id
       JOIN manifests AS listing ON listing.id = tags.manifest_id
       JOIN manifest_children ON manifest_children.parent_id = listing.id
       JOIN manifests AS listed ON listed.id = manifest_children.child_id
      WHERE repositories.name = :repository AND tags.name = :fallback_tag AND listing.media_type = :index
        AND listed.subject IS NULL AND listed.digest > :last
        AND (CAST(:artifact_type AS text) IS NULL OR listed.artifact_type = :artifact_type)
      ORDER BY listed.digest
      LIMIT :size)
     ORDER BY digest
     LIMIT :size
    """,
)


def list_referrers(
    db: Database, repository: RepositoryName, subject: Digest, artifact_type: str | None, last: Digest | None, size: int
) -> list[Referrer]:
    """Those that come after `last`; one more than `size`, if there are more."""
    return db.all(
        _LIST(
            repository=repository,
            subject=subject,
            fallback_tag=fallback_tag(subject),
            index=OCI_INDEX,
            artifact_type=artifact_type,
            last=last if last is not None else b"",
            size=size + 1,
        )
    )


def fallback_tag(subject: Digest) -> Tag:
    """Where older clients kept the list for `subject`: at most 64 digits of the hash go into the name."""
    return Tag(f"{subject.algorithm}-{subject.hex[:64]}")
