"""How sizes, times and lengths of time are written and read: one way everywhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

# As docker and the console write them: 1 GB is 1,000,000,000 bytes.
_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_FACTORS: Final[dict[str, int]] = {
    **{name: 1000**power for power, name in enumerate(_SIZES)},
    **{name: 1024**power for power, name in enumerate(("KiB", "MiB", "GiB", "TiB", "PiB"), 1)},
}
_LENGTHS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def size(count: int | None) -> str:
    """Writes a size in units of a thousand: `1.5 GB`."""
    if count is None:
        return "-"
    amount, unit = float(count), 0
    while abs(amount) >= _STEP and unit + 1 < len(_SIZES):
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_SIZES[unit]}" if unit else f"{count} B"


def time(text: str | None) -> str:
    """Writes a time of UTC, to the minute; titles of columns say that it is UTC."""
    if not text:
        return "-"
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"


def length(seconds: int | None) -> str:
    """Writes a length of time in the largest unit that it is a whole number of: `36h`, `7d`."""
    if seconds is None:
        return "-"
    unit = next((each for each in ("d", "h", "m") if seconds and seconds % _LENGTHS[each] == 0), "s")
    return f"{seconds // _LENGTHS[unit]}{unit}"


class Size(click.ParamType[int]):
    """Bytes: `500000`, `20GB`, `20GiB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,18})\s*([kMGTP]B|[KMGTP]iB|B)?", value)
        if match is None:
            self.fail("must be bytes, with a unit or without: 500000, 20GB, 20GiB", param, ctx)
        return int(match[1]) * _FACTORS[match[2] or "B"]


class Length(click.ParamType[int]):
    """A length of time in seconds: `90s`, `30m`, `24h`, `7d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,9})([smhd])", value)
        if match is None:
            self.fail("must be a number and a unit: 90s, 30m, 24h, 7d", param, ctx)
        return int(match[1]) * _LENGTHS[match[2]]


class Moment(click.ParamType[str]):
    """A time as the API takes it: `2026-01-31`, `2026-01-31T10:00Z`, or so long ago: `30d`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if match := re.fullmatch(r"(\d{1,6})([smhd])", value):
            ago = timedelta(seconds=int(match[1]) * _LENGTHS[match[2]])
            return (datetime.now(UTC) - ago).isoformat(timespec="seconds")
        try:
            return datetime.fromisoformat(value).isoformat()
        except ValueError:
            self.fail("must be a day, a time of UTC, or how long ago: 2026-01-31, 2026-01-31T10:00, 30d", param, ctx)
