"""Lists in any order, forwards and backwards, in pages whose cost does not grow with the list.

A page walks along an index from the place where the last one ended. What a filter passes over it has to look at, so a
walk has an end too (`reach`): such a page may have few entries, or none, and others may follow all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from functions.registry.metadata.db import Call, Database, compose

# Types of PostgreSQL.
Kind = Literal["text", "bigint", "timestamptz"]

REACH: Final = 500
_LARGEST: Final = 2**63 - 1
# Before and behind all values. Nothing in a name sorts behind `~`.
_ENDS: Final[dict[Kind, tuple[str | int, str | int]]] = {
    "text": ("", "~"),
    "bigint": (-1, _LARGEST),
    "timestamptz": ("-infinity", "infinity"),
}

Value = str | int
# An entry's value in the order, and what tells it from others with the same value.
Position = tuple[Value, Value]


@dataclass(frozen=True, slots=True)
class Column:
    """What a list is ordered by. `tie` is the unique column that follows it in the index; None if it is unique itself.

    All of it is SQL, and constant.
    """

    value: str
    kind: Kind
    tie: str | None
    tie_kind: Kind = "bigint"

    def walk(self, template: str, *, descending: bool, **parts: str) -> str:
        """The template with its places filled: `$key`, `$id`, `$here` (the condition) and `$order`."""
        way, end = ("DESC", ">=") if descending else ("ASC", "<=")
        here = self.behind(f"CAST(:key AS {self.kind})", f"CAST(:id AS {self.tie_kind})", descending=descending)
        here += f" AND {self.value} {end} CAST(:bound AS {self.kind})"
        order = f"{self.value} {way}" if self.tie is None else f"{self.value} {way}, {self.tie} {way}"
        return compose(template, key=self.value, here=here, order=order, way=way, **parts)

    def behind(self, key: str, tie: str, *, descending: bool) -> str:
        """Returns the condition that an entry comes after the place of which `key` and `tie` are SQL."""
        sign = "<" if descending else ">"
        if self.tie is None:
            return f"{self.value} {sign} {key}"
        return f"({self.value}, {self.tie}) {sign} ({key}, {tie})"


@dataclass(frozen=True, slots=True)
class Walk:
    """`after` is the place to begin behind, None for the beginning of the list in this direction.

    `least` and `most` are bounds of the ordering value that the filter sets, so that a walk begins and ends there.
    """

    descending: bool
    size: int
    after: Position | None = None
    least: Value | None = None
    most: Value | None = None
    reach: int = REACH

    def values(self, column: Column) -> dict[str, Any]:
        """Returns the values of the statement's parameters."""
        first, last = _ENDS[column.kind]
        before_all, behind_all = _ENDS[column.tie_kind]
        least = first if self.least is None else self.least
        most = last if self.most is None else self.most
        start = (most, behind_all) if self.descending else (least, before_all)
        key, tie = self.after or start
        bound = least if self.descending else most
        # A row more than the page has says whether there are others.
        return {"key": key, "id": tie, "bound": bound, "size": self.size + 1, "reach": max(self.reach, self.size + 1)}


@dataclass(frozen=True, slots=True)
class Found:
    """In the order of the walk, each with its place. `more` is the place to go on behind, None at the list's end."""

    items: list[dict[str, Any]]
    positions: list[Position]
    more: Position | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What a walk's statement gives: places with their entries; and where the walk was given up, if it was.

    An entry that doesn't fit on the page any more is None.
    """

    found: list[tuple[Value, Value, dict[str, Any] | None]]
    given_up_at: list[Value] | None


def walk(db: Database, call: Call[Rows], size: int) -> Found | None:
    """Returns None if the statement has no row: what the list is of is not there."""
    rows = db.one_or_none(call)
    return None if rows is None else cut(rows, size)


def cut(rows: Rows, size: int) -> Found:
    """Takes from what a walk found what a page of that size shows."""
    shown = [(key, tie, item) for key, tie, item in rows.found[:size] if item is not None]
    positions: list[Position] = [(key, tie) for key, tie, _ in shown]
    more: Position | None = None
    if len(rows.found) > len(shown):
        more = positions[-1]
    elif rows.given_up_at is not None:
        more = (rows.given_up_at[0], rows.given_up_at[1])
    return Found([item for _, _, item in shown], positions, more)
