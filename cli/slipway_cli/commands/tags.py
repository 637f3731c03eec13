"""`tag`: the tags of a repository."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.listing import KINDS, TAG_ORDERS, list_tags
from slipway_cli.completing import REFERENCE, REPOSITORY, TAG
from slipway_cli.failures import Failed, NotThere, Partly
from slipway_cli.output import Form, gives_list, gives_one, say, show_list, text
from slipway_cli.references import Image, Reference, Repository
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image, tags
from slipway_cli.tree import Group, command, nearest

# As many as the API takes at once.
_AT_ONCE: Final = 1000


@click.group("tag", cls=Group)
def tag() -> None:
    """The tags of a repository: list them, delete them."""


@command(
    tag,
    "list",
    "slipway tag list team/app",
    "slipway tag list team/app --sort=-pushed --limit 3",
    "slipway tag list team/app -o jsonl",
    "slipway tag list team/app -o name",
)
@click.argument("repository", type=Repository(), shell_complete=REPOSITORY)
@click.option("--name", metavar="TEXT", help="Only those with this in their name.")
@click.option("--kind", type=click.Choice(KINDS), help="Only those of such a manifest.")
@click.option("--sort", metavar="FIELD", help=f"{', '.join(TAG_ORDERS)}; -pushed: the latest first.")
@gives_list
def list_(repository: str, name: str | None, kind: str | None, sort: str | None, form: Form) -> None:
    """List the tags of a repository, with size, platforms and use."""
    list_tags(connect(), repository, form, name=name, kind=kind, sort=sort)


@command(tag, "rm", "slipway tag rm team/app:old --dry-run", "slipway tag rm team/app old older --yes")
@click.argument("reference", metavar="REPOSITORY[:TAG]", type=Image(), shell_complete=REFERENCE)
@click.argument("names", nargs=-1, metavar="[TAG]...", shell_complete=TAG)
@changes
@gives_one
def rm(reference: Reference, names: tuple[str, ...], yes: bool, dry_run: bool, form: Form) -> None:
    """Delete tags. What they named stays until the garbage collection takes it, if nothing else needs it.

    The registry is asked first what would become of each. Exit code 6 if some were refused.
    """
    repository, names = reference.repository, _names(reference, names)
    client = connect()
    path = f"/api/v1/repositories/{repository}/-/delete-tags"
    outcomes: list[dict[str, str]] = []

    def ask(dry_run: bool) -> list[dict[str, str]]:
        found = []
        for start in range(0, len(names), _AT_ONCE):
            asked = {"tags": list(names[start : start + _AT_ONCE]), "dry_run": dry_run}
            found += client.send("POST", path, asked)["tags"]
        return found

    with suggesting_image(client, Reference(repository)):
        outcomes = ask(dry_run=True)
    goes = sum(each["outcome"] == "deleted" for each in outcomes)
    if goes and goes_on(f"delete {goes} of {len(names)} tags of {repository}", yes=yes, dry_run=dry_run):
        outcomes = ask(dry_run=False)
    columns = (text("tag", "name"), text("would be" if dry_run else "outcome", "outcome"), text("reason", "reason"))
    show_list(outcomes, columns, replace(form, limit=0))
    for each in outcomes:
        if each["outcome"] == "unknown" and (near := nearest(each["name"], list(tags(client, repository)))):
            say(f"there is no tag {each['name']}: did you mean {near}?")
    if not dry_run:
        _judge(repository, outcomes)


def _judge(repository: str, outcomes: list[dict[str, str]]) -> None:
    """Raises Partly, NotThere or Failed unless all are deleted."""
    deleted = sum(each["outcome"] == "deleted" for each in outcomes)
    if deleted == len(outcomes):
        return
    if deleted:
        raise Partly(f"{deleted} of {len(outcomes)} tags were deleted")
    if all(each["outcome"] == "unknown" for each in outcomes):
        raise NotThere(f"{repository} has none of these tags")
    raise Failed("no tag was deleted")


def _names(reference: Reference, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the tags that are meant, each alone or with its repository before it. Raises click's UsageError."""
    repository = reference.repository
    if reference.digest:
        raise click.UsageError(f"that is a manifest: `slipway manifest rm {reference}` deletes it with all its tags")
    meant = [each.rpartition(":") for each in ((reference.tag, *names) if reference.tag else names)]
    if not meant:
        raise click.UsageError(f"which tags? `slipway tag list {repository}` has them")
    if elsewhere := next((before for before, _, _ in meant if before not in {"", repository}), None):
        raise click.UsageError(f"tags of {elsewhere} and of {repository}: one repository at a time")
    return tuple(name for _, _, name in meant)
