"""Tags with all that GitLab's API shows of them in a list: in pages by name or time of publishing, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Database, Statement, compose
from functions.registry.metadata.gitlab.pages import By, Marker, TagPage
from functions.registry.metadata.gitlab.tag_images import published_at_of
from functions.registry.metadata.lists.keyset import Column, Position, Walk
from functions.registry.metadata.lists.tags import COLUMNS
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import LARGEST_BYTES

# Of one tag, in a list.
MOST_REFERRERS: Final = 100
# What an answer has beside its entries is little.
_LARGEST_PAGE: Final = LARGEST_BYTES - (64 << 10)


@dataclass(frozen=True, slots=True)
class TagDetails:
    """`size` is all it takes to pull, in bytes; `referrers` are pairs of an artifact type and a digest."""

    name: str
    digest: Digest
    config_digest: Digest | None
    media_type: str
    size: int
    created_at: datetime
    published_at: datetime
    referrers: tuple[tuple[str, Digest], ...] = ()

    @property
    def has_moved(self) -> bool:
        return self.published_at != self.created_at

    @property
    def marker(self) -> Marker:
        return Marker(self.name, self.published_at)


@dataclass(frozen=True, slots=True)
class FoundTags:
    """A page, and whether more come before and after it."""

    tags: list[TagDetails]
    has_previous: bool
    has_next: bool


@dataclass(frozen=True, slots=True)
class _Page:
    tags: list[list[Any] | None]
    has_behind: bool


# Of `tags` and the `manifests` that they name. Digests are as they are stored.
_SHOWN: Final = compose(
    """
    json_build_array(
        tags.name, encode(manifests.digest, 'hex'), encode(manifests.config_digest, 'hex'), manifests.media_type,
        tags.size, tags.created_at, tags.updated_at,
        CASE WHEN CAST(:with_referrers AS boolean) THEN
             (SELECT json_agg(json_build_array(coalesce(shown.artifact_type, ''), encode(shown.digest, 'hex')))
                FROM (SELECT referrer.artifact_type, referrer.digest
                        FROM manifests AS referrer
                       WHERE referrer.repository_id = manifests.repository_id AND referrer.subject = manifests.digest
                         AND (CAST(:kinds AS text[]) = '{}'
                              OR lower(referrer.artifact_type) = ANY (CAST(:kinds AS text[])))
                       ORDER BY referrer.digest
                       LIMIT $most_referrers) AS shown)
        END)""",
    most_referrers=str(MOST_REFERRERS),
)

# Those beyond the marker in one direction, one more than the page holds; and whether any lie on its other side.
#
# Only the index is read until the page is full, and then each tag by itself: a LATERAL with an OFFSET stays a loop,
# where a join might read all tags. A part of a name can't be looked up: what is passed over on the way is read, there.
# The first entry that doesn't fit on the page any more is null.
_PAGE: Final = """
    SELECT coalesce(page.found, '[]'),
           CAST(:has_marker AS boolean) AND EXISTS (
               SELECT FROM tags WHERE tags.repository_id = repositories.id AND $before_first AND $has_part)
      FROM repositories
     CROSS JOIN LATERAL (
           SELECT json_agg(CASE WHEN number = 1 OR bytes <= $largest THEN shown END ORDER BY number) AS found,
                  (array_agg(name ORDER BY number))[1] AS first_name,
                  (array_agg(updated_at ORDER BY number))[1] AS first_published_at
             FROM (SELECT tags.*, row_number() OVER rows AS number, sum(octet_length(shown::text)) OVER rows AS bytes
                     FROM (SELECT tags.name, tags.updated_at, $shown AS shown
                             FROM (SELECT tags.name FROM tags
                                    WHERE tags.repository_id = repositories.id AND $here AND $has_part
                                    ORDER BY $order
                                    LIMIT :size) AS listed
                            CROSS JOIN LATERAL (
                                  SELECT * FROM tags WHERE tags.repository_id = repositories.id
                                                       AND tags.name = listed.name OFFSET 0) AS tags
                            CROSS JOIN LATERAL (
                                  SELECT * FROM manifests WHERE manifests.id = tags.manifest_id OFFSET 0) AS manifests
                          ) AS tags
                   WINDOW rows AS (ORDER BY $order)) AS measured
            WHERE number <= 2 OR bytes - octet_length(shown::text) <= $largest
           ) AS page
     WHERE repositories.name = :repository
"""
_HAS_PART: Final = "(CAST(:part AS text) = '' OR strpos(tags.name, :part) > 0)"

# Each order, and the first entry of a page in it.
_ORDERS: Final[dict[By, tuple[Column, tuple[str, str]]]] = {
    "name": (COLUMNS["name"], ("page.first_name", "")),
    "published_at": (COLUMNS["pushed"], ("page.first_published_at", "page.first_name")),
}


def _listing(by: By, *, descending: bool) -> Statement[_Page]:
    column, first = _ORDERS[by]
    parts = {"shown": _SHOWN, "has_part": _HAS_PART, "largest": str(_LARGEST_PAGE)}
    before_first = column.behind(*first, descending=not descending)
    sql = column.walk(_PAGE, descending=descending, before_first=before_first, **parts)
    return Statement(f"gitlab_tags_by_{by}_{'down' if descending else 'up'}", _Page, sql)


_PAGES: Final = {
    (by, descending): _listing(by, descending=descending) for by in _ORDERS for descending in (False, True)
}

_ONE: Final = Statement(
    "gitlab_tags_one",
    list,
    compose(
        """
    SELECT coalesce((SELECT json_agg($shown)
                       FROM tags JOIN manifests ON manifests.id = tags.manifest_id
                      WHERE tags.repository_id = repositories.id AND tags.name = :tag), '[]')
      FROM repositories
     WHERE repositories.name = :repository
    """,
        shown=_SHOWN,
    ),
)


def find_page(db: Database, repository: RepositoryName, page: TagPage) -> FoundTags | None:
    """Returns None if there is no such repository. A name as a marker among times stands for the tag that has it."""
    column, _ = _ORDERS[page.order.by]
    marker = page.before or page.last
    after = None if marker is None else _position(db, repository, page, marker)
    found = db.one_or_none(
        _PAGES[page.order.by, page.is_backwards](
            repository=repository,
            has_marker=marker is not None,
            part=page.part,
            with_referrers=page.referrers is not None,
            kinds=list(page.referrers or ()),
            **Walk(page.is_backwards, page.size, after).values(column),
        )
    )
    if found is None:
        return None
    shown = [_read(each) for each in found.tags[: page.size] if each is not None]
    has_beyond = len(found.tags) > len(shown)
    if page.before is not None:
        return FoundTags(shown[::-1], has_previous=has_beyond, has_next=found.has_behind)
    return FoundTags(shown, has_previous=found.has_behind, has_next=has_beyond)


def _position(db: Database, repository: RepositoryName, page: TagPage, marker: Marker) -> Position:
    if page.order.by == "name":
        return marker.name, marker.name
    published_at = marker.published_at or published_at_of(db, repository, marker.name)
    if published_at is None:
        return "infinity" if page.is_backwards else "-infinity", marker.name
    return published_at.isoformat(), marker.name


def find_one(
    db: Database, repository: RepositoryName, tag: str, referrers: tuple[str, ...] | None
) -> list[TagDetails] | None:
    """Returns None if there is no such repository, an empty list if it has no such tag."""
    types = list(referrers or ())
    call = _ONE(repository=repository, tag=tag, with_referrers=referrers is not None, kinds=types)
    found = db.one_or_none(call)
    return None if found is None else [_read(each) for each in found]


def _read(row: list[Any]) -> TagDetails:
    name, digest, config_digest, media_type, size, created_at, published_at, referrers = row
    return TagDetails(
        name=name,
        digest=_digest(digest),
        config_digest=_digest(config_digest) if config_digest else None,
        media_type=media_type,
        size=size,
        created_at=datetime.fromisoformat(created_at),
        published_at=datetime.fromisoformat(published_at),
        referrers=tuple((kind, _digest(referrer)) for kind, referrer in referrers or ()),
    )


def _digest(stored: str) -> Digest:
    return Digest.from_bytes(bytes.fromhex(stored))
