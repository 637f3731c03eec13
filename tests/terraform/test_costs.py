"""docs/deploy.md says what the sizes cost as terraform/sizes.tf has them, and that stays below what was promised."""

from __future__ import annotations

from typing import Final

import pytest

from tests.terraform.core import ROOT
from tests.terraform.costs import SIZES, profile, table, totals

_DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text()


def test_the_page_has_the_table() -> None:
    assert table() in _DEPLOY, "python -m tests.terraform.costs prints it"


@pytest.mark.parametrize(("size", "most"), [("tiny", 35), ("team", 105)])
def test_a_size_costs_at_most(size: str, most: float) -> None:
    assert totals(size)[1] <= most


@pytest.mark.parametrize("size", SIZES)
def test_the_page_describes_the_size(size: str) -> None:
    chosen = profile(size)
    row = f"`{chosen['database_tier']}`, {chosen['database_max_connections']}"
    assert row in _DEPLOY
    figures = [chosen[f"registry_{name}"] for name in ("min_instances", "max_instances", "concurrency", "connections")]
    assert "{}\N{EN DASH}{}, {}, {}".format(*figures) in _DEPLOY
