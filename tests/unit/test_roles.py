"""Roles: each may do all that the one below may."""

from __future__ import annotations

import pytest

from functions.registry.auth.caller import ANYONE_OPEN, Access, Caller
from functions.registry.auth.roles import ACTIONS, Role, actions, role_from


def test_each_role_may_do_all_that_the_one_below_may() -> None:
    for lower, higher in zip(list(Role), list(Role)[1:], strict=False):
        assert lower < higher
        assert ACTIONS[lower] <= ACTIONS[higher]


def test_delete_takes_more_than_push() -> None:
    assert actions(Role.READER) == {"pull"}
    assert actions(Role.WRITER) == {"pull", "push"}
    assert actions(Role.MAINTAINER) == {"pull", "push", "delete"}
    assert actions(None) == set()


@pytest.mark.parametrize("role", Role)
def test_a_label_is_read_back(role: Role) -> None:
    assert Role.parse(role.label) is role


@pytest.mark.parametrize("text", ["", "owner", "READER", "reader ", "1", "reader\n"])
def test_another_text_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError, match="must be one of reader, writer, maintainer, admin"):
        Role.parse(text)


@pytest.mark.parametrize(
    ("granted", "role"),
    [
        (set(), None),
        ({"delete"}, None),
        ({"pull"}, Role.READER),
        ({"pull", "delete"}, Role.READER),
        ({"push"}, Role.WRITER),
        ({"pull", "push"}, Role.WRITER),
        ({"push", "delete"}, Role.MAINTAINER),
        ({"*"}, Role.ADMIN),
        ({"*", "pull"}, Role.ADMIN),
    ],
)
def test_a_role_is_made_from_what_another_issuer_granted(granted: set[str], role: Role | None) -> None:
    assert role_from(granted) == role


def test_a_caller_may_do_what_the_token_grants_and_nothing_elsewhere() -> None:
    caller = Caller("robot", "ci", access={"a/b": Access("a/b", frozenset({"pull"}), Role.MAINTAINER)})
    assert caller.may("a/b", "pull")
    assert not caller.may("a/b", "push")
    assert not caller.may("a", "pull")
    assert not caller.may("a/b/c", "pull")
    assert (caller.rank("a/b"), caller.rank("a")) == (3, 0)


def test_an_administrators_token_opens_only_what_it_names() -> None:
    assert not Caller("user", "root", is_admin=True).may("a", "pull")


def test_all_actions_are_every_action() -> None:
    caller = Caller("external", "", access={"a": Access("a", frozenset({"*"}), Role.ADMIN)})
    assert all(caller.may("a", action) for action in ("pull", "push", "delete"))


def test_in_open_mode_everybody_may_everything() -> None:
    assert ANYONE_OPEN.may("any/thing", "delete")
    assert ANYONE_OPEN.rank("any/thing") == Role.ADMIN


@pytest.mark.parametrize(
    ("caller", "label"),
    [(Caller("robot", "ci"), "robot:ci"), (Caller("anonymous", ""), "anonymous"), (ANYONE_OPEN, "open")],
)
def test_a_label_says_who_it_is(caller: Caller, label: str) -> None:
    assert caller.label == label
