"""How numbers, bytes and times are written on the pages; and what becomes of signs that readers would obey."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_STEP: Final = 1000
_ROUGH: Final = 100
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_MONTHS_FROM_DAYS: Final = 100
_SHORT_DIGEST: Final = 12
_NONE: Final = "\u2013"
_NOW: Final = "just now"
# Signs that turn the direction of text, that nobody sees, or that a terminal obeys.
_SHOWN: Final = {
    **dict.fromkeys([*range(9), *range(11, 32), *range(127, 160), *range(0xD800, 0xE000)], "\ufffd"),
    **{
        code: f"⟨U+{code:04X}⟩"
        for code in [0x061C, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]
    },
}


def visible(value: Any) -> Any:
    """Is applied to all that a template writes. What a macro has made is left as it is: its parts have been here."""
    return value.translate(_SHOWN) if type(value) is str else value


def size(value: int | None) -> str:
    """Writes bytes in a unit of a thousand, as in `34.8 GB`."""
    if value is None:
        return _NONE
    amount, unit = float(value), 0
    while abs(amount) >= _STEP and unit + 1 < len(_UNITS):
        amount, unit = amount / _STEP, unit + 1
    written = f"{amount:.0f}" if unit == 0 or amount >= _ROUGH else f"{amount:.1f}"
    return f"{written} {_UNITS[unit]}"


def number(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}"


def moment(value: str | datetime | None) -> datetime | None:
    """Reads a time as the metadata gives it, in JSON or not."""
    if value is None:
        return None
    read = datetime.fromisoformat(value) if isinstance(value, str) else value
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def ago(value: str | datetime | None) -> str:
    """Says how long ago, or in how long, as in `3 min ago` and `in 6 d`."""
    then = moment(value)
    if then is None:
        return "never"
    seconds = (datetime.now(UTC) - then).total_seconds()
    distance = _distance(abs(seconds))
    if distance == _NOW:
        return distance
    return f"{distance} ago" if seconds >= 0 else f"in {distance}"


def span(seconds: float) -> str:
    """Says how long, as in `3 min`."""
    distance = _distance(seconds)
    return "less than a minute" if distance == _NOW else distance


def _distance(seconds: float) -> str:
    if seconds < _MINUTE:
        return _NOW
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} h"
    days = round(seconds / _DAY)
    return f"{days} d" if days < _MONTHS_FROM_DAYS else f"{round(days / 30)} months"


def utc(value: str | datetime | None) -> str:
    then = moment(value)
    return "" if then is None else f"{then:%Y-%m-%d %H:%M:%S} UTC"


def iso(value: str | datetime | date | None) -> str:
    return "" if value is None else value if isinstance(value, str) else value.isoformat()


def digest(value: object) -> str:
    """Writes its algorithm and its first signs."""
    algorithm, _, encoded = str(value).partition(":")
    return f"{algorithm}:{encoded[:_SHORT_DIGEST]}"


def count(value: int, one: str, many: str = "") -> str:
    """Writes it as in `1 pull` and `1,204 pulls`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def percent(part: int, whole: int) -> str:
    return _NONE if not whole else f"{100 * part / whole:.0f} %"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "size": size,
    "number": number,
    "ago": ago,
    "utc": utc,
    "iso": iso,
    "digest": digest,
    "shell": shlex.quote,
    "span": span,
}
GLOBALS: Final[dict[str, Callable[..., Any]]] = {"percent": percent, "count": count}
