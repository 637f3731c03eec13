"""The pieces of a check, which several workers take: a claim has a number, and is over after five minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.checks.vocabulary import Step
from functions.registry.metadata.db import Call, Database, Session, Statement


@dataclass(frozen=True, slots=True)
class Piece:
    """`step` goes on behind `cursor`, or from `start` on, to `stop`; `lease` tells it from a later claim."""

    id: int
    check_id: int
    step: Step
    start: str
    stop: str
    cursor: str
    lease: int


@dataclass(frozen=True, slots=True)
class NewPiece:
    step: Step
    start: str = ""
    stop: str = ""


_ADD: Final = Statement(
    "checks_add_pieces",
    int,
    """
    INSERT INTO check_pieces (check_id, step, start, stop)
    SELECT :check_id, piece.step, piece.start, piece.stop
      FROM unnest(CAST(:steps AS text[]), CAST(:starts AS text[]), CAST(:stops AS text[]))
           WITH ORDINALITY AS piece (step, start, stop, number)
     ORDER BY piece.number
    """,
)

_CLAIM: Final = Statement(
    "checks_claim_piece",
    Piece,
    """
    WITH due AS MATERIALIZED (
        SELECT id FROM check_pieces
         WHERE check_id = :check_id AND lease_until <= now()
         ORDER BY id LIMIT 1
           FOR UPDATE SKIP LOCKED
    )
    UPDATE check_pieces AS piece
       SET lease = piece.lease + 1, lease_until = now() + interval '5 minutes'
      FROM due
     WHERE piece.id = due.id
    RETURNING piece.id, piece.check_id, piece.step, piece.start, piece.stop, piece.cursor, piece.lease
    """,
)

_ADVANCE: Final = Statement(
    "checks_advance_piece",
    int,
    """
    UPDATE check_pieces SET cursor = coalesce(:cursor, cursor), lease_until = now() + interval '5 minutes'
     WHERE id = :id AND lease = :lease
    """,
)

_RETURN: Final = Statement(
    "checks_return_piece", int, "UPDATE check_pieces SET lease_until = now() WHERE id = :id AND lease = :lease"
)

_END: Final = Statement("checks_end_piece", int, "DELETE FROM check_pieces WHERE id = :id AND lease = :lease")

_LEFT: Final = Statement("checks_pieces_left", int, "SELECT count(*) FROM check_pieces WHERE check_id = :check_id")


def adding(check_id: int, pieces: Sequence[NewPiece]) -> Call[int]:
    return _ADD(
        check_id=check_id,
        steps=[piece.step for piece in pieces],
        starts=[piece.start for piece in pieces],
        stops=[piece.stop for piece in pieces],
    )


def claim(db: Database, check_id: int) -> Piece | None:
    """The first that nobody has in hand."""
    return db.one_or_none(_CLAIM(check_id=check_id))


def advancing(piece: Piece, cursor: str | None) -> Call[int]:
    """First in a step's transaction, which ends if this touches no row: another has the piece, or the check is over.

    None leaves the cursor where it stands.
    """
    return _ADVANCE(id=piece.id, lease=piece.lease, cursor=cursor)


def give_back(db: Database, piece: Piece) -> None:
    """Somebody may claim it at once."""
    db.count(_RETURN(id=piece.id, lease=piece.lease))


def end(db: Database, piece: Piece) -> None:
    db.count(_END(id=piece.id, lease=piece.lease))


def left(session: Session, check_id: int) -> int:
    return session.one_or_none(_LEFT(check_id=check_id)) or 0
