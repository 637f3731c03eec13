"""Which backups are kept: the last of each of so many days, weeks and months, as `7d,4w,12m` says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from functions.migrate.backups.layout import time_of

# What is younger is kept in any case, sealed or not: somebody may be making it.
YOUNG: Final = timedelta(days=7)
MOST: Final = 1000
UNITS: Final[Mapping[str, Callable[[datetime], tuple[int, ...]]]] = {
    "d": lambda moment: (moment.year, moment.month, moment.day),
    "w": lambda moment: tuple(moment.isocalendar()[:2]),
    "m": lambda moment: (moment.year, moment.month),
}


class KeepInvalid(ValueError):
    """It doesn't say how many are kept; the message says what does."""


def parse(text: str) -> dict[str, int]:
    """Raises KeepInvalid."""
    words = text.split(",")
    found = dict(_word(word) for word in words)
    if len(found) < len(words):
        raise KeepInvalid(f"{text!r} names a unit twice")
    return found


def _word(word: str) -> tuple[str, int]:
    match = re.fullmatch(r"([0-9]{1,4})([dwm])", word.strip())
    if match is None or not 1 <= int(match[1]) <= MOST:
        raise KeepInvalid("takes numbers of days, weeks and months, such as 7d,4w,12m")
    return match[2], int(match[1])


def kept(sealed: Sequence[str], keep: Mapping[str, int], now: datetime) -> set[str]:
    """Of the names of sealed backups those that stay: by `keep`, the last one, and all that are young."""
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
