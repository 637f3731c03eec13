"""The table of README.md beside this: each of its rows names tests that there are, and no field is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from functions.api.gitlab import paths
from functions.registry.metadata.gitlab import repositories as gitlab
from functions.registry.metadata.gitlab import tag_images, tags
from tests.api.description import DOCUMENT, OPERATIONS
from tests.conftest import ROOT

PAGE: Final = (ROOT / "docs" / "api.md").read_text()
SECTION: Final = PAGE.partition("\n## GitLab's API\n")[2].partition("\n## ")[0]
TABLE: Final = Path(__file__).with_name("README.md").read_text()
ROWS: Final = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| ") and "`test_" in line]
QUOTED: Final = re.compile(r"`(\w+)`")


@cache
def functions() -> set[str]:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests" / "gitlab").glob("test_*.py")]
    return {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def fields(schema: dict[str, Any]) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from fields(inner)
    if "items" in schema:
        yield from fields(schema["items"])


def test_every_row_is_ticked_by_tests_that_there_are() -> None:
    assert len(ROWS) > 40
    for what, _, shown_by in ROWS:
        names = set(QUOTED.findall(shown_by))
        assert names, what
        assert names <= functions(), what


def test_every_field_has_a_row() -> None:
    told = {name for what, _, _ in ROWS for name in QUOTED.findall(what)}
    schemas = DOCUMENT["components"]["schemas"]
    shown = {name for kind in ("GitLabRepository", "GitLabTag", "GitLabTagDetails") for name in fields(schemas[kind])}
    shown |= {"config", "platform", "references", "release", "database"} - {"artifactType"}
    assert shown - told <= {"artifactType"}


def test_every_parameter_has_a_row() -> None:
    told = {name for what, _, _ in ROWS for name in QUOTED.findall(what)}
    asked = {name for operation in OPERATIONS if "/gitlab/" in operation.path for name in operation.parameters("query")}
    assert asked - told == {"sort", "dry_run"}, "told of in words"


def test_numbers_are_those_of_the_code() -> None:
    assert f"Beyond {gitlab.MOST_LOOKED_AT:,} of them" in SECTION
    assert f"{tag_images.MOST_IMAGES} of them at most" in SECTION
    assert f"shows {tags.MOST_REFERRERS} referrers at most" in SECTION
    [size] = [parameter for operation in OPERATIONS if operation.path.endswith("/tags/list/")
              for name, parameter in operation.parameters("query").items() if name == "n"]  # fmt: skip
    assert size["schema"] == {
        "type": "integer", "minimum": 1, "maximum": paths.LARGEST_SIZE, "default": paths.DEFAULT_SIZE,
    }  # fmt: skip
