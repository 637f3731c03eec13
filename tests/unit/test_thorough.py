"""What is left to `make test-thorough` is there, and named once."""

from __future__ import annotations

import ast
from itertools import chain

import pytest

from tests.conftest import ROOT
from tests.thorough import THOROUGH, is_thorough

NAMED = list(chain.from_iterable(THOROUGH.values()))


@pytest.mark.parametrize("named", NAMED)
def test_what_is_named_is_there(named: str) -> None:
    path, _, function = named.partition("::")
    assert (ROOT / path).exists()
    if function:
        tree = ast.parse((ROOT / path).read_text())
        assert function in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_nothing_is_named_twice() -> None:
    assert len(NAMED) == len(set(NAMED))
    assert not [each for each in NAMED if "::" in each and each.partition("::")[0] in NAMED]


@pytest.mark.parametrize(
    ("node", "is_left"),
    [
        ("tests/terraform/test_policy.py::test_any", True),
        ("tests/local/test_endings.py::test_any[case]", True),
        ("tests/retention/test_random.py::test_what_is_planned_and_what_goes_is_the_models[3]", True),
        ("tests/retention/test_random.py::test_verdicts_are_those_of_the_model", False),
        ("tests/terraform_of_others::test_any", False),
        ("tests/local/test_pieces.py::test_any", False),
    ],
)
def test_a_folder_a_module_and_a_function_are_named_with_all_they_have(node: str, is_left: bool) -> None:
    assert is_thorough(node) == is_left
