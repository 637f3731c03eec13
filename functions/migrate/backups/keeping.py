"""Which backups are kept: the last of each of so many days, weeks and months, as `{"d": 7, "w": 4, "m": 12}` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from functions.migrate.backups.layout import time_of

# What is younger is kept in any case, sealed or not: somebody may be making it.
YOUNG: Final = timedelta(days=7)
UNITS: Final[Mapping[str, Callable[[datetime], tuple[int, ...]]]] = {
    "d": lambda moment: (moment.year, moment.month, moment.day),
    "w": lambda moment: tuple(moment.isocalendar()[:2]),
    "m": lambda moment: (moment.year, moment.month),
}


def kept(sealed: Sequence[str], keep: Mapping[str, int], now: datetime) -> set[str]:
    """Returns, of the names of sealed backups, those that stay: by `keep`, the last one, and all that are young."""
    newest_first = sorted(sealed, reverse=True)
    found = {*newest_first[:1], *(name for name in sealed if is_young(name, now))}
    for unit, number in keep.items():
        last: dict[tuple[int, ...], str] = {}
        for name in newest_first:
            last.setdefault(UNITS[unit](time_of(name)), name)
        found.update(list(last.values())[:number])
    return found


def is_young(name: str, now: datetime) -> bool:
    return now - time_of(name) < YOUNG
