"""What a command gives: a table for people, and for programs the API's own fields, written as they come.

Data goes to stdout, talk to stderr. Nothing is cut in silence.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from slipway_cli import units
from slipway_cli.failures import ClosedPipe
from slipway_cli.printable import printable

FORMATS: Final = ("table", "json", "jsonl", "csv", "name")
# How many rows people are shown who did not say how many.
ROWS: Final = 100
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """`field` of the API, with dots into what lies within."""

    title: str
    field: str
    show: Callable[[Any], str] | None = None
    is_right: bool = False

    def cell(self, item: Item) -> str:
        value = self.value(item)
        return self.show(value) if self.show else plain(value)

    def value(self, item: Item) -> Any:
        found: Any = item
        for part in self.field.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found


def plain(value: Any) -> str:
    """Writes a value as people read it, on one line of a terminal, whatever signs a stranger's name has."""
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name}={plain(inner)}" for name, inner in value.items()) or "-"
    if isinstance(value, list):
        return " ".join(plain(each) for each in value)
    return printable(str(value))


def text(title: str, field: str) -> Column:
    return Column(title, field)


def count(title: str, field: str) -> Column:
    return Column(title, field, lambda value: "-" if value is None else str(value), is_right=True)


def size(title: str, field: str) -> Column:
    return Column(title, field, units.size, is_right=True)


def time(title: str, field: str, never: str = "-") -> Column:
    return Column(f"{title} (UTC)", field, lambda value: units.time(value) if value else never)


def length(title: str, field: str) -> Column:
    return Column(title, field, units.length, is_right=True)


def digest(title: str, field: str) -> Column:
    """Returns as many signs of it as tell it apart; `show` has all."""
    return Column(title, field, lambda value: f"{value[:19]}…" if value else "-")


@dataclass(frozen=True, slots=True)
class Form:
    """What was asked for: `limit` None is all there is."""

    format: str
    limit: int | None
    columns: tuple[str, ...]

    @property
    def rows(self) -> int | None:
        """Returns how many are shown. Programs get all, people as many as they can look at, unless they say how
        many.
        """
        if self.limit is not None:
            return self.limit or None
        return ROWS if self.format == "table" else None

    def page(self, most: int = 1000) -> int:
        """Returns how many to ask for at once: one more than are shown tells whether there are more."""
        return most if self.rows is None else min(most, self.rows + 1)


def gives_list(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds -o, --limit and --columns, which come as `form`."""
    function = click.option(
        "--limit",
        type=click.IntRange(0, 10**9),
        metavar="N",
        help=f"At most so many; 0 for all. A table has {ROWS} if nothing is said, everything else all.",
    )(function)
    return _gives(function)


def gives_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds -o and --columns, which come as `form`."""
    return _gives(function)


def _gives(function: Callable[..., Any]) -> Callable[..., Any]:
    @click.option("--columns", metavar="FIELD,FIELD", help="Which fields of the API a table or csv has, in this order.")
    @functools.wraps(function)
    def run(*args: Any, output: str, columns: str | None, limit: int | None = None, **more: Any) -> Any:
        wanted = tuple(filter(None, (columns or "").split(",")))
        return function(*args, form=Form(output, limit, wanted), **more)

    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        help="A table for people; json, jsonl, csv, or the names alone.",
    )(run)


def show_list(
    items: Iterable[Item], columns: Sequence[Column], form: Form, name: str = "name", at_once: int = 1000
) -> int:
    """Returns how many were written. `name` is the field by which one of them is called.

    A table is laid out by `at_once` of them, and what comes later is written as it comes.
    """
    source = iter(items)
    counted = _Counted(_with_fields(source, form.columns), form.rows)
    if form.columns:
        columns = [Column(each, each) for each in form.columns]
    match form.format:
        case "json":
            _write_array(counted)
        case "jsonl":
            for item in counted:
                write_line(_json(item))
        case "csv":
            _write_csv(counted, form.columns)
        case "name":
            for item in counted:
                write_line(plain(item[name]))
        case _:
            _write_table(counted, columns, at_once)
    if counted.count == form.rows and next(source, None) is not None:
        say(f"there are more than these {counted.count}: --limit {counted.count * 10}, or --limit 0 for all")
    return counted.count


def show_one(item: Item, columns: Sequence[Column], form: Form, name: str = "name") -> None:
    """A table of one has a line for each field."""
    match form.format:
        case "json":
            write_line(json.dumps(item, indent=2, ensure_ascii=False))
        case "table":
            chosen = [Column(each, each) for each in form.columns] or columns
            width = max(len(column.title) for column in chosen)
            for column in chosen:
                write_line(f"{column.title:<{width}}  {column.cell(item)}")
        case _:
            show_list([item], columns, form, name)


class _Counted:
    """At most so many."""

    def __init__(self, items: Iterator[Item], most: int | None) -> None:
        self._items = itertools.islice(items, most)
        self.count = 0

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.count += 1
            yield item


def _with_fields(items: Iterator[Item], wanted: Sequence[str]) -> Iterator[Item]:
    """Raises click's UsageError for a field that the first of them lacks."""
    for number, item in enumerate(items):
        if number == 0:
            for field in wanted:
                if field.partition(".")[0] not in item:
                    raise click.UsageError(f"there is no field {field}: there are {', '.join(item)}")
        yield item


def _write_array(items: Iterable[Item]) -> None:
    """Writes a JSON array, of which no more than an item is held."""
    before = "[\n"
    for item in items:
        write(f"{before}{_json(item)}")
        before = ",\n"
    write_line("\n]" if before != "[\n" else "[]")


def _write_csv(items: Iterable[Item], chosen: Sequence[str]) -> None:
    """Writes rows, with the names of the fields first: those that were chosen, else those of the first item."""
    columns: list[Column] = []
    for item in items:
        if not columns:
            columns = [Column(field, field) for field in chosen or item]
            _write_csv_row([column.title for column in columns])
        _write_csv_row([_csv_cell(column, item) for column in columns])


def _write_csv_row(cells: Sequence[str]) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    write(line.getvalue())


def _csv_cell(column: Column, item: Item) -> str:
    value = column.value(item)
    return _json(value) if isinstance(value, dict | list | bool) else "" if value is None else str(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _write_table(items: Iterable[Item], columns: Sequence[Column], at_once: int) -> None:
    shown = iter(items)
    titles = [column.title for column in columns]
    widths = [len(title) for title in titles]
    is_first = True
    while lines := [[column.cell(item) for column in columns] for item in itertools.islice(shown, at_once)]:
        widths = [max(width, *map(len, cells)) for width, cells in zip(widths, zip(*lines, strict=True), strict=True)]
        if is_first:
            _write_row(titles, widths, columns)
        for line in lines:
            _write_row(line, widths, columns)
        is_first = False
    if is_first:
        say("nothing")


def _write_row(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> None:
    sides = [column.is_right for column in columns]
    padded = [cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(cells, widths, sides, strict=True)]
    write_line("  ".join(padded).rstrip())


def write_line(line: str) -> None:
    write(f"{line}\n")


def write(data: str) -> None:
    """Writes to stdout. Raises ClosedPipe; an OSError, such as a full disk's, is main.py's."""
    try:
        sys.stdout.write(data)
    except BrokenPipeError as error:
        raise ClosedPipe from error


def say(line: str) -> None:
    """Speaks to people: programs that read the data never see it."""
    sys.stdout.flush()
    click.echo(printable(line), err=True)
