"""`history`, `deleted` and `restore`: what tags named before, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.client import Client
from slipway_cli.completing import NAMESPACE, REFERENCE
from slipway_cli.failures import Failed, Partly
from slipway_cli.output import Form, count, digest, gives_list, gives_one, say, show_list, show_one, size, text, time
from slipway_cli.references import Image, Reference, Repository
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image
from slipway_cli.tree import Group, alone, command
from slipway_cli.units import Moment

_HISTORY: Final = (
    text("tag", "tag"),
    digest("digest", "digest"),
    time("since", "since"),
    time("until", "until"),
    text("change", "change"),
    text("cause", "cause"),
    text("by", "actor"),
    text("restorable", "restorable"),
    time("until then", "restorable_until"),
    text("why not", "reason"),
)
_OUTCOMES: Final = (
    text("tag", "tag"),
    digest("digest", "digest"),
    digest("instead of", "previous"),
    text("outcome", "outcome"),
    text("reason", "reason"),
)


@alone("history", "slipway history team/app", "slipway history team/app:v1", "slipway history team/app -o json")
@click.argument("image", metavar="REFERENCE", type=Image(), shell_complete=REFERENCE)
@gives_list
def history(image: Reference, form: Form) -> None:
    """Show what the tags of a repository named before, or one tag, the last first; and what can be put back."""
    client = connect()
    path = f"/api/v1/repositories/{image.repository}/-/history"
    with suggesting_image(client, Reference(image.repository)):
        show_list(client.pages(path, "history", None, n=form.page(), tag=image.tag), _HISTORY, form, name="tag")


@click.group("deleted", cls=Group)
def deleted() -> None:
    """What was deleted and can be put back. For administrators, of the registry or of a namespace."""


@command(
    deleted,
    "repositories",
    "slipway deleted repositories",
    "slipway deleted repositories --namespace team -o json",
)
@click.option("--namespace", shell_complete=NAMESPACE, help="Only those of one namespace.")
@gives_list
def repositories(namespace: str | None, form: Form) -> None:
    """List repositories that can be put back, the last first."""
    columns = (
        text("repository", "name"),
        text("id", "id"),
        time("deleted", "deleted_at"),
        text("by", "deleted_by"),
        time("restorable until", "restorable_until"),
        count("tags", "tags"),
        size("size", "bytes"),
    )
    found = connect().pages("/api/v1/deleted/repositories", "repositories", None, n=form.page(), namespace=namespace)
    show_list(found, columns, form)


@command(deleted, "tags", "slipway deleted tags", "slipway deleted tags --namespace team -o json")
@click.option("--namespace", shell_complete=NAMESPACE, help="Only those of one namespace.")
@gives_list
def tags(namespace: str | None, form: Form) -> None:
    """List tags that can be put back, the last first."""
    columns = (
        text("repository", "repository"),
        text("tag", "tag"),
        digest("digest", "digest"),
        time("deleted", "deleted_at"),
        text("by", "deleted_by"),
        time("restorable until", "restorable_until"),
        size("size", "size"),
    )
    found = connect().pages("/api/v1/deleted/tags", "tags", None, n=form.page(), namespace=namespace)
    show_list(found, columns, form, name="tag")


@command(
    deleted,
    "purge",
    "slipway deleted purge team/mistake --dry-run",
    "slipway deleted purge team/mistake --yes",
)
@click.argument("name", metavar="REPOSITORY", type=Repository())
@click.option("--id", "identity", type=int, help="Which of several of that name; else all of them.")
@changes
@gives_one
def purge(name: str, identity: int | None, yes: bool, dry_run: bool, form: Form) -> None:
    """Delete for good a repository that was deleted: nothing of it can be put back."""
    if not goes_on(f"purge all that the deleted repository {name} held", yes=yes, dry_run=dry_run):
        return
    path = f"/api/v1/repositories/{name}/-/purge-repository"
    done = connect().send("POST", path, {} if identity is None else {"id": identity})
    columns = (text("purged", "name"), count("tags", "tags"), count("manifests", "manifests"), count("blobs", "blobs"))
    show_one(done, columns, form)


@alone(
    "purge",
    "slipway purge team/app:gone --dry-run",
    "slipway purge team/app:gone --yes",
    "slipway purge team/app --yes",
)
@click.argument("image", metavar="REFERENCE", type=Image(), shell_complete=REFERENCE)
@changes
@gives_one
def purge_tags(image: Reference, yes: bool, dry_run: bool, form: Form) -> None:
    """Delete for good what a tag named before, or all that was deleted in a repository: nothing of it can be put back.

    For secrets that were pushed by mistake, and to free bytes. What a tag names now stays.
    """
    if image.digest is not None:
        raise click.UsageError("name a tag, or the repository for all that was deleted in it")
    what = f"purge what {image} named before" if image.tag else f"purge all that was deleted in {image}"
    if not goes_on(what, yes=yes, dry_run=dry_run):
        return
    client = connect()
    asked: dict[str, Any] = {"tags": [image.tag]} if image.tag else {"all": True}
    with suggesting_image(client, Reference(image.repository)):
        done = client.send("POST", f"/api/v1/repositories/{image.repository}/-/purge", asked)
    columns = (text("repository", "name"), count("manifests", "manifests"), count("blobs", "blobs"))
    show_one(done, (*columns, size("free in 65 minutes", "bytes"), count("blobs elsewhere", "elsewhere")), form)


@alone(
    "restore",
    "slipway restore team/app:gone --dry-run",
    "slipway restore team/app:gone",
    "slipway restore team/app --at 30d --dry-run",
    "slipway restore team/app --at 2026-11-20T12:00 --tags 'release-*' --yes",
    "slipway restore team/gone",
)
@click.argument("image", metavar="REFERENCE", type=Image(), shell_complete=REFERENCE)
@click.option("--as", "target", metavar="NAME", help="The tag that shall name it; or another name for a repository.")
@click.option("--at", type=Moment(), help="All tags as they were at that time, or the one that is named.")
@click.option("--tags", metavar="PATTERN", help="With --at: only tags that match, such as 'release-*'.")
@click.option("--exact", is_flag=True, help="With --at: delete tags that were made since.")
@click.option("--id", "identity", type=int, help="Which of several deleted repositories of that name.")
@click.option("--dry-run", is_flag=True, help="Say what would be put back, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="With --at: don't ask.")
@gives_one
def restore(image: Reference, form: Form, dry_run: bool, **asked: Any) -> None:
    """Put back a tag, a manifest with the tags that went along with it, or a repository that was deleted.

    team/app:TAG is what the tag named last; team/app@sha256:… a manifest that was deleted; team/app a deleted
    repository, or with --at all its tags as they were at a time. Exit code 6 if some were refused.
    """
    client = connect()
    if asked["at"] is not None:
        then = {"at": asked["at"], "tags": image.tag or asked["tags"] or "*", "exact": asked["exact"]}
        _restore_all(client, image.repository, then, form, Going(asked["yes"], dry_run))
    elif asked["tags"] is not None or asked["exact"]:
        raise click.UsageError("--tags and --exact go with --at")
    elif image.tag is None and image.digest is None:
        where = {"as": asked["target"], "id": asked["identity"]}
        _restore_repository(client, image.repository, where, form, dry_run)
    else:
        _restore_one(client, image, asked["target"], form, dry_run)


def _restore_one(client: Client, image: Reference, target: str | None, form: Form, dry_run: bool) -> None:
    asked: dict[str, Any] = {"tag": image.tag, "digest": image.digest, "as": target, "dry_run": dry_run}
    path = f"/api/v1/repositories/{image.repository}/-/restore"
    with suggesting_image(client, Reference(image.repository)):
        done = client.send("POST", path, {name: value for name, value in asked.items() if value is not None})
    columns = (text("tags", "tags"), text("digest", "digest"), text("instead of", "previous"))
    show_one(done, (*columns, text("dry run", "dry_run")), form, name="digest")


def _restore_repository(client: Client, name: str, asked: dict[str, Any], form: Form, dry_run: bool) -> None:
    if asked["as"] is not None:
        Repository().convert(asked["as"], None, None)
    if dry_run:
        say(f"would put back the deleted repository {name}; nothing was done")
        return
    path = f"/api/v1/repositories/{name}/-/restore-repository"
    done = client.send("POST", path, {key: value for key, value in asked.items() if value is not None})
    show_one(done, (text("repository", "name"), count("tags", "tags"), count("manifests", "manifests")), form)


@dataclass(frozen=True, slots=True)
class Going:
    """What was said about going on."""

    yes: bool
    dry_run: bool


def _restore_all(client: Client, repository: str, asked: dict[str, Any], form: Form, going: Going) -> None:
    outcomes = _ask_all(client, repository, {**asked, "dry_run": True})
    goes = sum(each["outcome"] != "refused" for each in outcomes)
    what = f"put back {goes} tags of {repository} as they were"
    if goes and goes_on(what, yes=going.yes, dry_run=going.dry_run):
        outcomes = _ask_all(client, repository, {**asked, "dry_run": False})
    show_list(outcomes, _OUTCOMES, replace(form, limit=0), name="tag")
    refused = sum(each["outcome"] == "refused" for each in outcomes)
    if refused and not going.dry_run:
        raise Partly(f"{refused} tags were not put back") if refused < len(outcomes) else Failed("no tag was put back")


def _ask_all(client: Client, repository: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The registry does some at a time, and says behind which to go on."""
    found: list[dict[str, Any]] = []
    with suggesting_image(client, Reference(repository)):
        while True:
            done = client.send("POST", f"/api/v1/repositories/{repository}/-/restore", asked)
            found += done["tags"]
            if done["last"] is None:
                return found
            asked = {**asked, "last": done["last"]}
