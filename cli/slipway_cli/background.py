"""How a migration in the background is shown, whoever tells of it."""

from __future__ import annotations

from typing import Any, Final

from slipway_cli.output import Column, count, text, time
from slipway_cli.watching import bar, left

_LEFT: Final = Column("left", "remaining_seconds", left, is_right=True)
_DONE: Final = Column("done", "percent", lambda value: f"{value:g} %", is_right=True)
_RATE: Final = Column("rows/s", "rows_per_second", lambda value: "-" if value is None else f"{value:g}", is_right=True)

LIST: Final = (
    text("name", "name"),
    text("state", "state"),
    _DONE,
    count("rows", "rows"),
    count("of about", "total"),
    _RATE,
    _LEFT,
    text("waits for", "waits_for"),
    count("failed", "failures"),
)
ONE: Final = (
    *LIST,
    text("table", "table"),
    text("in the order of", "key"),
    count("rows in a batch", "batch"),
    text("rests", "rests"),
    time("begun", "started_at"),
    time("last batch", "worked_at"),
    time("ended", "finished_at"),
)
FAILED: Final = (text("key", "key"), text("error", "error"), time("at", "failed_at"))


def line(found: dict[str, Any]) -> tuple[str, bool]:
    """Returns how far it is on one line, and whether nobody works at it any more."""
    parts = [found["state"], bar(found["rows"], found["total"]), f"{found['percent']:g} %"]
    if found["rows_per_second"]:
        parts.append(f"{found['rows_per_second']:g} rows/s")
    if found["remaining_seconds"] is not None:
        parts.append(f"{left(found['remaining_seconds'])} left")
    if found["waits_for"]:
        parts.append(f"waits for {found['waits_for']}")
    if found["failures"]:
        parts.append(f"{found['failures']} failed")
    return "  ".join(parts), found["state"] != "active"
