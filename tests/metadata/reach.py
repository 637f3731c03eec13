"""Which statements a function can run: those that its code leads to, read from the source.

From everything in the function's folder on, what a piece of code names is reached; a method is, when its class is
reached and something of its name is used anywhere. So it finds too much rather than too little.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Final

from functions.registry.metadata.db import Statement

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Something at the top of a module, or a method there: `Database.batch`."""

    module: str
    name: str


# Two functions share a folder.
_FILES: Final = {
    "migrate": [f"migrate/{name}" for name in ("main.py", "schema.py", "grants.py", "administrator.py", "versions")],
    "work": ["migrate/work.py", "migrate/background", "migrate/backups", "migrate/checks", "migrate/imports"],
}
_ALL: Final = {
    Place(f"functions.registry.metadata.{module}", "STATEMENTS") for module in ("db", "statements.statement")
}


@dataclass(frozen=True, slots=True)
class _Module:
    pieces: dict[str, ast.AST]
    methods: dict[str, dict[str, ast.AST]]
    imported: dict[str, Place]


@cache
def _module(name: str) -> _Module | None:
    path = ROOT / (name.replace(".", "/") + ".py")
    if not path.exists():
        return None
    pieces: dict[str, ast.AST] = {}
    methods: dict[str, dict[str, ast.AST]] = {}
    imported: dict[str, Place] = {}
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported |= {alias.asname or alias.name: Place(node.module, alias.name) for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            pieces[node.name] = node
        elif isinstance(node, ast.ClassDef):
            methods[node.name] = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
            rest = [each for each in node.body if not isinstance(each, ast.FunctionDef)]
            pieces[node.name] = ast.Module([*map(ast.Expr, node.bases), *rest], [])
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            pieces |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return _Module(pieces, methods, imported)


def statements_of(function: str) -> set[str]:
    """The names of the statements that the function can run."""
    reached: set[Place] = set()
    attributes: set[str] = set()
    waiting = list(_entries(function))
    while waiting:
        while waiting:
            place = waiting.pop()
            if place not in reached:
                reached.add(place)
                waiting += _named_by(place, attributes)
        waiting = [method for method in _methods(reached, attributes) if method not in reached]
    return {name for place in reached for name in _statements(place)}


def _files(function: str) -> Iterator[Path]:
    for name in _FILES.get(function, [function]):
        path = ROOT / "functions" / name
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def _entries(function: str) -> Iterator[Place]:
    for path in _files(function):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = _module(name)
        assert module is not None
        yield from (Place(name, piece) for piece in module.pieces)
        yield from (Place(name, f"{kind}.{each}") for kind, found in module.methods.items() for each in found)


def _named_by(place: Place, attributes: set[str]) -> Iterator[Place]:
    module = _module(place.module)
    if module is None:
        return
    if place.name in module.imported:
        yield module.imported[place.name]
    kind, _, method = place.name.partition(".")
    node = module.methods.get(kind, {}).get(method) if method else module.pieces.get(kind)
    if node is None:
        return
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute):
            attributes.add(each.attr)
            if isinstance(each.value, ast.Name) and (source := module.imported.get(each.value.id)):
                yield Place(f"{source.module}.{source.name}", each.attr)
        if isinstance(each, ast.Name):
            yield module.imported.get(each.id, Place(place.module, each.id))


def _methods(reached: set[Place], attributes: set[str]) -> Iterator[Place]:
    for place in list(reached):
        module = _module(place.module)
        for name in module.methods.get(place.name, {}) if module else {}:
            if name in attributes or name.startswith("__"):
                yield Place(place.module, f"{place.name}.{name}")


def _statements(place: Place) -> Iterator[str]:
    """Those that a constant is, or holds, but for the list of all. What the framework loads, and nobody else, holds
    none.
    """
    is_ours = place.module.startswith("functions.") and not place.module.endswith((".main", ".migrate.work"))
    if place not in _ALL and is_ours and _module(place.module) is not None:
        yield from _in(getattr(importlib.import_module(place.module), place.name, None))


def _in(value: object) -> Iterator[str]:
    if isinstance(value, Statement):
        yield value.name
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _in(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _in(getattr(value, field.name))
