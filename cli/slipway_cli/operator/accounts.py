"""`users` and `robots`: who there is."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from typing import Any

from functions.registry.auth import accounts
from functions.registry.auth.accounts import NewAccount
from functions.registry.metadata.access import principals
from functions.registry.metadata.access.principals import Principal
from functions.registry.oci.page import Page
from slipway_cli.operator.shared import CommandRefused, Desk, add_command, add_subject, show


def add_commands(subjects: Any) -> None:
    users = add_subject(subjects, "users", "people")
    _add_common(users, "user")
    added = add_command(
        users, "add", _add, "make a user; `secrets add` then gives a secret, `users password` a password"
    )
    added.add_argument("name")
    added.add_argument("--admin", action="store_true", help="administers the registry, and has every right in it")
    added.set_defaults(kind="user", namespace=None)
    password = add_command(
        users, "password", _password, "set a user's password: asked for, or the first line of the input"
    )
    password.add_argument("name")
    password.add_argument("--remove", action="store_true", help="take it away: secrets still sign in")
    robots = add_subject(subjects, "robots", "what signs in by itself: CI jobs, clusters, scripts")
    _add_common(robots, "robot")
    added = add_command(robots, "add", _add, "make a robot; `secrets add` then gives it a secret, `grants add` rights")
    added.add_argument("name")
    added.add_argument("--namespace", help="the first part of the repositories that it belongs to")
    added.set_defaults(kind="robot", admin=False)


def _add_common(commands: Any, kind: str) -> None:
    listed = add_command(commands, "list", _list, f"every {kind}")
    listed.set_defaults(kind=kind, namespace=None)
    if kind == "robot":
        listed.add_argument("--namespace", help="only those that belong to it")
    for name, run, purpose in (
        ("disable", _disable, "nothing signs it in any more; tokens that it has end within minutes"),
        ("enable", _enable, "it may sign in again"),
        ("remove", _remove, "with its secrets, trusted publishers and grants"),
    ):
        command = add_command(commands, name, run, purpose)
        command.add_argument("name")
        command.set_defaults(kind=kind)


def _list(desk: Desk, options: argparse.Namespace) -> None:
    found = [each for each in _every(desk, options.namespace) if each.kind == options.kind]
    show(
        ("name", "namespace", "administrator", "disabled"),
        [(each.name, each.namespace, each.is_admin, each.disabled) for each in found],
    )


def _every(desk: Desk, namespace: str | None) -> Iterator[Principal]:
    page = Page()
    while True:
        found = principals.list_page(desk.database, page, namespace)
        yield from found[: page.size]
        if len(found) <= page.size:
            return
        page = Page(last=found[page.size - 1].name)


def _add(desk: Desk, options: argparse.Namespace) -> None:
    account = NewAccount(options.kind, options.name, options.namespace, options.admin)
    made = accounts.create(desk.database, account)
    desk.record("principal.add", made.label, made.namespace, is_admin=made.is_admin)
    print(f"{made.label} is there; next: `secrets add {made.name} SECRET-NAME`, `grants add {made.name} PATTERN ROLE`")


def _password(desk: Desk, options: argparse.Namespace) -> None:
    principal = _of_kind(desk, options.name, "user")
    accounts.set_password(desk.database, principal, None if options.remove else _asked())
    desk.record("principal.password", principal.label, principal.namespace, removed=options.remove)
    print(f"{principal.label}: the password is {'gone' if options.remove else 'set'}")


def _asked() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("New password: ")
    return sys.stdin.readline().rstrip("\r\n")


def _disable(desk: Desk, options: argparse.Namespace) -> None:
    principal = _of_kind(desk, options.name, options.kind)
    principals.disable(desk.database, principal.id)
    desk.record("principal.disable", principal.label, principal.namespace)
    print(f"{principal.label} is disabled")


def _enable(desk: Desk, options: argparse.Namespace) -> None:
    principal = _of_kind(desk, options.name, options.kind)
    principals.enable(desk.database, principal.id)
    desk.record("principal.enable", principal.label, principal.namespace)
    print(f"{principal.label} is enabled")


def _remove(desk: Desk, options: argparse.Namespace) -> None:
    principal = _of_kind(desk, options.name, options.kind)
    principals.delete(desk.database, principal.id)
    desk.record("principal.remove", principal.label, principal.namespace)
    print(f"{principal.label} is gone")


def _of_kind(desk: Desk, name: str, kind: str) -> Principal:
    principal = desk.known(name)
    if principal.kind != kind:
        raise CommandRefused(f"{name} is a {principal.kind}: use `{principal.kind}s`")
    return principal
