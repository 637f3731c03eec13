"""The table that a run ends with: what each client did against each way of delivering blobs."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest

from tests.clients.programs import version_of

_COLUMNS: Final = ("client", "version", "operations done", "passed", "failed", "skipped")


@dataclass(slots=True)
class _Row:
    operations: dict[str, None] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: dict[str, None] = field(default_factory=dict)


class Report:
    """Collects each test's outcome; `lines` renders the table."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._modes: dict[str, None] = {}

    def add(self, item: pytest.Function, outcome: pytest.TestReport) -> None:
        client, mode = _text_of(item, "client"), _mode_of(item)
        row = self._rows.setdefault(client, _Row())
        self._modes[mode] = None
        row.outcomes[mode, outcome.outcome] += 1
        if outcome.passed:
            row.operations.update(dict.fromkeys(_texts_of(item, "operations")))
        if outcome.skipped and isinstance(outcome.longrepr, tuple):
            row.reasons[outcome.longrepr[2].removeprefix("Skipped: ")] = None

    def lines(self) -> Iterator[str]:
        if not self._rows:
            return
        cells = [self._header(), *(self._cells(client, row) for client, row in sorted(self._rows.items()))]
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        for line in cells:
            yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()

    def _header(self) -> tuple[str, ...]:
        return (*_COLUMNS[:3], *self._modes, *_COLUMNS[3:])

    def _cells(self, client: str, row: _Row) -> tuple[str, ...]:
        done = ", ".join(row.operations) or "; ".join(row.reasons) or "-"
        totals = (sum(row.outcomes[mode, outcome] for mode in self._modes) for outcome in _COLUMNS[3:])
        return (client, version_of(client), done, *(_verdict(row, mode) for mode in self._modes), *map(str, totals))


def _verdict(row: _Row, mode: str) -> str:
    if row.outcomes[mode, "failed"]:
        return "FAILED"
    return "ok" if row.outcomes[mode, "passed"] else "skipped"


def _texts_of(item: pytest.Function, marker: str) -> Iterable[str]:
    found = item.get_closest_marker(marker)
    return found.args if found else ()


def _text_of(item: pytest.Function, marker: str) -> str:
    return next(iter(_texts_of(item, marker)), item.path.stem.removeprefix("test_"))


def _mode_of(item: pytest.Function) -> str:
    call = getattr(item, "callspec", None)
    return str(call.params.get("registry", "-")) if call else "-"
