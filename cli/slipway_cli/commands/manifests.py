"""`manifest`: manifests as they are, by tag or by digest."""

from __future__ import annotations

import json

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.completing import REFERENCE
from slipway_cli.output import Form, gives_list, say, show_list, size, text, write_line
from slipway_cli.references import Image, Reference
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image
from slipway_cli.tree import Group, command


@click.group("manifest", cls=Group)
def manifest() -> None:
    """Manifests as they were pushed, what refers to them, and their end."""


def _of(reference: Reference) -> str:
    return f"/v2/{reference.repository}/manifests/{reference.digest or reference.tag or 'latest'}"


@command(manifest, "cat", "slipway manifest cat team/app:v1")
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
def cat(reference: Reference) -> None:
    """Print a manifest as it was pushed, byte for byte; it counts as a pull."""
    client = connect()
    with suggesting_image(client, reference):
        answer = client.request("GET", _of(reference))
    write_line(answer.text)


@command(manifest, "config", "slipway manifest config team/app:v1")
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
def config(reference: Reference) -> None:
    """Print an image's config: what it runs as, how it was built; of an index that for amd64, or its first image's."""
    client = connect()
    path = f"/api/v1/repositories/{reference.repository}/-"
    with suggesting_image(client, reference):
        digest = reference.digest or client.get(f"{path}/tags/{reference.tag or 'latest'}")["digest"]
        found = client.get(f"{path}/manifests/{digest}/config")
    write_line(json.dumps(found["config"], indent=2, ensure_ascii=False))


@command(
    manifest,
    "referrers",
    "slipway manifest referrers team/app:v1",
    "slipway manifest referrers team/app:v1 --type application/spdx+json -o json",
)
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@click.option("--type", "kind", metavar="TYPE", help="Only those of this artifact type.")
@gives_list
def referrers(reference: Reference, kind: str | None, form: Form) -> None:
    """List what refers to a manifest: signatures, SBOMs, attestations."""
    client = connect()
    with suggesting_image(client, reference):
        digest = reference.digest or client.request("HEAD", _of(reference)).headers["Docker-Content-Digest"]
        path = f"/v2/{reference.repository}/referrers/{digest}"
        columns = (text("digest", "digest"), text("artifact type", "artifactType"), size("size", "size"))
        show_list(client.pages(path, "manifests", None, artifactType=kind), columns, form, "digest")


@command(manifest, "rm", "slipway manifest rm team/app:v1 --dry-run", "slipway manifest rm team/app:v2 --yes")
@click.argument("reference", type=Image(), shell_complete=REFERENCE)
@changes
def rm(reference: Reference, yes: bool, dry_run: bool) -> None:
    """Delete a manifest with all its tags. To take away one tag: `tag rm`."""
    client = connect()
    path = f"/api/v1/repositories/{reference.repository}"
    with suggesting_image(client, reference):
        digest = reference.digest or client.get(f"{path}/-/tags/{reference.tag or 'latest'}")["digest"]
        tags = [tag["name"] for tag in client.get(f"{path}/-/manifests/{digest}")["tags"]]
        what = f"delete {digest} of {reference.repository}, and {len(tags)} tags: {' '.join(tags[:10]) or 'none'}"
        if goes_on(what, yes=yes, dry_run=dry_run):
            client.request("DELETE", f"/v2/{reference.repository}/manifests/{digest}")
            say(f"{digest} is gone, with {len(tags)} tags")
