"""How a check is cut into pieces: ranges of what each step goes through, by what the rows say there is."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from functions.migrate.checks.names import roots
from functions.registry.metadata.checks import checks, manifests, objects, pieces
from functions.registry.metadata.checks.checks import Check
from functions.registry.metadata.checks.pieces import NewPiece
from functions.registry.metadata.db import Database, Session

# One worker goes through as many in some seconds, and several may be at it.
_OBJECTS_EACH: Final = 200_000
_MANIFESTS_EACH: Final = 50_000
# Digests as they are kept, in hexadecimal: a byte for the algorithm, then the hash, by its first letter.
_DIGESTS: Final = ["", *(f"01{letter}0" for letter in "123456789abcdef"), "ff"]


def plan(database: Database, check: Check) -> None:
    """Whoever comes first does it, and the others find it done."""
    new = [*_of_objects(database), *_of_manifests(database), NewPiece("repositories"), NewPiece("blobs")]
    new.append(NewPiece("figures"))
    if check.options.get("hash_bytes"):
        new.append(NewPiece("digests", checks.hashed_to(database), _DIGESTS[-1]))
    if check.options.get("hash"):
        new += [NewPiece("digests", *bounds) for bounds in pairwise(_DIGESTS)]

    def write(session: Session) -> None:
        locked = checks.lock(session, check.id)
        if locked is not None and locked.planned_at is None:
            session.batch([pieces.adding(check.id, new), checks.planned(check.id)])

    database.transaction(write)


def _of_objects(database: Database) -> list[NewPiece]:
    found = []
    for start, stop in roots(database):
        edges = [start, *objects.bounds(database, start, stop, _OBJECTS_EACH), stop]
        found += [NewPiece("objects", *bounds) for bounds in pairwise(edges)]
    return found


def _of_manifests(database: Database) -> list[NewPiece]:
    last = manifests.last_id(database)
    starts = range(0, last, _MANIFESTS_EACH)
    return [NewPiece("manifests", str(start), str(min(start + _MANIFESTS_EACH, last))) for start in starts]
