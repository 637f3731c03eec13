"""The listing of a source in pieces that are claimed, each by one worker at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement


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
    is_hot=True,
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
    is_hot=True,
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
