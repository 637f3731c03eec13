"""One tag as GitLab's API shows it: when it was made, its manifest, and whatever that one lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import LARGEST_BYTES

# In one answer: an index may list others, to any depth.
MOST_IMAGES: Final = 100
_LARGEST_PAYLOAD: Final = 512 << 10


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest of a tag; `payload` is None if it is very large, or all of them together are."""

    digest: Digest
    media_type: str
    size: int
    config_digest: Digest | None
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class TagTimes:
    """None of a tag that isn't there."""

    created_at: datetime | None
    published_at: datetime | None
    root: Digest | None


_TIMES: Final = Statement(
    "gitlab_tags_times",
    TagTimes,
    """
    SELECT tags.created_at, tags.updated_at, manifests.digest
      FROM repositories
      LEFT JOIN (tags JOIN manifests ON manifests.id = tags.manifest_id)
        ON tags.repository_id = repositories.id AND tags.name = :tag
     WHERE repositories.name = :repository
    """,
)

_IMAGES: Final = Statement(
    "gitlab_tags_images",
    Image,
    """
    WITH RECURSIVE reached AS (
        SELECT tags.manifest_id AS id
          FROM repositories JOIN tags ON tags.repository_id = repositories.id
         WHERE repositories.name = :repository AND tags.name = :tag
        UNION
        SELECT children.child_id FROM reached JOIN manifest_children AS children ON children.parent_id = reached.id
    )
    SELECT manifests.digest, manifests.media_type, manifests.size, manifests.config_digest,
           CASE WHEN octet_length(manifests.payload) <= CAST(:largest AS integer)
                 AND sum(octet_length(manifests.payload)) OVER (ORDER BY shown.number)
                     <= CAST(:largest_together AS bigint)
                THEN manifests.payload END
      FROM (SELECT id, row_number() OVER () AS number FROM reached LIMIT :most) AS shown
      JOIN manifests ON manifests.id = shown.id
    """,
)


def published_at_of(db: Database, repository: RepositoryName, tag: str) -> datetime | None:
    """Returns when the tag was last pushed; None if it isn't there."""
    found = db.one_or_none(_TIMES(repository=repository, tag=tag))
    return found.published_at if found else None


def images(db: Database, repository: RepositoryName, tag: str) -> tuple[TagTimes | None, dict[Digest, Image]]:
    """Returns when the tag was made, None without the repository; its manifest, and whatever that one lists, by
    digest.
    """
    where = {"repository": repository, "tag": tag}
    bounds = {"largest": _LARGEST_PAYLOAD, "largest_together": LARGEST_BYTES, "most": MOST_IMAGES}
    times, found = db.batch([_TIMES(**where), _IMAGES(**where, **bounds)])
    return next(iter(_TIMES.read(times)), None), {image.digest: image for image in _IMAGES.read(found)}
