"""The tables of terraform/README.md, from the module itself: `python -m tests.terraform.readme` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.terraform.core import ROOT

_FOLDER: Final = ROOT / "terraform"
README: Final = _FOLDER / "README.md"
_BLOCK: Final = r'^{kind} "(\w+)" \{{\n(.*?)^\}}$'
_DESCRIPTION: Final = re.compile(r'^  description = "(.*)"$', re.MULTILINE)
_SIMPLE: Final = re.compile(r"^  type +?= (\w+(?:\(\w+\))?)$", re.MULTILINE)
_DEFAULT: Final = re.compile(r"^  default +?= (.+?)(?: #.*)?$", re.MULTILINE)
_TABLE: Final = "<!-- {name} -->\n{table}\n<!-- end -->"


def blocks(kind: str, pattern: str) -> dict[str, str]:
    """Returns them by name, in the order of the files."""
    found: dict[str, str] = {}
    for path in sorted(_FOLDER.glob(pattern)):
        found |= _blocks(kind, path)
    return found


def _blocks(kind: str, path: Path) -> dict[str, str]:
    text = path.read_text()
    return dict(re.findall(_BLOCK.format(kind=kind), text, re.MULTILINE | re.DOTALL))


def variables() -> dict[str, str]:
    return blocks("variable", "variables*.tf")


def _row(name: str, body: str) -> str:
    (description,) = _DESCRIPTION.findall(body)
    default = next(iter(_DEFAULT.findall(body)), "(needed)")
    simple = _SIMPLE.findall(body)
    kind = simple[0] if simple else "object"
    return f"| `{name}` | {kind} | {default if default.startswith('(') else f'`{default}`'} | {description} |"


def inputs() -> Iterator[tuple[str, str]]:
    """The name of each file's table, and the table."""
    for path in sorted(_FOLDER.glob("variables*.tf")):
        rows = [_row(name, body) for name, body in _blocks("variable", path).items()]
        yield path.name, "\n".join(["| variable | type | default | what it says |", "|---|---|---|---|", *rows])


def outputs() -> str:
    rows = [f"| `{name}` | {_DESCRIPTION.findall(body)[0]} |" for name, body in blocks("output", "outputs.tf").items()]
    return "\n".join(["| output | what it is |", "|---|---|", *rows])


def tables() -> dict[str, str]:
    return {**dict(inputs()), "outputs.tf": outputs()}


def with_tables(page: str) -> str:
    for name, table in tables().items():
        pattern = rf"<!-- {re.escape(name)} -->\n(?:.*?\n)??<!-- end -->"
        text = _TABLE.format(name=name, table=table)
        page, count = re.subn(pattern, lambda _, text=text: text, page, flags=re.DOTALL)  # type: ignore[misc]
        assert count == 1, name
    return page


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
