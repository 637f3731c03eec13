"""Scopes: whatever is asked for, no more is granted than there is a right to (attack 24)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from functions.registry.auth.guard import Guard
from functions.registry.auth.roles import ACTIONS, Role
from functions.registry.auth.scopes import MOST_CHARACTERS, MOST_SCOPES, Scope, format_scopes, parse_scopes
from functions.registry.metadata.access import grants
from functions.registry.oci.name import RepositoryName
from tests.unit import strategies

KNOWN = {"pull", "push", "delete", "*"}


def repository(name: str, *actions: str) -> Scope:
    return Scope("repository", name, frozenset(actions))


@pytest.mark.parametrize(
    ("values", "scopes"),
    [
        (["repository:a/b:pull"], [repository("a/b", "pull")]),
        (["repository:a:push,pull"], [repository("a", "pull", "push")]),
        (["repository:a:*"], [repository("a", "*")]),
        (["repository(plugin):a:pull"], [repository("a", "pull")]),
        (["repository:a:pull repository:b:push"], [repository("a", "pull"), repository("b", "push")]),
        (["repository:b:pull", "repository:a:pull"], [repository("b", "pull"), repository("a", "pull")]),
        (["repository:a:pull", "repository:a:push"], [repository("a", "pull", "push")]),
        (["repository:a:pull,fly"], [repository("a", "pull")]),
        (["  repository:a:pull  "], [repository("a", "pull")]),
        (["registry:catalog:*"], [Scope("registry", "catalog", frozenset({"*"}))]),
        ([], []),
        ([""], []),
    ],
)
def test_scopes_are_read(values: list[str], scopes: list[Scope]) -> None:
    assert parse_scopes(values) == scopes


@pytest.mark.parametrize(
    "text",
    {
        "no actions": "repository:a:",
        "no such action": "repository:a:fly",
        "actions in upper case": "repository:a:PULL",
        "no such type": "plugin:a:pull",
        "a type in upper case": "Repository:a:pull",
        "a class without an end": "repository(plugin:a:pull",
        "no name": "repository::pull",
        "no parts": "pull",
        "two parts": "repository:pull",
        "a name with a colon": "repository:host:5000/a:pull",
        "a name in upper case": "repository:A:pull",
        "the parent folder": "repository:a/../b:pull",
        "a pattern": "repository:*:pull",
        "a pattern within": "repository:a/**:pull",
        "a comma in the name": "repository:a,b:pull",
        "a line's end after the name": "repository:a\n:pull",
        "a line's end for a space": "repository:a:pull\nrepository:b:push",
        "a tab for a space": "repository:a:fly\trepository:b:push",
        "a NUL": "repository:a\0:pull",
        "an encoded slash": "repository:a%2fb:pull",
        "all of the registry": "registry:*:*",
        "the catalog to read": "registry:catalog:pull",
        "the catalog and a colon": "registry:catalog::*",
    }.items(),
    ids=lambda case: case[0],
)
def test_what_cant_be_read_is_dropped(text: tuple[str, str]) -> None:
    assert parse_scopes([text[1]]) == []


def test_actions_after_a_line_end_are_no_actions() -> None:
    assert parse_scopes(["repository:a:pull\nrepository:b:push,pull"]) == []


def test_there_are_at_most_so_many_and_they_still_add_up() -> None:
    values = [f"repository:a{number}:pull" for number in range(MOST_SCOPES + 10)] + ["repository:a0:push"]
    scopes = parse_scopes(values[:MOST_SCOPES] + values[-1:])
    assert len(scopes) == MOST_SCOPES
    assert scopes[0].actions == {"pull", "push"}
    assert len(parse_scopes(values)) == MOST_SCOPES


def test_names_are_together_at_most_so_long() -> None:
    scopes = parse_scopes([f"repository:{'a' * 250}{number}:pull" for number in range(20)])
    assert sum(len(scope.name) for scope in scopes) <= MOST_CHARACTERS
    assert len(scopes) == MOST_CHARACTERS // 251


def test_the_same_scopes_are_always_the_same_text() -> None:
    scopes = [repository("b", "push", "pull"), repository("a", "pull", "delete")]
    assert format_scopes(scopes) == "repository:a:delete,pull repository:b:pull,push"
    assert format_scopes(reversed(scopes)) == format_scopes(scopes)


def scope_texts() -> SearchStrategy[str]:
    """What is nearly a scope, or several, or anything."""
    types = st.sampled_from(["repository", "registry", "repository(plugin)", "Repository", "", " repository"])
    names = (
        strategies.repository_texts() | st.sampled_from(["a", "b", "catalog", "*", "a*"]) | strategies.hostile_texts()
    )
    words = st.sampled_from(["pull", "push", "delete", "*", "PULL", "pull\n", "pull repository:b:push", ""])
    actions = st.lists(words | st.text(max_size=5), max_size=4).map(",".join)
    dividers = st.sampled_from([":", "::", " ", "\n", ",", "%3A", "\0"])
    return st.builds(
        lambda kind, name, asked, divider, last: f"{kind}{divider}{name}{last}{asked}",
        types,
        names,
        actions,
        st.just(":") | dividers,
        st.just(":") | dividers,
    )


def scope_lists() -> SearchStrategy[list[str]]:
    return st.lists(scope_texts() | strategies.hostile_texts() | st.text(), max_size=6)


@given(scope_lists())
def test_any_text_gives_scopes_that_are_valid(values: list[str]) -> None:
    for scope in parse_scopes(values):
        assert scope.actions
        assert scope.actions <= KNOWN
        if scope.type == "repository":
            assert RepositoryName.parse(scope.name) == scope.name
            assert any(scope.name in value for value in values)
        else:
            assert scope == Scope("registry", "catalog", frozenset({"*"}))


@given(scope_lists())
def test_scopes_are_read_back_as_they_were_written(values: list[str]) -> None:
    scopes = parse_scopes(values)
    assert parse_scopes([format_scopes(scopes)]) == sorted(scopes, key=lambda scope: (scope.type, scope.name))


@given(
    scope_lists(), st.dictionaries(strategies.repository_texts() | st.sampled_from(["a", "b"]), st.sampled_from(Role))
)
def test_no_scope_gets_more_than_the_role_gives(values: list[str], roles: dict[str, Role]) -> None:
    def held(_: Any, __: int | None, names: list[str]) -> Mapping[str, int]:
        return {name: int(roles[name]) for name in names if name in roles}

    with mock.patch.object(grants, "roles", held):
        caller = Guard(mock.Mock(), mock.Mock()).grant(None, parse_scopes(values))
    for name, access in caller.access.items():
        assert access.actions <= ACTIONS[roles[name]]
    for name in {*roles, "a", "b", "catalog"}:
        for action in ("pull", "push", "delete"):
            if caller.may(name, action):
                assert action in ACTIONS[roles[name]]
    assert not caller.is_admin


def test_of_too_many_names_those_that_are_pushed_to_are_kept() -> None:
    """Whatever the order: a client that names its target last would ask for ever."""
    pulled = [f"repository:a/{number}:pull" for number in range(MOST_SCOPES + 8)]
    for target in ("repository:z/target:pull,push", "repository:z/target:*", "repository:z/target:delete"):
        for asked in (
            [*pulled, target],
            [target, *pulled],
            [" ".join([*pulled, target])],
            [*pulled[:20], target, *pulled[20:]],
        ):
            scopes = parse_scopes(asked)
            assert len(scopes) == MOST_SCOPES
            assert "z/target" in [scope.name for scope in scopes]
            names = [scope.name for scope in scopes if scope.name != "z/target"]
            assert names == [f"a/{number}" for number in range(MOST_SCOPES - 1)]


def test_a_name_that_is_pushed_to_by_a_later_scope_is_kept() -> None:
    asked = [f"repository:a/{number}:pull" for number in range(MOST_SCOPES + 8)]
    last = f"a/{MOST_SCOPES + 7}"
    scopes = parse_scopes([*asked, f"repository:{last}:push"])
    assert scopes[-1] == repository(last, "pull", "push")


def test_of_names_that_are_too_long_together_those_that_are_pushed_to_are_kept() -> None:
    asked = [f"repository:{letter * 250}:pull" for letter in "abcdef"]
    scopes = parse_scopes([*asked, f"repository:{'z' * 250}:push"])
    assert [scope.name[0] for scope in scopes] == [*"abcd", "z"]
    assert sum(len(scope.name) for scope in scopes) <= MOST_CHARACTERS
