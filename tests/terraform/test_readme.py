"""terraform/README.md: its tables are the module's, and what it tells people to write is planned."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.terraform.core import Terraform
from tests.terraform.readme import README, variables, with_tables

_PAGE: Final = README.read_text()


def test_the_tables_are_those_of_the_module() -> None:
    assert with_tables(_PAGE) == _PAGE, "python -m tests.terraform.readme writes them anew"


def _block(title: str) -> str:
    (block,) = re.findall(r"```hcl\n(.*?)```", _PAGE.split(f"## {title}\n")[1].split("\n## ")[0], re.DOTALL)
    return str(block)


def test_the_smallest_that_works_is_small() -> None:
    assert len(_block("The smallest that works").splitlines()) <= 5


def test_everything_on_names_what_can_be_switched_on() -> None:
    """All that are off by themselves; of two that exclude each other one."""
    off = {
        name for name, body in variables().items() if re.search(r"^  default += (null|\{\}|\[\])$", body, re.MULTILINE)
    }
    named = set(re.findall(r"^(\w+) += ", _block("Everything on"), re.MULTILINE))
    assert off - named == {"external", "database_instance", "trusted_proxies"}


@pytest.mark.terraform
@pytest.mark.parametrize("title", ["The smallest that works", "Everything on"])
def test_what_the_page_says_is_planned(title: str, terraform: Terraform, tmp_path: Path) -> None:
    file = tmp_path / "page.tfvars"
    file.write_text(_block(title))
    assert len(terraform.plan(f"-var-file={file}")["resource_changes"]) > 50
