"""`ls` and `search`: what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.completing import REFERENCE
from slipway_cli.output import Form, count, digest, gives_list, show_list, size, text, time
from slipway_cli.references import Namespace, Reference, Repository
from slipway_cli.session import connect
from slipway_cli.suggesting import namespaces, suggesting, suggesting_image
from slipway_cli.tree import alone
from slipway_cli.units import Moment, Size

REPOSITORY_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls", "tags", "untagged")
TAG_ORDERS: Final = ("name", "size", "pushed", "pulled", "pulls")
KINDS: Final = ("image", "index", "chart", "signature", "sbom", "attestation", "wasm", "other")
REPOSITORY_COLUMNS: Final = (
    text("repository", "name"),
    count("tags", "tags"),
    size("size", "bytes"),
    size("untagged", "untagged_bytes"),
    count("pulls", "pulls"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
)
TAG_COLUMNS: Final = (
    text("tag", "name"),
    text("kind", "kind"),
    size("size", "size"),
    digest("digest", "digest"),
    count("pulls", "pulls"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
)


def list_repositories(client: Client, form: Form, **filters: Any) -> None:
    if form.format == "name" and not any(filters.values()):
        # The catalog is names alone: it costs the registry less.
        names = client.pages("/v2/_catalog", "repositories", None, n=form.page())
        found: Iterator[Any] = ({"name": name} for name in names)
    else:
        found = client.pages("/api/v1/repositories", "repositories", None, n=form.page(), **filters)
    if not show_list(found, REPOSITORY_COLUMNS, form) and filters.get("namespace"):
        _require_namespace(client, filters["namespace"])


def _require_namespace(client: Client, namespace: str) -> None:
    """Nothing in it is one thing, and a name that was mistyped another. Who may not ask is told nothing."""
    from slipway_cli.failures import NoRight  # noqa: PLC0415  # seldom needed

    try:
        with suggesting(namespace, namespaces(client)):
            client.get(f"/api/v1/namespaces/{namespace}")
    except NoRight:
        return


def list_tags(client: Client, repository: str, form: Form, **filters: Any) -> None:
    with suggesting_image(client, Reference(repository)):
        if form.format == "name" and not any(filters.values()):
            names = client.pages(f"/v2/{repository}/tags/list", "tags", None, n=form.page(10_000))
            show_list(({"name": name} for name in names), TAG_COLUMNS, form)
        else:
            path = f"/api/v1/repositories/{repository}/-/tags"
            show_list(client.pages(path, "tags", None, n=form.page(), **filters), TAG_COLUMNS, form)


@alone(
    "ls",
    "slipway ls",
    "slipway ls team",
    "slipway ls -o name",
    "slipway ls team/app -o json",
    "slipway ls --sort=-size --limit 5",
)
@click.argument("place", required=False, shell_complete=REFERENCE)
@click.option(
    "--sort", metavar="FIELD", help="name, size, pushed, pulled, pulls, tags, untagged; -size: largest first."
)
@gives_list
def ls(place: str | None, sort: str | None, form: Form) -> None:
    """List repositories, or the tags of one.

    PLACE is a namespace (the first part of repositories' names), or a repository; all repositories if left out.
    """
    if place is not None and (":" in place or "@" in place):
        raise click.UsageError(
            f"that is one of a repository's tags or manifests: `slipway show {place}` has all about it"
        )
    name = place and place.rstrip("/")
    if name and "/" in name:
        list_tags(connect(), Repository().convert(name, None, None), form, sort=sort)
    else:
        namespace = Namespace().convert(name, None, None) if name is not None else None
        list_repositories(connect(), form, namespace=namespace, sort=sort)


def filters_of_repositories(function: Any) -> Any:
    for option in (
        click.option("--namespace", type=Namespace(), help="Only those of one namespace."),
        click.option("--name", metavar="TEXT", help="Only those with this in their name."),
        click.option("--kind", type=click.Choice(KINDS), help="Only those that hold such a manifest."),
        click.option("--min-size", type=Size(), help="At least so many bytes."),
        click.option("--max-size", type=Size(), help="At most so many bytes."),
        click.option("--pushed-after", type=Moment(), help="The last push is at that time or later."),
        click.option("--pushed-before", type=Moment(), help="The last push is earlier."),
        click.option("--pulled-after", type=Moment(), help="The last pull is at that time or later."),
        click.option("--pulled-before", type=Moment(), help="The last pull is earlier, or never was."),
        click.option("--untagged/--no-untagged", default=None, help="With manifests that no tag reaches, or without."),
        click.option("--sort", metavar="FIELD", help=f"{', '.join(REPOSITORY_ORDERS)}; -size: largest first."),
    ):
        function = option(function)
    return function


@alone("search", "slipway search app", "slipway search app:1", "slipway search app -o json")
@click.argument("wanted", metavar="TEXT")
@gives_list
def search(wanted: str, form: Form) -> None:
    """Find repositories by a part of their name.

    With a colon, as in app:1, tags that begin with 1, of team/app and all others of that name. Twenty at most.
    """
    found = connect().get("/api/v1/search", q=wanted)
    show_list(iter(found["results"]), (text("name", "name"), text("what", "kind"), digest("digest", "digest")), form)
    if not found["complete"]:
        from slipway_cli.output import say  # noqa: PLC0415  # as above

        say("there are more: write more of the name")
