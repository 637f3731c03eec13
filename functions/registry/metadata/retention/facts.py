"""What verdicts go by, read in pages of one row each: the driver takes long for many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Session, Statement, compose
from functions.registry.oci.name import RepositoryName


@dataclass(frozen=True, slots=True)
class Situation:
    """A repository now: which policy decides, and whether another registry still does.

    `now` is the transaction's time, in microseconds since 1970.
    """

    id: int
    name: str
    policy_id: int | None
    is_followed: bool
    now: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk from the newest tag to the oldest has come to: the last tag that was seen."""

    pushed_at: int
    tag: str


# Before the first: no tag was pushed so late.
START: Final = Place(253_402_300_799_000_000, "")

_ID: Final = Statement("retention_repository", int, "SELECT id FROM repositories WHERE name = :repository")

_SITUATIONS: Final = Statement(
    "retention_situations",
    Situation,
    """
    SELECT repositories.id, repositories.name, retention_policy_of(repositories.name), is_followed(repositories.name),
           microseconds(now())
      FROM repositories
     WHERE repositories.id = ANY (CAST(:ids AS bigint[]))
    """,
)

# Name, manifest, pushed, pulled, size, what a tag rule says against the removal, pinned until, digest.
_FACTS: Final = """json_build_array(
               tags.name, tags.manifest_id, microseconds(tags.updated_at), microseconds(tags.pulled_at), tags.size,
               coalesce(tag_refusal(repositories.name, tags.name, false, 0),
                        deletion_refusal(repositories.name, tags.name, 0)),
               CASE WHEN tags.restored_at IS NOT NULL THEN
                    microseconds(tags.restored_at + greatest(undo_window(tags.repository_id), interval '1 day')) END,
               digest_text(manifests.digest))"""

_OF_TAGS: Final = Statement(
    "retention_facts_of_tags",
    list,
    compose(
        """
    SELECT coalesce(json_agg(json_build_array(tags.repository_id, $facts)), '[]')
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[])) AS asked (repository_id, tag)
      JOIN tags ON tags.repository_id = asked.repository_id AND tags.name = asked.tag
      JOIN manifests ON manifests.id = tags.manifest_id
      JOIN repositories ON repositories.id = tags.repository_id
    """,
        facts=_FACTS,
    ),
)

_PAGE: Final = Statement(
    "retention_facts_page",
    list,
    compose(
        """
    SELECT coalesce(json_agg($facts ORDER BY tags.updated_at DESC, tags.name DESC), '[]')
      FROM (SELECT * FROM tags
             WHERE repository_id = :id AND (updated_at, name) < (moment_of(:pushed_at), CAST(:tag AS text))
             ORDER BY updated_at DESC, name DESC
             LIMIT :size) AS tags
      JOIN manifests ON manifests.id = tags.manifest_id
      JOIN repositories ON repositories.id = tags.repository_id
    """,
        facts=_FACTS,
    ),
)

# Of several repositories at once the newest tags: name, manifest, pushed. `OFFSET 0` as in docs/sql.md.
_NEWEST: Final = Statement(
    "retention_newest",
    list,
    """
    SELECT coalesce(json_agg(json_build_array(asked.id, page.entries)), '[]')
      FROM unnest(CAST(:ids AS bigint[]), CAST(:pushed_ats AS bigint[]), CAST(:tags AS text[]),
                  CAST(:sizes AS bigint[])) AS asked (id, pushed_at, tag, size)
     CROSS JOIN LATERAL (
        SELECT json_agg(json_build_array(name, manifest_id, microseconds(updated_at))
                        ORDER BY updated_at DESC, name DESC) AS entries
          FROM (SELECT name, manifest_id, updated_at
                  FROM tags
                 WHERE repository_id = asked.id AND (updated_at, name) < (moment_of(asked.pushed_at), asked.tag)
                 ORDER BY updated_at DESC, name DESC
                 LIMIT asked.size) AS newest OFFSET 0) AS page
     WHERE page.entries IS NOT NULL
    """,
)


def id_of(session: Session, repository: RepositoryName) -> int | None:
    return session.one_or_none(_ID(repository=repository))


def situations(session: Session, repository_ids: list[int]) -> dict[int, Situation]:
    """Returns, by their ids, those repositories that are there."""
    return {each.id: each for each in session.all(_SITUATIONS(ids=repository_ids))}


def of_tags(session: Session, repository_ids: list[int], tags: list[str]) -> list[tuple[int, list[Any]]]:
    """Returns repository and facts of those tags that are there."""
    found: list[Any] = session.one_or_none(_OF_TAGS(repository_ids=repository_ids, tags=tags)) or []
    return [(repository_id, entry) for repository_id, entry in found]


def page(session: Session, repository_id: int, after: Place, size: int) -> list[list[Any]]:
    """Returns the facts of the next tags of a repository, the newest first."""
    call = _PAGE(id=repository_id, pushed_at=after.pushed_at, tag=after.tag, size=size)
    return session.one_or_none(call) or []


def newest(session: Session, wanted: dict[int, tuple[Place, int]]) -> dict[int, list[list[Any]]]:
    """Returns, by repository, the next tags behind each place, as many as are asked for; none where there are none."""
    places = list(wanted.values())
    call = _NEWEST(
        ids=list(wanted),
        pushed_ats=[place.pushed_at for place, _ in places],
        tags=[place.tag for place, _ in places],
        sizes=[size for _, size in places],
    )
    pairs: Any = session.one_or_none(call) or []
    return dict(pairs)
