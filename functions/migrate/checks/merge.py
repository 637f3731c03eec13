"""Two sorted streams side by side: the names that rows have, and those that the store lists.

What stands in one alone, or not alike in both, is a suspicion and no more: rows and objects come and go meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.metadata.checks.objects import NamedObject

_ROWS: Final = 2000

# Names behind the first up to the second, so many.
Rows = Callable[[str, str, int], list[NamedObject]]
# Objects behind the first up to, and not, the second.
Listing = Callable[[str, str], ObjectPage]


@dataclass(slots=True)
class Stretch:
    """What both streams have behind one name, up to `last`."""

    last: str
    named: Sequence[NamedObject]
    stored: Sequence[StoredObject]


@dataclass(slots=True)
class Compared:
    """`suspects` are names; `checksums` those of objects that are as their rows say, where the row has none yet."""

    blobs: int = 0
    suspects: list[str] = field(default_factory=list)
    checksums: dict[str, int] = field(default_factory=dict)


def stretches(rows: Rows, listing: Listing, after: str, stop: str) -> Iterator[Stretch]:
    """Piece by piece, each whole in both streams, so that either may be longer than memory."""
    stored: list[StoredObject] = []
    listed_to, is_listed = after, False
    while after < stop:
        while not stored and not is_listed:
            page = listing(listed_to, stop)
            stored, is_listed = list(page.objects), page.is_last
            listed_to = stored[-1].name if stored else listed_to
        upto = stop if is_listed else stored[-1].name
        named = rows(after, upto, _ROWS)
        if len(named) >= _ROWS:
            # The last name may have more rows than the page has: it begins the next one.
            upto = max(name for name in (row.name for row in named) if name < named[-1].name)
            named = [row for row in named if row.name <= upto]
        within = [each for each in stored if each.name <= upto]
        stored = stored[len(within) :]
        yield Stretch(upto, named, within)
        after = upto


def compare(stretch: Stretch) -> Compared:
    """Only a blob needs its object; an upload or a deletion explains one that is there."""
    found = Compared()
    stored = {each.name: each for each in stretch.stored}
    known = {row.name for row in stretch.named}
    for row in stretch.named:
        if row.digest is None:
            continue
        found.blobs += 1
        there = stored.get(row.name)
        checksum = checksum_of(there)
        if there is None or row.is_damaged or there.size != row.size or row.crc32c not in (None, checksum):
            found.suspects.append(row.name)
        elif row.crc32c is None and checksum is not None:
            found.checksums[row.name] = checksum
    found.suspects += [name for name in stored if name not in known]
    return found


def checksum_of(stored: StoredObject | None) -> int | None:
    """Returns None where the store knows none, too."""
    return None if stored is None or stored.crc32c is None else int.from_bytes(stored.crc32c, "big")
