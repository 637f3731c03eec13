"""Which tags are kept: `retention list`, `show`, `set`, `load`, `mode` and `rm`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.retention.files import read_policies
from slipway_cli.completing import NAMESPACE
from slipway_cli.output import Column, Form, count, gives_list, gives_one, plain, say, show_list, show_one, text
from slipway_cli.session import connect
from slipway_cli.tree import alone

_POLICIES: Final = "/api/v1/retention/policies"
_CONDITIONS: Final = ("newest", "pushed_within", "pulled_within")
_MODES: Final = ("preview", "enforce", "paused")


def _rules(rules: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{rule['tags']}{' but ' + ' '.join(rule['except']) if rule.get('except') else ''}: {plain(rule['keep'])}"
        for rule in rules
    )


_POLICY: Final = (
    text("name", "name"),
    count("position", "position"),
    text("repositories", "repositories"),
    text("mode", "mode"),
    Column("keeps", "rules", _rules),
    text("new for", "new_for"),
    text("brake", "brake"),
    text("next run held", "held_because"),
)


@alone("list", "slipway retention list", "slipway retention list --namespace team -o json")
@click.option("--namespace", help="Of one namespace; its administrators name it.", shell_complete=NAMESPACE)
@gives_list
def list_(namespace: str | None, form: Form) -> None:
    """List the policies, in the order in which they are asked: the first that matches a repository decides."""
    show_list(connect().get(_POLICIES, namespace=namespace)["policies"], _POLICY, form, "name")


@alone("show", "slipway retention show tidy")
@click.argument("name")
@gives_one
def show(name: str, form: Form) -> None:
    """Show one policy."""
    show_one(connect().get(f"{_POLICIES}/{name}"), _POLICY, form, "name")


@alone(
    "set",
    "slipway retention set builds --repositories 'team/*' --tags 'pr-*' --newest 3 --pushed-within 14d",
    "slipway retention set builds --repositories 'team/*' --newest 20 --pulled-within 60d --mode enforce",
)
@click.argument("name")
@click.option("--repositories", metavar="PATTERN", required=True, help="About which repositories it decides.")
@click.option("--tags", metavar="PATTERN", default="*", help="About which tags: a glob, or re: and an expression.")
@click.option("--except", "exceptions", multiple=True, metavar="PATTERN", help="But not about these. Again for others.")
@click.option("--newest", type=click.IntRange(1, 10_000), help="Keep so many of the newest.")
@click.option("--pushed-within", metavar="TIME", help="Keep what was pushed within that time, such as 14d.")
@click.option("--pulled-within", metavar="TIME", help="Keep what was pulled within that time.")
@click.option("--new-for", metavar="TIME", help="Nothing goes for so long after a push; 24h if left out.")
@click.option("--mode", type=click.Choice(_MODES), help="A preview if left out.")
@click.option("--position", type=click.IntRange(0), help="Where it is asked; namespaces have those from 1 on.")
@click.option("--confirmed", is_flag=True, help="Its first run is not held.")
@gives_one
def set_(
    name: str,
    repositories: str,
    tags: str,
    exceptions: tuple[str, ...],
    form: Form,
    **more: Any,
) -> None:
    """Make a policy of one rule, or put it in place of the one of that name. `load` takes whole ones from a file."""
    keep = {field: more.pop(field) for field in _CONDITIONS if more[field] is not None}
    if not keep:
        raise click.UsageError("--newest, --pushed-within or --pulled-within: a rule says what is kept")
    rule = {"tags": tags, "keep": keep, **({"except": list(exceptions)} if exceptions else {})}
    chosen = {field: value for field, value in more.items() if value}
    put = connect().send("PUT", f"{_POLICIES}/{name}", {"repositories": repositories, "rules": [rule], **chosen})
    show_one(put, _POLICY, form, "name")
    _say_next(put, form)


@alone(
    "load",
    "slipway retention load retention.toml --dry-run",
    "slipway retention load retention.json",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--confirmed", is_flag=True, help="Their first runs are not held.")
@click.option("--dry-run", is_flag=True, help="Plan each of them, and set nothing.")
def load(file: Path, confirmed: bool, dry_run: bool) -> None:
    """Set the policies of a TOML or JSON file, each in place of the one of its name. A dry run plans them instead."""
    policies = read_policies(file)
    client = connect()
    for each in policies:
        document = {field: value for field, value in each.items() if field != "name"}
        if dry_run:
            document.pop("revision", None)
            plan = client.send("POST", "/api/v1/retention/plans", {"policy": each["name"], **document})
            say(f"{each['name']} would remove {plan['waiting']} tags: slipway retention verdicts {plan['id']}")
        else:
            document |= {"confirmed": True} if confirmed else {}
            put = client.send("PUT", f"{_POLICIES}/{each['name']}", document)
            say(f"{put['name']} is at revision {put['revision']}, mode {put['mode']}")


@alone(
    "mode",
    "slipway retention mode tidy paused",
    "slipway retention mode tidy enforce --confirmed",
)
@click.argument("name")
@click.argument("mode", type=click.Choice(_MODES))
@click.option("--confirmed", is_flag=True, help="Its first run is not held.")
@gives_one
def mode_(name: str, mode: str, confirmed: bool, form: Form) -> None:
    """Let a policy only preview, enforce it, or let it rest."""
    client = connect()
    known = client.get(f"{_POLICIES}/{name}")
    kept = ("repositories", "rules", "new_for", "brake", "position", "revision")
    document = {**{field: known[field] for field in kept}, "mode": mode}
    put = client.send("PUT", f"{_POLICIES}/{name}", document | ({"confirmed": True} if confirmed else {}))
    show_one(put, _POLICY, form, "name")
    _say_next(put, form)


@alone("rm", "slipway retention rm tidy --dry-run", "slipway retention rm tidy --yes")
@click.argument("name")
@changes
def rm(name: str, yes: bool, dry_run: bool) -> None:
    """Take a policy away: nothing more is removed by it."""
    client = connect()
    known = client.get(f"{_POLICIES}/{name}")
    what = f"take away the retention policy {name} of {known['repositories']}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{_POLICIES}/{name}")
        say(f"policy {name} is gone")


def _say_next(policy: dict[str, Any], form: Form) -> None:
    if form.format == "table" and policy["mode"] == "preview":
        say(f"it removes nothing yet; next: slipway retention plan {policy['name']}")
