"""The key of a table that is gone through: the forms of SQL that all background migrations share.

A key's value is a JSON array in the order of its columns, as `background_migrations` keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Statement, compose

_VALUE: Final = "CAST(CAST(:$bound AS jsonb) ->> $place AS $type)"

_BETWEEN: Final = "($columns) > ($after) AND ($columns) <= ($upto)"

_PART: Final = """
    WITH part AS MATERIALIZED (
        SELECT json_build_array($columns) AS key
          FROM $table
         WHERE $between
         ORDER BY $columns
         LIMIT :size
    )
    SELECT count(*), CAST((array_agg(key))[count(*)] AS text) FROM part
"""


@dataclass(frozen=True, slots=True)
class Part:
    """It is some rows that follow one another: how many, and the key of the last; None where there are none."""

    rows: int
    upto: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """It says by which columns, of which types, a table is gone through; an index has them in this order."""

    table: str
    columns: Sequence[tuple[str, str]]

    def between(self) -> str:
        """Returns the condition for the rows behind `:after`, as far as `:upto`."""
        names = ", ".join(compose("$table.$name", table=self.table, name=name) for name, _ in self.columns)
        return compose(_BETWEEN, columns=names, after=self._values("after"), upto=self._values("upto"))

    def part(self, name: str) -> Statement[Part]:
        """Returns the statement that finds the next `:size` rows behind `:after`, as far as `:upto`."""
        names = ", ".join(column for column, _ in self.columns)
        sql = compose(_PART, columns=names, table=self.table, between=self.between())
        return Statement(name, Part, sql)

    def _values(self, bound: str) -> str:
        return ", ".join(
            compose(_VALUE, bound=bound, place=str(place), type=kind) for place, (_, kind) in enumerate(self.columns)
        )
