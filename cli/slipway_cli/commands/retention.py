"""`retention`: which tags are kept, what would go, and what went."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.policy_files import read_policies
from slipway_cli.completing import NAMESPACE, REFERENCE
from slipway_cli.failures import Failed
from slipway_cli.output import (
    Column,
    Form,
    count,
    digest,
    gives_list,
    gives_one,
    plain,
    say,
    show_list,
    show_one,
    size,
    text,
    time,
)
from slipway_cli.references import Image, Reference
from slipway_cli.session import connect
from slipway_cli.tree import Group, command

_POLICIES: Final = "/api/v1/retention/policies"
_RUNS: Final = "/api/v1/retention/runs"
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
_RUN: Final = (
    count("id", "id"),
    text("kind", "kind"),
    text("policy", "policy"),
    text("state", "state"),
    text("reason", "reason"),
    count("to remove", "waiting"),
    count("removed", "removed"),
    count("left alone", "left_alone"),
    size("frees at most", "bytes"),
    text("tags by reason", "counts"),
    time("made", "made_at"),
)
_VERDICT: Final = (
    text("repository", "repository"),
    text("tag", "tag"),
    text("verdict", "verdict"),
    text("reason", "reason"),
    text("why", "why"),
    text("outcome", "outcome"),
    text("note", "note"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
    size("size", "size"),
)
_EXPLANATION: Final = (
    text("policy", "policy"),
    text("mode", "mode"),
    text("verdict", "verdict"),
    text("reason", "reason"),
    text("why", "why"),
    time("may change", "may_change_at"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
    digest("digest", "digest"),
)

_run_id = click.argument("number", metavar="RUN", type=click.IntRange(1))


@click.group("retention", cls=Group)
def retention() -> None:
    """Retention: policies that say which tags are kept. There is none until somebody makes one.

    A policy starts as a preview, which removes nothing. `plan` shows the verdict on every tag, and why; `apply` removes
    what a plan showed, as far as it is still to go.
    """


@command(retention, "list", "slipway retention list", "slipway retention list --namespace team -o json")
@click.option("--namespace", help="Of one namespace; its administrators name it.", shell_complete=NAMESPACE)
@gives_list
def list_(namespace: str | None, form: Form) -> None:
    """List the policies, in the order in which they are asked: the first that matches a repository decides."""
    show_list(connect().get(_POLICIES, namespace=namespace)["policies"], _POLICY, form, "name")


@command(retention, "show", "slipway retention show tidy")
@click.argument("name")
@gives_one
def show(name: str, form: Form) -> None:
    """Show one policy."""
    show_one(connect().get(f"{_POLICIES}/{name}"), _POLICY, form, "name")


@command(
    retention,
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


@command(
    retention,
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


@command(
    retention,
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


@command(retention, "rm", "slipway retention rm tidy --dry-run", "slipway retention rm tidy --yes")
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


@command(
    retention,
    "plan",
    "slipway retention plan tidy",
    "slipway retention plan tidy --within 'team/app' -o json",
)
@click.argument("name")
@click.option("--within", metavar="PATTERN", help="Only these repositories of those that it decides about.")
@gives_one
def plan(name: str, within: str | None, form: Form) -> None:
    """Judge every tag that a policy decides about. Nothing is changed."""
    asked = {"policy": name, **({"within": within} if within else {})}
    made = connect().send("POST", "/api/v1/retention/plans", asked)
    show_one(made, _RUN, form, "id")
    if form.format == "table":
        say(f"next: slipway retention verdicts {made['id']} --only remove, then slipway retention apply {made['id']}")


@command(retention, "runs", "slipway retention runs", "slipway retention runs --policy tidy -o json")
@click.option("--namespace", help="Of one namespace; its administrators name it.", shell_complete=NAMESPACE)
@click.option("--policy", metavar="NAME", help="Of one policy.")
@gives_list
def runs(namespace: str | None, policy: str | None, form: Form) -> None:
    """List plans and runs, the newest first."""
    found = connect().pages(_RUNS, "runs", None, n=form.page(), namespace=namespace, policy=policy)
    show_list(found, _RUN, form, "id")


@command(retention, "status", "slipway retention status RETENTION-RUN")
@_run_id
@gives_one
def status(number: int, form: Form) -> None:
    """Show one plan or run."""
    show_one(connect().get(f"{_RUNS}/{number}"), _RUN, form, "id")


@command(
    retention,
    "verdicts",
    "slipway retention verdicts RETENTION-RUN",
    "slipway retention verdicts RETENTION-RUN --only remove -o json",
)
@_run_id
@click.option("--only", "verdict", type=click.Choice(["keep", "remove"]), help="Only these.")
@click.option("--reason", help="Only those with this reason.")
@click.option("--outcome", help="Only those that came to this.")
@gives_list
def verdicts(number: int, verdict: str | None, reason: str | None, outcome: str | None, form: Form) -> None:
    """List what becomes of each tag, and why."""
    asked = {"verdict": verdict, "reason": reason, "outcome": outcome}
    found = connect().pages(f"{_RUNS}/{number}/verdicts", "verdicts", None, n=form.page(), **asked)
    show_list(found, _VERDICT, form, "tag")


@command(
    retention,
    "apply",
    "slipway retention apply RETENTION-RUN --dry-run",
    "slipway retention apply RETENTION-RUN --yes",
)
@_run_id
@changes
def apply(number: int, yes: bool, dry_run: bool) -> None:
    """Remove what a plan, or a run that is held, shows: nothing else, and nothing that was pushed since."""
    client = connect()
    run = client.get(f"{_RUNS}/{number}")
    what = f"remove {run['waiting']} tags by the policy {run['policy']}, of {run['repositories']}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        _say_applied(client.send("POST", f"{_RUNS}/{number}/apply", {}))


@command(
    retention, "drop", "slipway retention drop RETENTION-PLAN --dry-run", "slipway retention drop RETENTION-PLAN --yes"
)
@_run_id
@changes
def drop(number: int, yes: bool, dry_run: bool) -> None:
    """End a plan or a run that is held: nothing of it is removed. What is still due comes again in the next run."""
    client = connect()
    run = client.get(f"{_RUNS}/{number}")
    if goes_on(f"drop run {number} of the policy {run['policy']}", yes=yes, dry_run=dry_run):
        client.send("POST", f"{_RUNS}/{number}/drop", {})
        say(f"run {number} is dropped")


@command(
    retention,
    "explain",
    "slipway retention explain team/app:v1",
    "slipway retention explain team/app:v1 -o json",
)
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@gives_one
def explain(reference: Reference, form: Form) -> None:
    """What becomes of a tag, why, and when that may change."""
    if reference.tag is None:
        raise click.UsageError("retention is about tags: name one, such as team/app:1.4")
    path = f"/api/v1/repositories/{reference.repository}/-/tags/{reference.tag}/retention"
    show_one(connect().get(path), _EXPLANATION, form, "verdict")


@command(
    retention, "undo", "slipway retention undo RETENTION-DONE --dry-run", "slipway retention undo RETENTION-DONE --yes"
)
@_run_id
@changes
def undo(number: int, yes: bool, dry_run: bool) -> None:
    """Put back what a run removed, unless somebody has set the tag since. No policy takes it again for a while."""
    client = connect()
    run = client.get(f"{_RUNS}/{number}")
    if goes_on(
        f"put back {run['removed']} tags that run {number} of {run['policy']} removed", yes=yes, dry_run=dry_run
    ):
        state = "undoing"
        while state == "undoing":
            state = client.send("POST", f"{_RUNS}/{number}/undo", {})["state"]
        say(f"run {number} is undone; what could not be put back: slipway retention verdicts {number} --outcome lost")


def _say_next(policy: dict[str, Any], form: Form) -> None:
    if form.format == "table" and policy["mode"] == "preview":
        say(f"it removes nothing yet; next: slipway retention plan {policy['name']}")


def _say_applied(run: dict[str, Any]) -> None:
    if run["state"] not in {"applying", "done"}:
        raise Failed(f"run {run['id']} is {run['state']}: {plain(run['reason'])}")
    say(f"{run['removed']} tags removed, {run['left_alone']} left alone")
    if run["state"] == "applying":
        say(f"{run['waiting']} more go with the garbage collection: slipway retention status {run['id']}")
