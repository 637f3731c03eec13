"""What there is, on the command line for operators."""

from __future__ import annotations

import pytest

from functions.registry.metadata.db import Database
from functions.registry.metadata.lists.filters import REPOSITORY_ORDERS
from tests.cli.test_operator import Line, line
from tests.metadata.build import APP, push_image, query
from tests.metadata.list_rows import (
    MANY_TAGS,
    fill_repositories,
    fill_tags,
    known_namespaces,
    known_repositories,
    known_tags,
)

__all__ = ["line"]


def names(rows: list[list[str]]) -> list[str]:
    return [row[0] for row in rows]


def test_repositories_in_every_order(line: Line, database: Database) -> None:
    fill_repositories(database, 12)
    known = known_repositories(database)
    for order in REPOSITORY_ORDERS:
        assert names(line.rows("repositories", "list", "--sort", order)) == known.sorted_by(order)
        assert names(line.rows("repositories", "list", f"--sort=-{order}")) == known.sorted_by(order, descending=True)
    of_ash = [name for name in known.sorted_by("name") if name.startswith("ash/")]
    assert names(line.rows("repositories", "list", "--namespace", "ash")) == of_ash
    assert names(line.rows("repositories", "list", "--limit", "3")) == known.sorted_by("name")[:3]
    assert names(line.rows("repositories", "list", "--name", "r1")) == [
        name for name in known.sorted_by("name") if "r1" in name
    ]
    assert line.rows("repositories", "list", "--kind", "chart") == []


def test_a_repository_and_its_tags_in_a_line(line: Line, database: Database) -> None:
    image = push_image(database, APP, "v1")
    query(database, "UPDATE repository_usage SET pulls = 7, pulled_at = '2026-03-04 05:06:07Z'")
    size = str(sum(map(len, image.blobs)) + len(image.manifest))
    [shown] = line.rows("repositories", "list")
    assert shown[:5] == ["team/app", size, "1", "1", "7"]
    assert shown[7:] == ["2026-03-04", "05:06", "0"]
    [tag] = line.rows("tags", "list", "team/app")
    assert (tag[:4], tag[-2:]) == (["v1", "image", size, "0"], ["-", str(image.digest)])
    [namespace] = line.rows("namespaces", "list")
    assert namespace[:4] == ["team", size, "1", "1"]


def test_tags_and_namespaces_are_sorted_too(line: Line, database: Database) -> None:
    fill_tags(database, 12)
    expected = known_tags(database).sorted_by("pulls", descending=True)
    assert names(line.rows("tags", "list", MANY_TAGS, "--sort=-pulls")) == expected
    fill_repositories(database, 6)
    assert names(line.rows("namespaces", "list", "--sort=size")) == known_namespaces(database).sorted_by("size")
    assert "no repository not/there" in line.refused("tags", "list", "not/there")


@pytest.mark.parametrize("wrong", [["repositories", "list", "--sort=bytes"], ["tags", "list", "A"], ["tags", "list"]])
def test_what_is_malformed_is_told_of(line: Line, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        line.run(*wrong)
