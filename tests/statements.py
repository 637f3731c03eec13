"""Statements of the tests themselves: no test looks at their plans and rights."""

from __future__ import annotations

from typing import TypeVar

from functions.registry.metadata.db import STATEMENTS, Statement

Row = TypeVar("Row")


def of_tests(name: str, row: type[Row], sql: str, *, is_hot: bool = False) -> Statement[Row]:
    """A statement that is not listed among those of the product."""
    statement = Statement(name, row, sql, is_hot=is_hot)
    del STATEMENTS[name]
    return statement
