"""Tags with all that is known of them: in any order, filtered, in pages whose cost does not grow; and one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.lists.filters import TagFilter
from functions.registry.metadata.lists.keyset import Column, Found, Rows, Walk, walk
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import LARGEST_BYTES

# An index of more bytes than this has its platforms told only where it is asked for by itself; of more referrers than
# this the rest is not counted.
LARGEST_LISTED_INDEX: Final = 32_768
MOST_REFERRERS: Final = 100
MOST_DETAILS: Final = 1000
# What an answer has beside its entries: brackets and cursors.
_LARGEST_PAGE: Final = LARGEST_BYTES - (64 << 10)

_DIGEST: Final = "CASE get_byte($of, 0) WHEN 1 THEN 'sha256:' ELSE 'sha512:' END || encode(substr($of, 2), 'hex')"


def written_digest(of: str) -> str:
    """Writes the digest as text. A NULL stays one."""
    return compose(_DIGEST, of=of)


# By its name, where the background migration `tag_subjects` has not come to it.
_SUBJECT: Final = written_digest("coalesce(tags.subject, tag_subject(tags.name))")

_MANIFEST: Final = compose(
    """'digest', $digest, 'kind', manifests.kind,
               'media_type', manifests.media_type, 'artifact_type', manifests.artifact_type, 'size', manifests.size,
               'config_digest', $config_digest""",
    digest=written_digest("manifests.digest"),
    config_digest=written_digest("manifests.config_digest"),
)

# Of an image, once its config was read; in the form of those of an index.
_OF_IMAGE: Final = """
                   (SELECT CASE WHEN read.os IS NULL THEN CAST('[]' AS json) ELSE json_build_array(json_build_object(
                           'os', read.os, 'architecture', read.architecture, 'variant', read.variant)) END
                      FROM platforms AS read WHERE read.manifest_id = manifests.id AND read.look_after IS NULL)"""

# As it lies in the payload.
_PLATFORMS: Final = compose(
    """
               CASE WHEN manifests.kind = 'image' THEN $of_image
                    WHEN manifests.kind = 'index' AND octet_length(manifests.payload) <= $largest THEN
                   (SELECT json_agg(listed.entry -> 'platform')
                      FROM (SELECT manifest_document(manifests.payload) -> 'manifests' AS entries) AS document
                     CROSS JOIN LATERAL json_array_elements(
                           CASE json_typeof(document.entries) WHEN 'array' THEN document.entries ELSE '[]' END
                           ) AS listed (entry)) END""",
    of_image=_OF_IMAGE,
    largest=str(LARGEST_LISTED_INDEX),
)

_LIST: Final = """
    WITH repository AS MATERIALIZED (
        SELECT id FROM repositories WHERE name = :repository
    ), walked AS (
        SELECT $key AS key, tags.name, tags.manifest_id, tags.size, tags.created_at, tags.updated_at, tags.pulled_at,
               tags.pulls, $subject AS subject
          FROM tags
         WHERE tags.repository_id = (SELECT id FROM repository) AND $here
         ORDER BY $order
         LIMIT :reach
    ), page AS (
        SELECT walked.key, walked.name, json_build_object(
               'name', walked.name, $manifest, 'platforms', $platforms,
               'created_at', walked.created_at, 'pushed_at', walked.updated_at,
               'pulled_at', nullif(walked.pulled_at, '-infinity'), 'pulls', walked.pulls, 'subject', walked.subject,
               'referrers', (SELECT coalesce(json_object_agg(counted.kind, counted.count ORDER BY counted.kind), '{}')
                               FROM (SELECT chosen.kind, count(*) AS count
                                       FROM (SELECT referrers.kind FROM manifests AS referrers
                                              WHERE referrers.repository_id = manifests.repository_id
                                                AND referrers.subject = manifests.digest
                                              LIMIT $most_referrers) AS chosen
                                      GROUP BY chosen.kind) AS counted)) AS item
          FROM walked
         CROSS JOIN LATERAL (SELECT * FROM manifests WHERE manifests.id = walked.manifest_id OFFSET 0) AS manifests
         WHERE strpos(walked.name, :name) > 0
           AND (CAST(:kind AS text) IS NULL OR manifests.kind = :kind)
         ORDER BY walked.key $way, walked.name $way
         LIMIT :size
    ), measured AS (
        SELECT page.*, row_number() OVER rows AS number, sum(octet_length(item::text)) OVER rows AS bytes
          FROM page WINDOW rows AS (ORDER BY key $way, name $way)
    ), cut AS (
        SELECT key, name, CASE WHEN number = 1 OR bytes <= $largest THEN item END AS item
          FROM measured WHERE number <= 2 OR bytes - octet_length(item::text) <= $largest
    )
    SELECT (SELECT coalesce(json_agg(json_build_array(key, name, item) ORDER BY key $way, name $way), '[]') FROM cut),
           CASE WHEN (SELECT count(*) FROM page) < :size THEN
                (SELECT json_build_array(key, name) FROM walked
                  ORDER BY key $way, name $way OFFSET :reach - 1 LIMIT 1) END
      FROM repository
"""

COLUMNS: Final = {
    "name": Column("tags.name", "text", None, "text"),
    "size": Column("tags.size", "bigint", "tags.name", "text"),
    "pushed": Column("tags.updated_at", "timestamptz", "tags.name", "text"),
    "pulled": Column("tags.pulled_at", "timestamptz", "tags.name", "text"),
    "pulls": Column("tags.pulls", "bigint", "tags.name", "text"),
}


def _listing(order: str, *, descending: bool) -> Statement[Rows]:
    parts = {"manifest": _MANIFEST, "platforms": _PLATFORMS, "most_referrers": str(MOST_REFERRERS)}
    parts |= {"largest": str(_LARGEST_PAGE), "subject": _SUBJECT}
    sql = COLUMNS[order].walk(_LIST, descending=descending, **parts)
    return Statement(f"tag_details_by_{order}_{'down' if descending else 'up'}", Rows, sql)


_LISTS: Final = {
    (order, descending): _listing(order, descending=descending) for order in COLUMNS for descending in (False, True)
}


@dataclass(frozen=True, slots=True)
class ManifestDetails:
    """`shown` is what a list shows of it, and more. `sizes` are the bytes to pull of what an index lists, by digest.

    `referrers` are at most a thousand.
    """

    shown: dict[str, Any]
    payload: bytes
    sizes: dict[str, int]
    referrers: list[dict[str, Any]]


_REST: Final = compose(
    """manifests.payload,
           (SELECT coalesce(json_object_agg($child_digest, child.size), '{}')
              FROM manifest_children JOIN manifests AS child ON child.id = manifest_children.child_id
             WHERE manifest_children.parent_id = manifests.id),
           (SELECT coalesce(json_agg(json_build_object('digest', $digest, 'kind', chosen.kind,
                                                       'artifact_type', chosen.artifact_type)), '[]')
              FROM (SELECT referrers.digest, referrers.kind, referrers.artifact_type FROM manifests AS referrers
                     WHERE referrers.repository_id = manifests.repository_id AND referrers.subject = manifests.digest
                     ORDER BY referrers.digest
                     LIMIT $most) AS chosen)""",
    child_digest=written_digest("child.digest"),
    digest=written_digest("chosen.digest"),
    most=str(MOST_DETAILS),
)

_OF_TAG: Final = Statement(
    "tag_details_of_tag",
    ManifestDetails,
    compose(
        """
    SELECT json_build_object('name', tags.name, $manifest, 'platforms', $platforms,
                             'created_at', tags.created_at, 'pushed_at', tags.updated_at,
                             'pulled_at', nullif(tags.pulled_at, '-infinity'), 'pulls', tags.pulls,
                             'subject', $subject),
           $rest
      FROM repositories
      JOIN tags ON tags.repository_id = repositories.id
      JOIN manifests ON manifests.id = tags.manifest_id
     WHERE repositories.name = :repository AND tags.name = :tag
    """,
        manifest=_MANIFEST,
        platforms=_OF_IMAGE,
        subject=_SUBJECT,
        rest=_REST,
    ),
)

_OF_DIGEST: Final = Statement(
    "tag_details_of_digest",
    ManifestDetails,
    compose(
        """
    SELECT json_build_object($manifest, 'platforms', $platforms, 'pushed_at', manifests.pushed_at,
           'tags', (SELECT coalesce(json_agg(json_build_object(
                                    'name', chosen.name, 'created_at', chosen.created_at,
                                    'pushed_at', chosen.updated_at, 'pulled_at', nullif(chosen.pulled_at, '-infinity'),
                                    'pulls', chosen.pulls) ORDER BY chosen.name), '[]')
                      FROM (SELECT * FROM tags WHERE tags.manifest_id = manifests.id LIMIT $most) AS chosen)),
           $rest
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
     WHERE repositories.name = :repository AND manifests.digest = :digest
    """,
        manifest=_MANIFEST,
        platforms=_OF_IMAGE,
        rest=_REST,
        most=str(MOST_DETAILS),
    ),
)


def page(db: Database, repository: RepositoryName, order: str, part: Walk, wanted: TagFilter) -> Found | None:
    """Returns None if there is no such repository."""
    return walk(db, paging(repository, order, part, wanted), part.size)


def paging(repository: RepositoryName, order: str, part: Walk, wanted: TagFilter) -> Call[Rows]:
    """Returns what `page` asks, for a batch."""
    values = {"repository": repository, "name": wanted.name or "", "kind": wanted.kind}
    return _LISTS[order, part.descending](**values, **part.values(COLUMNS[order]))


def one(db: Database, repository: RepositoryName, reference: Tag | Digest) -> ManifestDetails | None:
    return db.one_or_none(reading(repository, reference))


def reading(repository: RepositoryName, reference: Tag | Digest) -> Call[ManifestDetails]:
    """Returns what `one` asks, for a batch."""
    if isinstance(reference, Digest):
        return _OF_DIGEST(repository=repository, digest=reference)
    return _OF_TAG(repository=repository, tag=reference)
