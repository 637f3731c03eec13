"""Administrators, where none can be asked: the first one, and one who is locked out."""

from __future__ import annotations

import click

from functions.registry.auth import accounts
from functions.registry.auth.accounts import AccountRefused, NewAccount
from functions.registry.metadata.access import principals
from functions.registry.metadata.access.principals import Principal, PrincipalExists
from slipway_cli.asking import changes, goes_on
from slipway_cli.failures import Failed, NotThere
from slipway_cli.operator.desk import Desk, opened
from slipway_cli.output import say, write_line
from slipway_cli.tree import alone


@alone("add-administrator", "slipway operator add-administrator root", is_local=True)
@click.argument("name")
def add_administrator(name: str) -> None:
    """Make a user who administers the registry, and print a secret for them, this once."""
    with opened() as desk:
        _require_pepper(desk)
        try:
            made = accounts.create(desk.database, NewAccount("user", name, is_admin=True))
        except (AccountRefused, PrincipalExists) as refused:
            raise Failed(str(refused), f"`slipway operator unlock {name}` lets somebody in who is there") from refused
        desk.record("principal.add", made.label, is_admin=True)
        _give_secret(desk, made)


@alone("unlock", "slipway operator unlock admin --dry-run", "slipway operator unlock admin --yes", is_local=True)
@click.argument("name")
@changes
def unlock(name: str, yes: bool, dry_run: bool) -> None:
    """Let a user or a robot in again: enabled, with a new secret that is printed this once. Older ones stay good."""
    with opened() as desk:
        _require_pepper(desk)
        found = principals.get(desk.database, name)
        if found is None:
            raise NotThere(f"there is no user and no robot called {name}")
        state = "disabled" if found.disabled else "enabled"
        if not goes_on(f"let {found.label} in, who is {state}, by a new secret", yes=yes, dry_run=dry_run):
            return
        if found.disabled:
            principals.enable(desk.database, found.id)
            desk.record("principal.enable", found.label)
        _give_secret(desk, found)


def _require_pepper(desk: Desk) -> None:
    if not desk.settings.pepper:
        raise Failed("a secret takes SLIPWAY_PEPPER, which is not set: it is hashed with it")


def _give_secret(desk: Desk, principal: Principal) -> None:
    made = accounts.add_secret(desk.database, principal, "by the operator", desk.settings.pepper)
    desk.record("secret.add", principal.label, id=made.id, name=made.name)
    say(f"the secret of {principal.name}, shown this once:")
    write_line(made.text)
