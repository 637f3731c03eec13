"""What the listing of a source shows: its repositories and their tags, before anything of them is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Session, Statement
from functions.registry.metadata.imports.vocabulary import ListedTag, RepositoryState


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """`path` is its name there, `name` the one that it gets here, None if it can't have one.

    `objects` and `newest` tell whether anything of it has changed.
    """

    path: str
    name: str | None
    tags: Sequence[ListedTag]
    manifests: int
    links: int
    objects: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """`is_taken`: another source, or another path of this one, has the name already."""

    path: str
    state: RepositoryState
    is_taken: bool


# A name belongs to whoever came first. What is imported already keeps its figures: they are what its last comparison
# saw, and another one is due if they differ; or if somebody is at work on it, who may have listed it before it changed.
_PUT: Final = Statement(
    "imports_put_listed",
    Known,
    """
    WITH listed AS MATERIALIZED (
        SELECT listed.*, EXISTS (SELECT FROM import_repositories AS other
                                  WHERE other.name = listed.name
                                    AND (other.source_id, other.path) <> (:source_id, listed.path)) AS is_taken
          FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[]), CAST(:tags AS bigint[]),
                      CAST(:manifests AS bigint[]), CAST(:links AS bigint[]), CAST(:objects AS bigint[]),
                      CAST(:oldest AS timestamptz[]), CAST(:newest AS timestamptz[]))
               AS listed (path, name, tags, manifests, links, objects, oldest, newest)
    ), put AS (
        INSERT INTO import_repositories AS known (
            source_id, path, name, state, tags, manifests, links, objects, oldest, newest, due_at)
        SELECT :source_id, path, CASE WHEN NOT is_taken THEN name END,
               CASE WHEN is_taken OR name IS NULL THEN 'refused' ELSE 'listed' END,
               tags, manifests, links, objects, oldest, newest,
               CASE WHEN NOT is_taken AND name IS NOT NULL THEN CAST(:due_at AS timestamptz) END
          FROM listed
         WHERE NOT EXISTS (SELECT FROM import_repositories AS here
                            WHERE here.source_id = :source_id AND here.path = listed.path
                              AND here.state NOT IN ('listed', 'importing', 'refused'))
         ORDER BY path
        ON CONFLICT (source_id, path) DO UPDATE
           SET tags = excluded.tags, manifests = excluded.manifests, links = excluded.links,
               objects = excluded.objects, oldest = excluded.oldest, newest = excluded.newest,
               due_at = CASE WHEN known.lease_until > now() THEN now() ELSE known.due_at END
         WHERE known.state IN ('listed', 'importing', 'refused')
           AND (known.lease_until > now()
                OR (known.objects, known.newest) IS DISTINCT FROM (excluded.objects, excluded.newest))
    ), due AS (
        UPDATE import_repositories AS known SET due_at = now()
          FROM listed
         WHERE known.source_id = :source_id AND known.path = listed.path
           AND known.state = 'imported'
           AND (known.lease_until > now()
                OR known.due_at IS NULL
                   AND (known.objects, known.newest) IS DISTINCT FROM (listed.objects, listed.newest))
    )
    SELECT listed.path,
           coalesce(known.state, CASE WHEN is_taken OR listed.name IS NULL THEN 'refused' ELSE 'listed' END),
           listed.is_taken
      FROM listed LEFT JOIN import_repositories AS known ON known.source_id = :source_id AND known.path = listed.path
    """,
    is_hot=True,
)

# Only forward, whoever comes late; and not where the tags are what is compared with. Repositories are looked up one by
# one: for the planner, whose figures are older, a source has so few that it reads them all for each tag.
_PUT_TAGS: Final = Statement(
    "imports_put_listed_tags",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at)
    SELECT known.id, listed.name, listed.digest, listed.generation, listed.created_at, listed.updated_at
      FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[]), CAST(:digests AS bytea[]),
                  CAST(:generations AS bigint[]), CAST(:created AS timestamptz[]), CAST(:updated AS timestamptz[]))
           AS listed (path, name, digest, generation, created_at, updated_at)
     CROSS JOIN LATERAL (SELECT id FROM import_repositories AS old
                          WHERE old.source_id = :source_id AND old.path = listed.path
                            AND old.state IN ('listed', 'importing')
                         OFFSET 0) AS known
     ORDER BY known.id, listed.name
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, created_at = excluded.created_at,
           updated_at = excluded.updated_at
     WHERE base.state = 'listed' AND excluded.generation > base.generation
    """,
    is_hot=True,
)


# Of the repositories that sort there, by the names of what they hold, those that were not listed. Whoever is at work on
# one may have listed it before.
_NOTE_VANISHED: Final = Statement(
    "imports_note_vanished",
    int,
    """
    UPDATE import_repositories SET due_at = now()
     WHERE source_id = :source_id AND (path || '/_') COLLATE "C" > :after
       AND (CAST(:upto AS text) IS NULL OR (path || '/_') COLLATE "C" <= :upto)
       AND state = 'imported' AND (due_at IS NULL AND objects > 0 OR lease_until > now())
       AND NOT path = ANY (CAST(:paths AS text[]))
    """,
)


def note_vanished(session: Session, source_id: int, paths: Sequence[str], after: str, upto: str | None) -> None:
    """Between two names all repositories of the source were listed, and these are they: any other is to be compared."""
    session.count(_NOTE_VANISHED(source_id=source_id, paths=list(paths), after=after, upto=upto))


def put(session: Session, source_id: int, listed: Sequence[ListedRepository], due_at: datetime) -> list[Known]:
    """Notes them, each path once. `due_at` is when they are to be imported; small ones first."""
    if not listed:
        return []
    known = session.all(
        _PUT(
            source_id=source_id,
            paths=[each.path for each in listed],
            names=[each.name for each in listed],
            tags=[len(each.tags) for each in listed],
            manifests=[each.manifests for each in listed],
            links=[each.links for each in listed],
            objects=[each.objects for each in listed],
            oldest=[each.oldest for each in listed],
            newest=[each.newest for each in listed],
            due_at=due_at,
        )
    )
    tags = [(each.path, tag) for each in listed for tag in each.tags]
    if tags:
        session.count(
            _PUT_TAGS(
                source_id=source_id,
                paths=[path for path, _ in tags],
                **columns([tag for _, tag in tags]),
            )
        )
    return known


def columns(tags: Sequence[ListedTag]) -> dict[str, Any]:
    """Returns tags as the arrays that statements take."""
    return {
        "names": [tag.name for tag in tags],
        "digests": [tag.digest for tag in tags],
        "generations": [tag.generation for tag in tags],
        "created": [tag.created_at for tag in tags],
        "updated": [tag.updated_at for tag in tags],
    }
