"""Lengths of time as policies write them: a number and a unit, such as 14d."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60}
_SPAN: Final = re.compile(r"([0-9]{1,5})([mhdw])")
LONGEST_SECONDS: Final = 3660 * 86_400


class SpanRefused(ValueError):
    """The message says how a length of time is written."""


def parse(text: object, least: int = 60) -> int:
    """Returns seconds. Raises SpanRefused."""
    match = _SPAN.fullmatch(text) if isinstance(text, str) else None
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not least <= seconds <= LONGEST_SECONDS:
        reason = f"must be a number and m, h, d or w, such as 14d: at least {written(least)}, at most ten years"
        raise SpanRefused(reason)
    return seconds


def written(seconds: int) -> str:
    """Writes it as it is parsed, in the largest unit that leaves nothing over but weeks."""
    for unit in ("d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds // 60}m"


def roughly(seconds: float) -> str:
    """Writes it for people: 41 d, 3 h, 5 min."""
    if seconds >= 2 * _UNITS["d"]:
        return f"{int(seconds // _UNITS['d'])} d"
    if seconds >= 2 * _UNITS["h"]:
        return f"{int(seconds // _UNITS['h'])} h"
    return f"{max(0, int(seconds // 60))} min"
