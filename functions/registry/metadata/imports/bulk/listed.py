"""What the listing of a source shows: its repositories and their tags, before anything of them is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Session, Statement
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
)

# Only forward, whoever comes late; and not where the tags are what is compared with.
_PUT_TAGS: Final = Statement(
    "imports_put_listed_tags",
    int,
    """
    INSERT INTO import_tags AS base (import_id, name, digest, generation, created_at, updated_at)
    SELECT known.id, listed.name, listed.digest, listed.generation, listed.created_at, listed.updated_at
      FROM unnest(CAST(:paths AS text[]), CAST(:names AS text[]), CAST(:digests AS bytea[]),
                  CAST(:generations AS bigint[]), CAST(:created AS timestamptz[]), CAST(:updated AS timestamptz[]))
           AS listed (path, name, digest, generation, created_at, updated_at)
      JOIN import_repositories AS known
        ON known.source_id = :source_id AND known.path = listed.path AND known.state IN ('listed', 'importing')
     ORDER BY known.id, listed.name
    ON CONFLICT (import_id, name) DO UPDATE
       SET digest = excluded.digest, generation = excluded.generation, created_at = excluded.created_at,
           updated_at = excluded.updated_at
     WHERE base.state = 'listed' AND excluded.generation > base.generation
    """,
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


@dataclass(frozen=True, slots=True)
class Range:
    """A piece of the listing, claimed under the number `lease`."""

    id: int
    source_id: int
    tree: str
    start: str
    stop: str | None
    cursor: str
    lease: int
    attempts: int


# The whole of a tree begins with no name; whoever claims it may cut it into pieces.
_ADD_WHOLE: Final = Statement(
    "imports_add_whole_ranges",
    int,
    """
    INSERT INTO import_ranges (source_id, tree, start)
    SELECT :source_id, asked.tree, '' FROM unnest(CAST(:trees AS text[])) AS asked (tree)
     WHERE NOT EXISTS (SELECT FROM import_ranges AS known
                        WHERE known.source_id = :source_id AND known.tree = asked.tree)
     ORDER BY asked.tree
    ON CONFLICT (source_id, tree, start) DO NOTHING
    """,
)

# What is being listed may be past what has changed since: once that is over, another pass comes.
_NOTE_AGAIN: Final = Statement(
    "imports_note_again",
    int,
    """
    UPDATE import_sources SET options = options || '{"again": true}'
     WHERE id = :source_id AND NOT options ? 'again'
       AND EXISTS (SELECT FROM import_ranges
                    WHERE import_ranges.source_id = :source_id AND tree = 'repositories' AND lease > 0)
    """,
)

_LIST_AGAIN: Final = Statement(
    "imports_list_again",
    int,
    """
    WITH asked AS (
        UPDATE import_sources SET options = options - 'again'
         WHERE id = :source_id AND options ? 'again'
           AND NOT EXISTS (SELECT FROM import_ranges
                            WHERE import_ranges.source_id = :source_id AND tree = 'repositories')
        RETURNING id
    )
    INSERT INTO import_ranges (source_id, tree, start) SELECT id, 'repositories', '' FROM asked
    ON CONFLICT (source_id, tree, start) DO NOTHING
    """,
)

_ADD_RANGES: Final = Statement(
    "imports_add_ranges",
    int,
    """
    INSERT INTO import_ranges (source_id, tree, start, stop)
    SELECT whole.source_id, whole.tree, piece.start, piece.stop
      FROM import_ranges AS whole
     CROSS JOIN unnest(CAST(:starts AS text[]), CAST(:stops AS text[])) AS piece (start, stop)
     WHERE whole.id = :id AND whole.lease = :lease
     ORDER BY piece.start
    ON CONFLICT (source_id, tree, start) DO NOTHING
    """,
)

# Whoever claims it puts the next one off; the number tells it from whoever slept past that.
_CLAIM_RANGE: Final = Statement(
    "imports_claim_range",
    Range,
    """
    WITH due AS MATERIALIZED (
        SELECT id FROM import_ranges
         WHERE source_id = :source_id AND lease_until <= now()
         ORDER BY lease_until, id LIMIT 1
           FOR UPDATE SKIP LOCKED
    )
    UPDATE import_ranges AS piece
       SET lease = piece.lease + 1, lease_until = now() + interval '5 minutes', attempts = piece.attempts + 1
      FROM due
     WHERE piece.id = due.id
    RETURNING piece.id, piece.source_id, piece.tree, piece.start, piece.stop, piece.cursor, piece.lease,
              piece.attempts
    """,
)

_ADVANCE: Final = Statement(
    "imports_advance_range",
    int,
    """
    UPDATE import_ranges
       SET cursor = coalesce(:cursor, cursor), lease_until = now() + interval '5 minutes', attempts = 0,
           error = NULL
     WHERE id = :id AND lease = :lease
    """,
)

_END_RANGE: Final = Statement("imports_end_range", int, "DELETE FROM import_ranges WHERE id = :id AND lease = :lease")

_RETURN_RANGE: Final = Statement(
    "imports_return_range",
    int,
    """
    UPDATE import_ranges SET lease_until = now() + make_interval(secs => :seconds), error = :error
     WHERE id = :id AND lease = :lease
    """,
)

_COMPLETE: Final = Statement(
    "imports_complete_listing",
    int,
    """
    UPDATE import_sources SET state = 'open', listed_at = coalesce(listed_at, now()), reason = NULL
     WHERE id = :source_id AND state = 'listing'
       AND NOT EXISTS (SELECT FROM import_ranges WHERE import_ranges.source_id = :source_id)
    """,
)


def add_whole(db: Database, source_id: int, trees: Sequence[str]) -> None:
    """The trees `blobs`, `repositories` or both are to be listed, unless they are being listed."""
    db.count(_ADD_WHOLE(source_id=source_id, trees=list(trees)))


def list_again(db: Database, source_id: int) -> None:
    """All repositories are listed once more from now on: if they are being listed, once that is over."""
    db.batch([_NOTE_AGAIN(source_id=source_id), _ADD_WHOLE(source_id=source_id, trees=["repositories"])])


def begin_again(db: Database, source_id: int) -> bool:
    """Begins the pass that somebody asked for while another one went on. False if that goes on still."""
    return db.count(_LIST_AGAIN(source_id=source_id)) > 0


def claim_range(db: Database, source_id: int) -> Range | None:
    return db.one_or_none(_CLAIM_RANGE(source_id=source_id))


def advancing(piece: Range, cursor: str | None) -> Call[int]:
    """Comes first in a step's transaction: the step ends if this touches no row, for another has the range.

    `cursor` is the last name that was read; None leaves it where it stands.
    """
    return _ADVANCE(id=piece.id, lease=piece.lease, cursor=cursor)


def end_range(db: Database, piece: Range) -> None:
    """It is listed; if it was the last, all names of the source are known now."""
    db.batch([_END_RANGE(id=piece.id, lease=piece.lease), _COMPLETE(source_id=piece.source_id)])


def cut_range(db: Database, piece: Range, edges: Sequence[tuple[str, str | None]]) -> None:
    """Makes pieces instead of the whole: of each the first name, and the name that is past it, None for the end."""
    db.batch(
        [
            _ADD_RANGES(
                id=piece.id,
                lease=piece.lease,
                starts=[start for start, _ in edges],
                stops=[stop for _, stop in edges],
            ),
            _END_RANGE(id=piece.id, lease=piece.lease),
        ]
    )


def return_range(db: Database, piece: Range, seconds: float, error: str | None = None) -> None:
    """Somebody may claim it again, so much later."""
    db.count(_RETURN_RANGE(id=piece.id, lease=piece.lease, seconds=seconds, error=error))
