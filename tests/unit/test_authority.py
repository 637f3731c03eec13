"""What a standing in the database lets somebody administer."""

from __future__ import annotations

import pytest

from functions.registry.auth.authority import ALL_AUTHORITY, NO_AUTHORITY, Authority
from functions.registry.metadata.access.grants import Standing


def of(*patterns: str, is_admin: bool = False) -> Authority:
    return Authority.of(Standing(is_admin, list(patterns)))


def test_an_administrator_of_the_registry_is_one_of_everything() -> None:
    for authority in (ALL_AUTHORITY, of(is_admin=True), of("team/**", is_admin=True)):
        assert authority.is_some
        assert authority.over(None)
        assert authority.over("team/x")
        assert authority.over_pattern("**")


def test_nobody_administers_nothing() -> None:
    for authority in (NO_AUTHORITY, of(), of("team/app", "team/*", "team", "**/x")):
        assert not authority.is_some
        assert not authority.over("team")
        assert not authority.over_pattern("team/app")


def test_each_pattern_that_covers_a_namespace_counts() -> None:
    authority = of("team/app", "team/**", "lab-*/**")
    assert [authority.over(name) for name in ("team", "lab-1", "lab-", "lab", "teams")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert authority.over_pattern("lab-1/**")
    assert not authority.over_pattern("lab-*/**"), "more than one namespace"


@pytest.mark.parametrize("name", ["", "a/b", "*", "a*", "a\n", "\n", "A", "ä", "a b", "a\0", "/", "a/"])
def test_over_all_namespaces_is_over_nothing_else(name: str) -> None:
    assert not of("**").over(name)
    assert not of("**").over(None)


@pytest.mark.parametrize("pattern", ["", "a", "**", "*/x", "a*/x", "/x", "a**", "**/a", "ä/x"])
def test_over_all_namespaces_is_over_no_pattern_beyond_one(pattern: str) -> None:
    assert not of("**").over_pattern(pattern)
