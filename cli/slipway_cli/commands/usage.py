"""`usage`: totals, rankings, days, and a recount."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.commands.listing import REPOSITORY_COLUMNS
from slipway_cli.completing import NAMESPACE, REFERENCE
from slipway_cli.failures import Failed
from slipway_cli.output import Form, count, gives_list, gives_one, show_list, show_one, size, text
from slipway_cli.references import Image, Namespace, Reference
from slipway_cli.session import connect
from slipway_cli.suggesting import namespaces, suggesting, suggesting_image
from slipway_cli.tree import Group, command

_MOST_RANKED: Final = 100
RANKINGS: Final = ("largest", "most-pulled", "most-active", "longest-unused", "most-wasteful", "fastest-growing")


@click.group("usage", cls=Group)
def usage() -> None:
    """Figures: of the whole registry, the first of a ranking, day by day; and a recount of them all."""


@command(usage, "show", "slipway usage show", "slipway usage show -o json")
@gives_one
def show(form: Form) -> None:
    """Show what the registry holds in all; each blob counts once."""
    columns = (
        count("repositories", "repositories"),
        count("tags", "tags"),
        count("manifests", "manifests"),
        size("of manifests", "manifest_bytes"),
        count("blobs", "blobs"),
        size("of blobs", "blob_bytes"),
        size("in all", "bytes"),
    )
    show_one(connect().get("/api/v1/usage"), columns, form, "bytes")


@command(
    usage,
    "top",
    "slipway usage top largest",
    "slipway usage top most-pulled --namespace team --limit 3",
    "slipway usage top most-wasteful -o json",
)
@click.argument("ranking", type=click.Choice(RANKINGS))
@click.option("--namespace", help="Of one namespace.", type=Namespace(), shell_complete=NAMESPACE)
@gives_list
def top(ranking: str, namespace: str | None, form: Form) -> None:
    """Rank repositories: what takes the space, what is pulled most, what nobody uses. Ten, or --limit up to 100."""
    if form.limit is not None and not 0 < form.limit <= _MOST_RANKED:
        raise click.UsageError(f"--limit is from 1 to {_MOST_RANKED}: a ranking has no more")
    found = connect().get(f"/api/v1/rankings/{ranking}", n=form.limit or 10, namespace=namespace)
    more = {
        "most-active": (count("recent pulls", "recent_pulls"), count("recent pushes", "recent_pushes")),
        "fastest-growing": (size("gained", "gained_bytes"),),
    }
    show_list(found["repositories"], (*REPOSITORY_COLUMNS, *more.get(ranking, ())), form)


@command(
    usage,
    "daily",
    "slipway usage daily",
    "slipway usage daily team/app",
    "slipway usage daily team/app@DIGEST -o jsonl",
    "slipway usage daily team/app:v1 --from 2026-01-01 --to 2026-01-31",
    "slipway usage daily --namespace team -o csv",
)
@click.argument("reference", required=False, type=Image(), shell_complete=REFERENCE)
@click.option("--namespace", help="Of one namespace.", type=Namespace(), shell_complete=NAMESPACE)
@click.option("--from", "first", metavar="DAY", help="The first day of UTC; thirty days ago if left out.")
@click.option("--to", "last", metavar="DAY", help="The last day; today if left out.")
@gives_list
def daily(reference: Reference | None, namespace: str | None, first: str | None, last: str | None, form: Form) -> None:
    """Show pushes, pulls and bytes day by day: of the registry, a namespace, a repository, a tag or a manifest."""
    if reference is not None and namespace is not None:
        raise click.UsageError("a reference or --namespace, not both")
    days = _days(connect(), reference, namespace, {"from": first, "to": last})
    columns = (text("day (UTC)", "day"), count("pushes", "pushes"), count("pulls", "pulls"), size("size", "bytes"))
    columns = (text("day (UTC)", "day"), count("pushes", "pushes"), count("pulls", "pulls"), size("size", "bytes"))
    show_list(days, columns, form, "day")


def _days(client: Client, reference: Reference | None, namespace: str | None, span: dict[str, Any]) -> Any:
    if namespace is not None:
        with suggesting(namespace, namespaces(client)):
            return client.get(f"/api/v1/namespaces/{namespace}/daily", **span)["days"]
    if reference is None:
        return client.get("/api/v1/usage/daily", **span)["days"]
    below = f"/-/manifests/{reference.digest}" if reference.digest else ""
    below = f"/-/tags/{reference.tag}" if reference.tag and not reference.digest else below
    with suggesting_image(client, reference):
        path = f"/api/v1/repositories/{reference.repository}{below or '/-'}/daily"
        return client.get(path, **span)["days"]


@command(usage, "recount", "slipway usage recount", "slipway usage recount -o json")
@gives_one
def recount(form: Form) -> None:
    """Count all figures anew, while pushes go on, and compare. Exit code 1 if one of them is wrong.

    It reads all there is, for four minutes at most; `operator recount` has all the time.
    """
    found = connect().send("POST", "/api/v1/usage/recount", {}, is_long=True)
    columns = (count("repositories", "repositories"), count("namespaces", "namespaces"), text("complete", "complete"))
    show_one(found, (*columns, text("differences", "differences")), form, "complete")
    if found["differences"]:
        raise Failed(f"{len(found['differences'])} figures are wrong")
