"""Files that pages and the code's own comments name are there: what moves takes its mentions along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT

FOLDERS: Final = ("functions", "cli", "local", "deploy", "terraform", "tests", "benchmarks", "docs")
NAMED: Final = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|sql|md|tf|json|toml)\b")
# Files that whoever reads the page writes.
OF_READERS: Final = {
    "functions/migrate/versions/pre/NNNN_subject.sql",
    "terraform/backend.tf",
}
PAGES: Final = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
CODE: Final = [path for folder in FOLDERS if folder != "docs" for path in (ROOT / folder).rglob("*.py")]


def missing(path: Path) -> list[str]:
    return [name for name in NAMED.findall(path.read_text()) if name not in OF_READERS and not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    assert missing(page) == []


def test_files_that_the_code_names_are_there() -> None:
    assert {str(path.relative_to(ROOT)): names for path in CODE if (names := missing(path))} == {}
