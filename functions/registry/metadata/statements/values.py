"""Between Python and the columns of a row: what rows become, and what is made of a parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from functions.registry.oci.digest import Digest


def reader(kind: Any) -> Callable[[Iterator[Any]], Any]:
    """Returns what makes one value of that kind of as many of a row's columns as it takes."""
    if kind == Digest:
        return lambda columns: Digest.from_bytes(next(columns))
    if kind == (Digest | None):
        return lambda columns: None if (stored := next(columns)) is None else Digest.from_bytes(stored)
    if not is_dataclass(kind):
        return next
    made: Any = kind
    hints = get_type_hints(kind)
    readers = [reader(hints[column.name]) for column in fields(kind)]
    return lambda columns: made(*[read(columns) for read in readers])


def parameter(value: object) -> object:
    """Returns the value as the driver takes it: a digest as its bytes, a name of the program's own type as a str."""
    if isinstance(value, Digest):
        return value.to_bytes()
    if isinstance(value, list | tuple):
        return [item.to_bytes() if isinstance(item, Digest) else item for item in value]
    return str(value) if isinstance(value, str) else value
