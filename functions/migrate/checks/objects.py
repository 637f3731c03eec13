"""Rows and objects: what is missing, unknown, or not as its row says. No byte of content is read.

A difference is a suspicion, which is looked at again alone: the rows, then the object, then the rows once more. It is
found only if both looks at the rows agree, for names are never used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from functions.migrate.checks.merge import checksum_of, compare, stretches
from functions.migrate.checks.names import is_ours
from functions.migrate.checks.working import Work, advance
from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.imports.names import shown
from functions.registry.metadata.checks import checks, findings, objects
from functions.registry.metadata.checks.objects import Look, NamedObject
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.checks.vocabulary import Found

# An object that a request was writing when its upload ended may come that much later.
_LATE: Final = timedelta(minutes=65)
_TOGETHER: Final = 500


@dataclass(frozen=True, slots=True)
class _Second:
    """The second look at one name."""

    before: Look
    stored: StoredObject | None
    after: Look


def check(work: Work, piece: Piece) -> bool:
    """Goes on to the piece's end, or until the time is over; then False. Raises BlobStoreUnavailable and PieceLost."""
    after = piece.cursor or piece.start

    def rows(name: str, upto: str, limit: int) -> list[NamedObject]:
        return objects.after(work.database, name, upto, limit)

    def listing(name: str, stop: str) -> ObjectPage:
        return work.patiently(lambda: work.store.page("", name, stop))

    for stretch in stretches(rows, listing, after, piece.stop):
        compared = compare(stretch)
        found, foreign = _look_again(work, compared.suspects)
        counts = {
            "blobs": compared.blobs,
            "objects": len(stretch.stored),
            "suspicions": len(compared.suspects),
            "foreign": foreign,
        }
        calls = [
            checks.counting(piece.check_id, counts),
            *objects.filling(compared.checksums),
            *findings.noting(piece.check_id, found),
        ]
        # A name that no text can hold is none of ours: whoever goes on lists a little twice.
        advance(work, piece, stretch.last if shown(stretch.last) == stretch.last else None, calls)
        if work.is_late():
            return False
    return True


def _look_again(work: Work, suspects: Sequence[str]) -> tuple[list[Found], int]:
    """Returns what was found, and how many objects are somebody else's."""
    names = [name for name in suspects if shown(name) == name]
    found: list[Found] = []
    foreign = len(suspects) - len(names)
    for first in range(0, len(names), _TOGETHER):
        for name, second in _second_looks(work, names[first : first + _TOGETHER]).items():
            if second.before != second.after:
                continue
            if second.before.digest is not None:
                found += _of_blob(work, second)
            elif not second.before.is_known and second.stored is not None:
                if second.before.is_of_source or not is_ours(name):
                    foreign += 1
                elif datetime.now(UTC) - second.stored.updated > work.unknown_age + _LATE:
                    found.append(Found("unknown", name, "no row names it", size=second.stored.size))
    return found, foreign


def _second_looks(work: Work, names: Sequence[str]) -> dict[str, _Second]:
    before = objects.look(work.database, names)
    stored = dict(zip(names, _find(work, work.pool, names), strict=True))
    after = objects.look(work.database, names)
    return {name: _Second(before[name], stored[name], after[name]) for name in names}


def _find(work: Work, pool: Executor, names: Sequence[str]) -> list[StoredObject | None]:
    return list(pool.map(lambda name: work.patiently(lambda: work.store.find(name)), names))


def _of_blob(work: Work, second: _Second) -> list[Found]:
    row, stored = second.before, second.stored
    # Younger than the check: its next one sees it in peace.
    if row.created_at is None or row.created_at >= work.check.started_at:
        return []
    if stored is None:
        return [Found("missing", row.name, "there is no such object", row.digest, size=row.size)]
    if stored.size != row.size:
        detail = f"the object has {stored.size} bytes, not {row.size}"
        return [Found("size", row.name, detail, row.digest, size=row.size)]
    if row.crc32c not in (None, checksum_of(stored)):
        return [Found("checksum", row.name, "the object was written anew, with other bytes", row.digest, size=row.size)]
    if row.is_damaged:
        return [Found("marked", row.name, "marked as damaged, but its object is there", row.digest, size=row.size)]
    return []
