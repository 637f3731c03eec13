"""Images whose platform is to be read from their configs, and what was found there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class Look:
    """An image to be looked at. `attempts` counts this one too.

    Of its config `object_name` and `size` are None if the repository doesn't hold it.
    """

    manifest_id: int
    attempts: int
    object_name: str | None
    size: int | None


# As deletions are claimed: it puts the next attempt off by 1, 2, 4, … minutes, at most a day, and other collectors pass
# these images by. Only through the repository's own link: a config that it names and may not serve is not read.
_CLAIM: Final = Statement(
    "platforms_claim",
    Look,
    """
    WITH due AS MATERIALIZED (
        SELECT manifest_id FROM platforms
         WHERE look_after <= now()
         ORDER BY look_after
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE platforms
           SET attempts = attempts + 1,
               look_after = now() + least(interval '1 minute' * power(2, least(attempts, 20)), interval '1 day')
          FROM due
         WHERE platforms.manifest_id = due.manifest_id
        RETURNING platforms.manifest_id, platforms.attempts
    )
    SELECT claimed.manifest_id, claimed.attempts, blobs.object_name, blobs.size
      FROM claimed
      JOIN manifests ON manifests.id = claimed.manifest_id
      LEFT JOIN repository_blobs AS link
        ON link.repository_id = manifests.repository_id AND link.digest = manifests.config_digest
      LEFT JOIN blobs ON blobs.digest = link.digest
    """,
    is_hot=True,
)

# What somebody deletes at this moment is passed by, so this waits for nobody; if it stays after all, it comes up again.
_FOUND: Final = Statement(
    "platforms_found",
    int,
    """
    WITH found AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:os AS text[]), CAST(:architectures AS text[]),
                             CAST(:variants AS text[])) AS row (manifest_id, os, architecture, variant)
    ), held AS MATERIALIZED (
        SELECT manifest_id FROM platforms
         WHERE manifest_id = ANY (CAST(:ids AS bigint[]))
           FOR UPDATE SKIP LOCKED
    )
    UPDATE platforms
       SET os = found.os, architecture = found.architecture, variant = found.variant, look_after = NULL
      FROM held JOIN found ON found.manifest_id = held.manifest_id
     WHERE platforms.manifest_id = held.manifest_id
    """,
    is_hot=True,
)


def claim(db: Database, limit: int) -> list[Look]:
    """Claims some that are due. What is not told of comes up again, later each time."""
    return db.all(_CLAIM(limit=limit))


def tell(db: Database, found: Mapping[int, Platform | None]) -> None:
    """Keeps what images run on, by the ids of their manifests. None if that can't be known: nobody looks again."""
    platforms = found.values()
    db.count(
        _FOUND(
            ids=list(found),
            os=[platform and platform.os for platform in platforms],
            architectures=[platform and platform.architecture for platform in platforms],
            variants=[platform and platform.variant for platform in platforms],
        )
    )
