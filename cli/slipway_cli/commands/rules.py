"""`rule`: tags and repositories that are protected."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.grants import ROLES
from slipway_cli.completing import NAMESPACE
from slipway_cli.failures import NotThere
from slipway_cli.output import Column, Form, gives_list, gives_one, say, show_list, show_one, text
from slipway_cli.patterns import warn_of_one
from slipway_cli.references import Namespace
from slipway_cli.session import connect
from slipway_cli.tree import Group, command

KINDS: Final = ("protected", "immutable", "exempt", "delete_protected")
_COLUMNS: Final = (
    text("position", "position"),
    text("id", "id"),
    text("name", "name"),
    text("kind", "kind"),
    text("repositories", "repositories"),
    text("tags", "tags"),
    Column("may", "role", lambda role: "nobody" if role is None else f"{role} or more"),
)


@click.group("rule", cls=Group)
def rule() -> None:
    """Rules: what may become of tags. The first that matches decides, by position, then by age.

    protected: the tags are made, moved and deleted by the role or a higher one. immutable: once made, they stay as they
    are. delete_protected: neither repository nor tags are deleted. exempt: an exception to later rules.
    """


@command(rule, "list", "slipway rule list", "slipway rule list --namespace team -o json")
@click.option(
    "--namespace", help="Of one namespace; its administrators name it.", type=Namespace(), shell_complete=NAMESPACE
)
@gives_list
def list_(namespace: str | None, form: Form) -> None:
    """List the rules, in the order in which they are asked."""
    show_list(connect().get("/api/v1/rules", namespace=namespace)["rules"], _COLUMNS, form)


@command(
    rule,
    "add",
    "slipway rule add releases immutable 'team/*' --tags 'v*'",
    "slipway rule add keep delete_protected team/base --role admin --position 1",
)
@click.argument("name")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("repositories", metavar="PATTERN")
@click.option("--tags", metavar="PATTERN", help="Which tags; all if left out.")
@click.option("--role", type=click.Choice(ROLES), help="The least that may; nobody if left out.")
@click.option("--position", type=click.IntRange(0), help="Where it is asked; namespaces have those from 1 on.")
@gives_one
def add(name: str, kind: str, repositories: str, form: Form, **more: Any) -> None:
    """Make a rule; it holds at once."""
    chosen = {field: value for field, value in more.items() if value is not None}
    made = connect().send("POST", "/api/v1/rules", {"name": name, "kind": kind, "repositories": repositories, **chosen})
    show_one(made, _COLUMNS, form)
    warn_of_one(repositories, f"slipway rule add NAME {kind} {{}}")


@command(rule, "rm", "slipway rule rm RULE-ID --dry-run", "slipway rule rm RULE-ID --yes")
@click.argument("identity", metavar="ID", type=int)
@click.option(
    "--namespace",
    help="Of the rule; administrators of a namespace name it.",
    type=Namespace(),
    shell_complete=NAMESPACE,
)
@changes
def rm(identity: int, namespace: str | None, yes: bool, dry_run: bool) -> None:
    """Take a rule away: what it protected is protected no more."""
    client = connect()
    known = client.get("/api/v1/rules", namespace=namespace)["rules"]
    found = next((each for each in known if each["id"] == identity), None)
    if found is None:
        raise NotThere(f"there is no rule {identity}", "`slipway rule list` has their numbers")
    tags = f"tags {found['tags']}" if found["tags"] else "all tags"
    what = f"take away rule {found['name']}: {found['kind']}, {found['repositories']}, {tags}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", f"/api/v1/rules/{identity}")
        say(f"rule {found['name']} is gone")
