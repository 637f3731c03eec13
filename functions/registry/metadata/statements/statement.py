"""A statement: SQL with a name, typed parameters and typed rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Template
from typing import Any, Final, Generic, TypeVar

from functions.registry.metadata.driver import Outcome
from functions.registry.metadata.statements.values import parameter, reader

Row = TypeVar("Row")

# What may have to wait for the locks of others. Functions are named that write or lock, where the text alone does not
# show it; a test asks the database for them.
_BLOCKING: Final = re.compile(
    r"\b(INSERT|UPDATE|DELETE|SHARE|LOCK|begin_push|claim_quota|fan_out|lock_deletions|tell_of_retention"
    r"|pg_try_advisory_xact_lock)\b"
)
# What is changed on somebody's behalf: triggers of these changes ask who it was, and why. A test asks the database for
# those triggers.
_CHANGING: Final = re.compile(
    r"\b((INSERT INTO|UPDATE|DELETE FROM)\s+(tags|manifests)|(UPDATE|DELETE FROM)\s+repositories"
    r"|DELETE FROM\s+(manifest_children|manifest_blobs|sparse_references))\b"
)
# The parameters of a statement that tells who and why by the way, which are filled in here.
_TELLING: Final = "set_config('slipway.actor', :actor, true)"

# All there are, by name: a test looks at the plan of each.
STATEMENTS: Final[dict[str, Statement[Any]]] = {}
# The texts of those that connections keep prepared.
PREPARED: Final[set[str]] = set()


@dataclass(frozen=True)
class Statement(Generic[Row]):
    """SQL with `:name` parameters, and what its rows become.

    `row` is a dataclass whose fields stand in the order of the columns, or the type of the only column. A column
    whose field is a Digest is read as one; a field that is a dataclass takes as many columns as it has fields.

    A brief one writes only rows that nobody holds for long, so it never waits for a push or a move. A hot one is run so
    often that connections keep it prepared; its plan is then made for whatever parameters come.
    """

    name: str
    row: type[Row]
    sql: str
    is_brief: bool = False
    is_hot: bool = False

    def __post_init__(self) -> None:
        if self.name in STATEMENTS:
            raise ValueError(f"two statements are named {self.name}")
        STATEMENTS[self.name] = self
        if self.is_hot:
            PREPARED.add(self.sql)

    @cached_property
    def _reader(self) -> Callable[[Iterator[Any]], Any]:
        return reader(self.row)

    @cached_property
    def may_block(self) -> bool:
        """Says whether it may have to wait for the locks of others: it is then kept from the connections of reads."""
        return not self.is_brief and _BLOCKING.search(self.sql) is not None

    @cached_property
    def is_change(self) -> bool:
        """Says whether it changes something of which is kept who changed it, and why."""
        return _CHANGING.search(self.sql) is not None

    @cached_property
    def is_telling(self) -> bool:
        """Says whether it tells the transaction who and why, beside what it is for."""
        return _TELLING in self.sql

    def read(self, outcome: Outcome) -> list[Row]:
        read = self._reader
        return [read(iter(row)) for row in outcome.rows]

    def __call__(self, **values: object) -> Call[Row]:
        """Returns the statement with its parameters, to be run alone or in a batch."""
        return Call(self, {name: parameter(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class Call(Generic[Row]):
    statement: Statement[Row]
    values: Mapping[str, Any]


def compose(sql: str, **pieces: str) -> str:
    """Returns the SQL with its `$places` filled. Pieces are constants of the program, as all SQL is."""
    return Template(sql).substitute(pieces)
