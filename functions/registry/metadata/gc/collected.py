"""What was collected so far: kept for operators, in the transaction that deleted it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from functions.registry.metadata.db import Call, Statement


@dataclass(slots=True)
class Outcome:
    """Of `reviewed` reviews, what was deleted: rows and bytes, by the event that had queued them."""

    reviewed: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)

    def add(self, event: str, size: int) -> None:
        self.rows[event] += 1
        self.size[event] += size


_TOTAL: Final = Statement(
    "totals_add",
    int,
    """
    INSERT INTO collected AS total (day, level, event, rows, bytes)
    SELECT current_date, :level, done.event, done.rows, done.bytes
      FROM unnest(CAST(:events AS text[]), CAST(:rows AS bigint[]), CAST(:bytes AS bigint[]))
           AS done (event, rows, bytes)
     ORDER BY done.event
    ON CONFLICT (day, level, event)
    DO UPDATE SET rows = total.rows + excluded.rows, bytes = total.bytes + excluded.bytes
    """,
    is_hot=True,
)


def adding(level: str, outcome: Outcome) -> Call[Any]:
    """Returns what to run with the deletion that it tells of."""
    events = list(outcome.rows)
    return _TOTAL(
        level=level,
        events=events,
        rows=[outcome.rows[event] for event in events],
        bytes=[outcome.size[event] for event in events],
    )
