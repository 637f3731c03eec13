"""Referrers: manifests whose subject is a given digest, whether or not that is here.

Clients older than the referrers list kept one of their own: an index under a tag made from the digest. What such an
index lists needs no looking for: a manifest that has the digest as its `subject` is found by that, and any other is no
referrer (distribution-spec, "Enabling the Referrers API").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import LARGEST_BYTES


@dataclass(frozen=True, slots=True)
class Referrer:
    """It is what a referrers list shows; `size` is the manifest's, in bytes.

    The annotations stay an object in JSON: they may be megabytes, and nobody here looks into them.

    One that doesn't fit on the page any more comes without what is large: it says that there are others.
    """

    digest: Digest
    media_type: str
    artifact_type: str | None
    size: int
    annotations: str | None
    fits: bool


# An entry has as many bytes beside its annotations and its types, and a list beside its entries, at most.
_FRAME_BYTES: Final = 512

# One after the other, for the annotations of each are read to find out where the page ends, and none beyond it.
_LIST: Final = Statement(
    "referrers_list",
    Referrer,
    """
    WITH RECURSIVE repository AS MATERIALIZED (
        SELECT id FROM repositories WHERE name = :repository
    ), page AS (
        SELECT 0 AS number, CAST(:last AS bytea) AS digest, CAST('' AS text) AS media_type,
               CAST(NULL AS text) AS artifact_type, 0 AS size, CAST(NULL AS text) AS annotations,
               CAST(:frame AS bigint) AS bytes
        UNION ALL
        SELECT page.number + 1, next.digest, next.media_type, next.artifact_type, next.size, next.annotations,
               page.bytes + next.bytes
          FROM page
         CROSS JOIN LATERAL (
               SELECT manifests.digest, manifests.media_type, manifests.artifact_type,
                      octet_length(manifests.payload) AS size, written.annotations,
                      octet_length(written.annotations) + :frame
                      + 2 * octet_length(concat(manifests.media_type, manifests.artifact_type)) AS bytes
                 FROM manifests
                CROSS JOIN LATERAL (SELECT manifests.annotations::text OFFSET 0) AS written (annotations)
                WHERE manifests.repository_id = (SELECT id FROM repository)
                  AND manifests.subject = :subject AND manifests.digest > page.digest
                  AND (CAST(:artifact_type AS text) IS NULL OR lower(manifests.artifact_type) = lower(:artifact_type))
                ORDER BY manifests.digest
                LIMIT 1) AS next
         WHERE page.number <= CAST(:size AS int) AND (page.number <= 1 OR page.bytes <= CAST(:most AS bigint))
    ), shown AS (
        SELECT page.*, page.number <= CAST(:size AS int) AND (page.number = 1 OR page.bytes <= CAST(:most AS bigint))
                       AS fits
          FROM page WHERE page.number > 0
    )
    SELECT digest, media_type, CASE WHEN fits THEN artifact_type END, size,
           CASE WHEN fits THEN nullif(annotations, '{}') END, fits
      FROM shown
     ORDER BY number
    """,
    is_hot=True,
)


def list_referrers(
    db: Database, repository: RepositoryName, subject: Digest, artifact_type: str | None, last: Digest | None, size: int
) -> tuple[list[Referrer], bool]:
    """Returns at most `size` of those that come after `last`, and no more than a page holds; and whether there are
    others.
    """
    found = db.all(
        _LIST(
            repository=repository,
            subject=subject,
            artifact_type=artifact_type,
            last=last if last is not None else b"",
            size=size,
            most=LARGEST_BYTES,
            frame=_FRAME_BYTES,
        )
    )
    shown = [referrer for referrer in found if referrer.fits]
    return shown, len(shown) < len(found)
