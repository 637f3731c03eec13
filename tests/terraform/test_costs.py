"""docs/deploy.md says what the sizes cost as terraform/sizes.tf has them, and that stays below what was promised."""

from __future__ import annotations

from typing import Final

import pytest

from tests.terraform.core import ROOT
from tests.terraform.costs import SIZES, millions, profile, table, totals

_DEPLOY: Final = (ROOT / "docs" / "deploy.md").read_text()


def test_the_page_has_the_table() -> None:
    assert table() in _DEPLOY, "python -m tests.terraform.costs prints it"


def test_the_page_of_scale_has_what_a_million_costs() -> None:
    assert millions() in (ROOT / "docs" / "scale.md").read_text(), "python -m tests.terraform.costs prints it"


@pytest.mark.parametrize(("size", "most"), [("tiny", 35), ("team", 105)])
def test_a_size_costs_at_most(size: str, most: float) -> None:
    assert totals(size)[1] <= most


def test_the_page_says_what_quota_each_size_takes() -> None:
    """It says vCPU and GiB; those above a new project's have to be asked for."""
    (row,) = (line for line in _DEPLOY.splitlines() if line.startswith("| all instances at once"))
    figures = [tuple(map(float, cell.split(", "))) for cell in row.strip("| ").split(" | ")[1:]]
    assert figures == [_all_at_once(size) for size in SIZES]
    assert [size for size, (vcpus, gib) in zip(SIZES, figures, strict=True) if vcpus > 20 or gib > 40] == ["large"]


def _all_at_once(size: str) -> tuple[float, float]:
    chosen = profile(size)
    instances = int(chosen["registry_max_instances"])
    return instances * 1.5, instances * (int(chosen["registry_memory_mib"]) + 256) / 1024


@pytest.mark.parametrize("size", SIZES)
def test_the_page_describes_the_size(size: str) -> None:
    chosen = profile(size)
    row = f"`{chosen['database_tier']}`, {chosen['database_max_connections']}"
    assert row in _DEPLOY
    figures = [chosen[f"registry_{name}"] for name in ("min_instances", "max_instances", "concurrency", "connections")]
    assert "{}\N{EN DASH}{}, {}, {}".format(*figures) in _DEPLOY
