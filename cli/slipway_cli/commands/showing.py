"""`show` and `pull-command`: one thing, and how to get it."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.completing import REFERENCE
from slipway_cli.output import Column, Form, count, gives_one, plain, show_one, size, text, time, write_line
from slipway_cli.references import Image, Reference
from slipway_cli.restorable import advising
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image
from slipway_cli.tree import alone
from slipway_cli.units import length
from slipway_cli.units import size as size_text

_REPOSITORY: Final = (
    text("repository", "name"),
    count("tags", "tags"),
    text("kinds", "kinds"),
    size("size", "bytes"),
    count("manifests", "manifests"),
    count("untagged", "untagged"),
    size("untagged size", "untagged_bytes"),
    time("untagged as of", "untagged_as_of"),
    time("created", "created_at"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
    count("pulls", "pulls"),
    text("keep untagged", "keep_untagged"),
    Column("grace", "grace_seconds", lambda seconds: "the registry's" if seconds is None else length(seconds)),
)


def _parts(items: list[dict[str, Any]] | None) -> str:
    """Writes one a line, below its title."""
    lines = (
        f"{each['digest']}  {size_text(each.get('size', each.get('bytes')))}"
        f"  {plain(each.get('platform') or each.get('artifact_type') or each.get('media_type'))}"
        for each in items or ()
    )
    return "".join(f"\n  {line}" for line in lines) or "-"


_MANIFEST: Final = (
    text("digest", "digest"),
    text("kind", "kind"),
    text("media type", "media_type"),
    text("artifact type", "artifact_type"),
    size("size to pull", "size"),
    text("platforms", "platforms"),
    time("created", "created_at"),
    time("pushed", "pushed_at"),
    time("pulled", "pulled_at"),
    count("pulls", "pulls"),
    Column("tags", "tags", lambda tags: " ".join(tag["name"] for tag in tags or ()) or "-"),
    Column("children", "children", _parts),
    Column("layers", "layers", _parts),
    Column("referrers", "referrers", _parts),
)
_CLIENTS: Final = {
    "docker": "docker pull {image}",
    "podman": "podman pull {tls}{image}",
    "skopeo": "skopeo copy {source_tls}docker://{image} oci:{folder}",
    "crane": "crane pull {insecure}{image} {folder}.tar",
    "helm": "helm pull {plain}oci://{image}",
    "kubernetes": "image: {image}",
}


def describe(client: Client, image: Reference) -> Any:
    """Returns what the API has of it."""
    path = f"/api/v1/repositories/{image.repository}"
    with advising(client, image), suggesting_image(client, image):
        if image.digest:
            return client.get(f"{path}/-/manifests/{image.digest}")
        return client.get(f"{path}/-/tags/{image.tag}" if image.tag else path)


@alone("show", "slipway show team/app", "slipway show team/app:v1", "slipway show team/app:v1 -o json")
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@gives_one
def show(reference: Reference, form: Form) -> None:
    """Show all about a repository, a tag, or a manifest by its digest."""
    found = describe(connect(), reference)
    if reference.tag is None and reference.digest is None:
        show_one(found, _REPOSITORY, form)
    else:
        name = (text("tag", "name"),) if reference.tag and not reference.digest else ()
        show_one(found, (*name, *_MANIFEST), form, "name" if name else "digest")


@alone(
    "pull-command",
    "slipway pull-command team/app:v1",
    "slipway pull-command team/app:v1 --client kubernetes",
)
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@click.option("--client", "program", type=click.Choice(list(_CLIENTS)), default="docker", help="Which program pulls.")
def pull_command(reference: Reference, program: str) -> None:
    """Print what to type to pull an image: by its digest, so that it is the same tomorrow."""
    client = connect()
    wanted = reference if reference.tag or reference.digest else Reference(reference.repository, "latest")
    digest = wanted.digest or _digest(client, wanted)
    is_plain = client.registry.url.startswith("http:")
    write_line(
        _CLIENTS[program].format(
            image=f"{client.registry.host}/{wanted.repository}@{digest}",
            folder=wanted.repository.rpartition("/")[2],
            tls="--tls-verify=false " if is_plain else "",
            source_tls="--src-tls-verify=false " if is_plain else "",
            insecure="--insecure " if is_plain else "",
            plain="--plain-http " if is_plain else "",
        )
    )


def _digest(client: Client, image: Reference) -> str:
    return str(describe(client, image)["digest"])
