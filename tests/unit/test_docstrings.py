"""A function's docstring begins with what the function does: a subject and a verb, or the verb alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("functions", "cli", "deploy", "local", "benchmarks", "tests")
# What begins so is no sentence: what is given back, and when, is to be said with a verb.
FRAGMENT: Final = re.compile(
    r"(Whether|Which of|Of|By|With|At|On|To|Also|Not|Or|Up to|Until|Behind|Around|Beside|Under|After|Before)\b"
    r"|As (?!long)|For (?!whoever)|How (many|much|long|large|often)\b|In (seconds|bytes|order|the order)\b"
    r"|(None|False|True) (if|where|for|also|with|when)\b"
)


def beginnings(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (said := ast.get_docstring(node)):
            yield node.name, said


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_docstring_begins_with_a_subject_and_a_verb(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}: {said.splitlines()[0]}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, said in beginnings(path)
        if FRAGMENT.match(said)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("said", "is_fragment"),
    [
        ("Whether it is there.", True),
        ("None if there is no such tag.", True),
        ("In seconds: twice as long.", True),
        ("Says whether it is there.", False),
        ("None takes it away.", False),
        ("As long as it runs, nothing else does.", False),
        ("A blob is linked.", False),
    ],
)
def test_what_is_no_sentence(said: str, is_fragment: bool) -> None:
    assert (FRAGMENT.match(said) is not None) == is_fragment
