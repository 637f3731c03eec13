"""Which statements one session of the server keeps prepared.

The server then neither parses nor, mostly, plans them again, and the client knows their columns. What is prepared
costs memory in the server, about 100 kB a statement, so only the statements of everyday requests are, from their
second use on, and only so many at once (docs/adr/0024-prepared-statements.md).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MOST: Final = 64

# Makes a value of a column's text.
Reader = Callable[[str], Any]


@dataclass(eq=False, slots=True)
class Prepared:
    """One statement that has a name. It has no readers until the server has described its columns."""

    name: bytes
    readers: Sequence[Reader] | None = None


@dataclass(eq=False, slots=True)
class Step:
    """How one statement of a batch is run: by which name, and whether it has to be parsed first."""

    sql: str
    statement: Prepared
    is_parsed: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch. What is forgotten for it is closed before it begins."""

    steps: list[Step]
    forgotten: list[bytes]

    def uses_what_is_known(self) -> bool:
        """Says whether an error may come from what the server was told in an earlier batch."""
        parsed = {step.statement for step in self.steps if step.is_parsed}
        return any(step.statement not in parsed for step in self.steps)


@dataclass(slots=True)
class PreparedStatements:
    """Those of one session, the one that was used last at the end."""

    _known: OrderedDict[str, Prepared] = field(default_factory=OrderedDict)
    _used_once: set[str] = field(default_factory=set)

    def plan(self, batch: Iterable[str], kept: Container[str]) -> Plan:
        """Returns how to run a batch; those whose text is in `kept` are prepared from the second use on."""
        new: dict[str, Prepared] = {}
        steps = [self._step(sql, new, is_kept=sql in kept) for sql in batch]
        return Plan(steps, self._make_room(len(new), {step.sql for step in steps}))

    def note(self, plan: Plan) -> None:
        """Remembers what the server has described. After an error it has not read the rest of the batch."""
        for step in plan.steps:
            if step.is_parsed and step.statement.name and step.statement.readers is not None:
                self._known[step.sql] = step.statement

    def forget(self) -> None:
        """The server may know none of them any more, or know them for a schema of before."""
        self._known.clear()

    def _step(self, sql: str, new: dict[str, Prepared], *, is_kept: bool) -> Step:
        if not is_kept:
            return Step(sql, Prepared(b""), is_parsed=True)
        if sql in self._known:
            self._known.move_to_end(sql)
            return Step(sql, self._known[sql], is_parsed=False)
        if sql in new:
            return Step(sql, new[sql], is_parsed=False)
        if sql not in self._used_once:
            self._used_once.add(sql)
            return Step(sql, Prepared(b""), is_parsed=True)
        new[sql] = Prepared(_name(sql))
        return Step(sql, new[sql], is_parsed=True)

    def _make_room(self, count: int, in_use: set[str]) -> list[bytes]:
        forgotten = []
        while len(self._known) + count > MOST and (oldest := next(iter(self._known), None)) not in in_use | {None}:
            forgotten.append(self._known.pop(str(oldest)).name)
        return forgotten


def _name(sql: str) -> bytes:
    """Returns a hash of the text: behind a pooler that gives each batch another session, a name means the same in
    all.
    """
    return b"slipway_" + hashlib.sha256(sql.encode()).hexdigest()[:32].encode()
