"""Referrers: manifests whose subject is a given digest, whether or not that is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Referrer:
    """What a referrers list shows; `size` is the manifest's, in bytes."""

    digest: Digest
    media_type: str
    artifact_type: str | None
    size: int
    annotations: dict[str, str]


_LIST: Final = Statement(
    "referrers_list",
    Referrer,
    """
    SELECT manifests.digest, manifests.media_type, manifests.artifact_type, octet_length(manifests.payload),
           manifests.annotations
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.subject = :subject AND manifests.digest > :last
       AND (CAST(:artifact_type AS text) IS NULL OR manifests.artifact_type = :artifact_type)
     ORDER BY manifests.digest
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
            artifact_type=artifact_type,
            last=last if last is not None else b"",
            size=size + 1,
        )
    )
