"""What would go and why, and what went: `retention plan`, `runs`, `status`, `verdicts` and `explain`."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.commands.retention.shown import RUN, RUNS, run_argument
from slipway_cli.completing import NAMESPACE, REFERENCE
from slipway_cli.output import Form, digest, gives_list, gives_one, say, show_list, show_one, size, text, time
from slipway_cli.references import Image, Reference
from slipway_cli.session import connect
from slipway_cli.tree import alone

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


@alone(
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
    show_one(made, RUN, form, "id")
    if form.format == "table":
        say(f"next: slipway retention verdicts {made['id']} --only remove, then slipway retention apply {made['id']}")


@alone("runs", "slipway retention runs", "slipway retention runs --policy tidy -o json")
@click.option("--namespace", help="Of one namespace; its administrators name it.", shell_complete=NAMESPACE)
@click.option("--policy", metavar="NAME", help="Of one policy.")
@gives_list
def runs(namespace: str | None, policy: str | None, form: Form) -> None:
    """List plans and runs, the newest first."""
    found = connect().pages(RUNS, "runs", None, n=form.page(), namespace=namespace, policy=policy)
    show_list(found, RUN, form, "id")


@alone("status", "slipway retention status RETENTION-RUN")
@run_argument
@gives_one
def status(number: int, form: Form) -> None:
    """Show one plan or run."""
    show_one(connect().get(f"{RUNS}/{number}"), RUN, form, "id")


@alone(
    "verdicts",
    "slipway retention verdicts RETENTION-RUN",
    "slipway retention verdicts RETENTION-RUN --only remove -o json",
)
@run_argument
@click.option("--only", "verdict", type=click.Choice(["keep", "remove"]), help="Only these.")
@click.option("--reason", help="Only those with this reason.")
@click.option("--outcome", help="Only those that came to this.")
@gives_list
def verdicts(number: int, verdict: str | None, reason: str | None, outcome: str | None, form: Form) -> None:
    """List what becomes of each tag, and why."""
    asked = {"verdict": verdict, "reason": reason, "outcome": outcome}
    found = connect().pages(f"{RUNS}/{number}/verdicts", "verdicts", None, n=form.page(), **asked)
    show_list(found, _VERDICT, form, "tag")


@alone(
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
