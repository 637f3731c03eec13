"""`repository`: list, move, delete, settings."""

from __future__ import annotations

from typing import Any

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.listing import filters_of_repositories, list_repositories
from slipway_cli.completing import REPOSITORY
from slipway_cli.output import Column, Form, count, gives_list, gives_one, show_one, text, time
from slipway_cli.references import Reference, Repository
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image
from slipway_cli.tree import Group, command
from slipway_cli.units import Length, length, size


@click.group("repository", cls=Group)
def repository() -> None:
    """Repositories: list them in any order, move, delete, set how garbage and what is deleted are kept."""


@command(
    repository,
    "list",
    "slipway repository list --sort=-size --limit 5",
    "slipway repository list --pulled-before 90d --min-size 1kB -o csv",
)
@filters_of_repositories
@gives_list
def list_(form: Form, **filters: Any) -> None:
    """List repositories in any order, filtered by what they hold and by their use."""
    list_repositories(connect(), form, **filters)


@command(
    repository,
    "mv",
    "slipway repository mv team/app team/renamed --dry-run",
    "slipway repository mv team platform --with-below --yes",
)
@click.argument("old", type=Repository(), shell_complete=REPOSITORY)
@click.argument("new", type=Repository())
@click.option("--with-below", is_flag=True, help="And all that lies below it: team moves team/app to NEW/app as well.")
@changes
@gives_one
def mv(old: str, new: str, with_below: bool, yes: bool, dry_run: bool, form: Form) -> None:
    """Give a repository another name, at once and without copying a byte. Nothing stays under the old name."""
    client = connect()
    path = f"/api/v1/repositories/{old}/-/move"
    asked = {"to": new, "with_below": with_below}
    with suggesting_image(client, Reference(old)):
        done = client.send("POST", path, {**asked, "dry_run": True})
        what = f"rename {done['repositories']} repositories, {old} to {new}"
        if goes_on(what, yes=yes, dry_run=dry_run):
            done = client.send("POST", path, asked)
    show_one(done, (text("name", "name"), count("repositories", "repositories"), text("dry run", "dry_run")), form)


@command(repository, "rm", "slipway repository rm team/old --dry-run", "slipway repository rm team/old --yes")
@click.argument("name", metavar="REPOSITORY", type=Repository(), shell_complete=REPOSITORY)
@changes
@gives_one
def rm(name: str, yes: bool, dry_run: bool, form: Form) -> None:
    """Delete a repository with all its tags and manifests, at once or not at all.

    `slipway restore` puts it back, for as long as the registry says.
    """
    client = connect()
    path = f"/api/v1/repositories/{name}"
    with suggesting_image(client, Reference(name)):
        holds = client.get(path)
        what = f"delete {name}: {holds['tags']} tags, {holds['manifests']} manifests, {size(holds['bytes'])}"
        if not goes_on(what, yes=yes, dry_run=dry_run):
            return
        gone = client.send("DELETE", path)
    columns = (text("deleted", "name"), count("tags", "tags"), count("manifests", "manifests"), count("blobs", "blobs"))
    show_one(gone, (*columns, count("uploads", "uploads"), time("restorable until", "restorable_until")), form)


@command(
    repository,
    "settings",
    "slipway repository settings team/app",
    "slipway repository settings team/app --keep-untagged --grace 7d",
    "slipway repository settings team/app --default-grace --undo 14d",
)
@click.argument("name", metavar="REPOSITORY", type=Repository(), shell_complete=REPOSITORY)
@click.option("--keep-untagged/--no-keep-untagged", default=None, help="Whether what no tag reaches stays.")
@click.option("--grace", type=Length(), help="How long garbage is kept: 30m, 24h, 7d.")
@click.option("--default-grace", is_flag=True, help="As long as the registry keeps it.")
@click.option("--undo", type=Length(), help="How long what is deleted can be put back: 24h, 14d; 0s for not at all.")
@click.option("--default-undo", is_flag=True, help="As long as the namespace says, or the registry.")
@gives_one
def settings(name: str, keep_untagged: bool | None, form: Form, **lengths: Any) -> None:
    """Show or change how long garbage and what is deleted are kept in one repository."""
    asked: dict[str, Any] = {} if keep_untagged is None else {"keep_untagged": keep_untagged}
    for kind in ("grace", "undo"):
        chosen, is_default = lengths[kind], lengths[f"default_{kind}"]
        if chosen is not None and is_default:
            raise click.UsageError(f"--{kind} and --default-{kind} say different things")
        if chosen is not None or is_default:
            asked[f"{kind}_seconds"] = chosen
    client = connect()
    path = f"/api/v1/repositories/{name}"
    with suggesting_image(client, Reference(name)):
        found = client.send("PATCH", path, asked) if asked else client.get(path)
    show_one(
        found,
        (
            text("repository", "name"),
            text("keep untagged", "keep_untagged"),
            Column("grace", "grace_seconds", lambda kept: "the registry's" if kept is None else length(kept)),
            Column("undo", "undo_seconds", lambda kept: "the namespace's" if kept is None else length(kept)),
        ),
        form,
    )
