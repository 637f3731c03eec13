"""`user` and `robot`: who there is."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.completing import NAMESPACE, ROBOT, USER
from slipway_cli.failures import Failed, NotThere
from slipway_cli.output import Form, gives_list, gives_one, say, show_list, show_one, text
from slipway_cli.references import Namespace, Principal
from slipway_cli.session import connect
from slipway_cli.suggesting import principals, suggesting
from slipway_cli.tree import Group, command

PRINCIPALS: Final = "/api/v1/principals"
_COLUMNS: Final = (
    text("name", "name"),
    text("kind", "kind"),
    text("namespace", "namespace"),
    text("administrator", "is_admin"),
    text("disabled", "disabled"),
)


@click.group("user", cls=Group)
def user() -> None:
    """People: they sign in with secrets, or with a password."""


@click.group("robot", cls=Group)
def robot() -> None:
    """What signs in by itself: CI jobs, clusters, scripts; with secrets, or as a trusted publisher."""


def principal(client: Client, name: str, kind: str | None = None) -> Any:
    """Raises NotThere, with the nearest name, also for a robot where a user is meant."""
    with suggesting(name, principals(client, kind)):
        found = client.get(f"{PRINCIPALS}/{name}")
    if kind not in {None, found["kind"]}:
        raise NotThere(f"{name} is a {found['kind']}", f"`slipway {found['kind']}` has the commands for it")
    return found


def _list(kind: str, form: Form, namespace: str | None) -> None:
    found = connect().pages(PRINCIPALS, "principals", None, n=1000, namespace=namespace)
    show_list((each for each in found if each["kind"] == kind), _COLUMNS, form)


def _show(kind: str, name: str, form: Form) -> None:
    show_one(principal(connect(), name, kind), _COLUMNS, form)


def _disable(kind: str, name: str, yes: bool, dry_run: bool, form: Form) -> None:
    client = connect()
    principal(client, name, kind)
    if goes_on(f"disable {kind} {name}: nothing signs it in any more", yes=yes, dry_run=dry_run):
        show_one(client.send("PATCH", f"{PRINCIPALS}/{name}", {"disabled": True}), _COLUMNS, form)


def _enable(kind: str, name: str, form: Form) -> None:
    client = connect()
    principal(client, name, kind)
    show_one(client.send("PATCH", f"{PRINCIPALS}/{name}", {"disabled": False}), _COLUMNS, form)


def _rm(kind: str, name: str, yes: bool, dry_run: bool) -> None:
    client = connect()
    principal(client, name, kind)
    secrets = client.get(f"{PRINCIPALS}/{name}/secrets")["secrets"]
    grants = sum(1 for _ in client.pages("/api/v1/grants", "grants", None, n=1000, principal=name))
    what = f"delete {kind} {name} with {len(secrets)} secrets and {grants} grants"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{PRINCIPALS}/{name}")
        say(f"{name} is gone")


@command(user, "list", "slipway user list", "slipway user list -o name")
@gives_list
def list_users(form: Form) -> None:
    """List the users. For administrators of the registry."""
    _list("user", form, None)


@command(robot, "list", "slipway robot list", "slipway robot list --namespace team -o json")
@click.option(
    "--namespace",
    help="Only those that belong to it; its administrators name it.",
    type=Namespace(),
    shell_complete=NAMESPACE,
)
@gives_list
def list_robots(form: Form, namespace: str | None) -> None:
    """List the robots."""
    _list("robot", form, namespace)


@command(user, "show", "slipway user show alice")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@gives_one
def show_user(name: str, form: Form) -> None:
    """Show a user. `grant list --principal` and `secret list` have the rest."""
    _show("user", name, form)


@command(robot, "show", "slipway robot show ci -o json")
@click.argument("name", metavar="ROBOT", type=Principal(), shell_complete=ROBOT)
@gives_one
def show_robot(name: str, form: Form) -> None:
    """Show a robot. `grant list --principal`, `secret list` and `trusted-publisher list` have the rest."""
    _show("robot", name, form)


@command(user, "add", "slipway user add bob", "slipway user add carol --admin --password-stdin < password.txt")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Administers the registry, and has every right in it.")
@click.option("--password-stdin", is_flag=True, help="With a password: the first line of the input.")
@gives_one
def add_user(name: str, admin: bool, password_stdin: bool, form: Form) -> None:
    """Make a user. Next: `secret add` gives something to sign in with, `grant add` a role."""
    asked: dict[str, Any] = {"kind": "user", "name": name, "is_admin": admin}
    if password_stdin:
        asked["password"] = sys.stdin.readline().rstrip("\r\n")
    show_one(connect().send("POST", PRINCIPALS, asked), _COLUMNS, form)
    say(f"next: slipway secret add {name} LABEL, slipway grant add {name} PATTERN ROLE")


@command(robot, "add", "slipway robot add deployer", "slipway robot add team+builder --namespace team")
@click.argument("name")
@click.option(
    "--namespace",
    help="That it belongs to: then its administrators manage it.",
    type=Namespace(),
    shell_complete=NAMESPACE,
)
@gives_one
def add_robot(name: str, namespace: str | None, form: Form) -> None:
    """Make a robot. Next: `grant add` gives it a role, and `secret add` or `trusted-publisher add` signs it in.

    The name of one that an administrator of a namespace makes begins with the namespace and a plus: team+ci.
    """
    asked = {"kind": "robot", "name": name, **({"namespace": namespace} if namespace else {})}
    show_one(connect().send("POST", PRINCIPALS, asked), _COLUMNS, form)
    say(f"next: slipway grant add {name} PATTERN ROLE")
    say(f"and:  slipway trusted-publisher add {name} github repository_id=ID, or slipway secret add {name} LABEL")


@command(user, "disable", "slipway user disable alice --yes")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@changes
@gives_one
def disable_user(name: str, yes: bool, dry_run: bool, form: Form) -> None:
    """Let nothing sign a user in any more. Tokens that it has end within minutes."""
    _disable("user", name, yes, dry_run, form)


@command(robot, "disable", "slipway robot disable ci --dry-run", "slipway robot disable ci --yes")
@click.argument("name", metavar="ROBOT", type=Principal(), shell_complete=ROBOT)
@changes
@gives_one
def disable_robot(name: str, yes: bool, dry_run: bool, form: Form) -> None:
    """Let nothing sign a robot in any more. Tokens that it has end within minutes."""
    _disable("robot", name, yes, dry_run, form)


@command(user, "enable", "slipway user enable alice")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@gives_one
def enable_user(name: str, form: Form) -> None:
    """Let a user sign in again."""
    _enable("user", name, form)


@command(robot, "enable", "slipway robot enable ci")
@click.argument("name", metavar="ROBOT", type=Principal(), shell_complete=ROBOT)
@gives_one
def enable_robot(name: str, form: Form) -> None:
    """Let a robot sign in again."""
    _enable("robot", name, form)


@command(user, "rm", "slipway user rm alice --dry-run", "slipway user rm alice --yes")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@changes
def rm_user(name: str, yes: bool, dry_run: bool) -> None:
    """Delete a user with its secrets and grants."""
    _rm("user", name, yes, dry_run)


@command(robot, "rm", "slipway robot rm ci --dry-run", "slipway robot rm ci --yes")
@click.argument("name", metavar="ROBOT", type=Principal(), shell_complete=ROBOT)
@changes
def rm_robot(name: str, yes: bool, dry_run: bool) -> None:
    """Delete a robot with its secrets, trusted publishers and grants."""
    _rm("robot", name, yes, dry_run)


@command(user, "password", "slipway user password alice < password.txt", "slipway user password alice --remove --yes")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@click.option("--remove", is_flag=True, help="Take it away: secrets still sign in.")
@changes
def password(name: str, remove: bool, yes: bool, dry_run: bool) -> None:
    """Set a user's password: asked for, or the first line of the input. Whoever signed in with the old one is out."""
    client = connect()
    principal(client, name, "user")
    if remove and not goes_on(f"take away the password of {name}", yes=yes, dry_run=dry_run):
        return
    if dry_run:
        goes_on(f"set the password of {name}", yes=yes, dry_run=True)
        return
    given = None if remove else asked_secret("New password")
    if given == "":
        raise Failed("no password was given")
    client.send("PATCH", f"{PRINCIPALS}/{name}", {"password": given})
    say(f"the password of {name} is {'gone' if remove else 'set'}")


@command(user, "identity", "slipway user identity alice 248289761001", "slipway user identity alice --remove --yes")
@click.argument("name", metavar="USER", type=Principal(), shell_complete=USER)
@click.argument("subject", required=False)
@click.option("--remove", is_flag=True, help="Take it away: what it has opened in browsers ends.")
@changes
def identity(name: str, subject: str | None, remove: bool, yes: bool, dry_run: bool) -> None:
    """Say who a user is for the console's issuer, so that it signs the user in: the `sub` of its tokens.

    Whoever comes from there and is not known yet is told this command.
    """
    if (subject is None) != remove:
        raise click.UsageError("a subject is given, or --remove")
    client = connect()
    principal(client, name, "user")
    if remove and not goes_on(f"take away the identity of {name}", yes=yes, dry_run=dry_run):
        return
    if dry_run:
        goes_on(f"let {subject} sign in to the console as {name}", yes=yes, dry_run=True)
        return
    client.send("PATCH", f"{PRINCIPALS}/{name}", {"subject": subject})
    say(f"{name} has no identity any more" if remove else f"{subject} signs in to the console as {name}")


def asked_secret(what: str) -> str:
    """Takes what is typed without being shown, or the first line of the input."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise click.UsageError(f"no {what.lower()} was given: it is the first line of the input")
    return given
