"""`operator rotate`: the steps of rotation.py."""

from __future__ import annotations

import subprocess

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.failures import Failed
from slipway_cli.operator.rotation import KINDS, STEPS, Registry, RotationRefused, require_possible
from slipway_cli.operator.rotation import rotate as rotate_secret
from slipway_cli.output import write_line
from slipway_cli.tree import alone


@alone(
    "rotate",
    "slipway operator rotate signing-key add --project PROJECT --region REGION --yes",
    "slipway operator rotate pepper retire --project PROJECT --region REGION --dry-run",
    is_local=True,
)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("step", type=click.Choice(STEPS))
@click.option("--project", required=True, help="Of Google Cloud.")
@click.option("--region", required=True, help="Where the registry runs.")
@click.option("--name", default="slipway", help="As Terraform's variable of that name.")
@click.option("--service", help="NAME-api, where there is no HTTP/2 front.")
@changes
def rotate(kind: str, step: str, *, name: str, service: str | None, yes: bool, dry_run: bool, **where: str) -> None:
    """Change the key that signs tokens, or the pepper, and print what to deploy next.

    \b
    add      a new one that is known; the old one is used on
    promote  the new one is used; what the old one has made is still known
    retire   the old one goes
    replace  a new one alone, for one that has leaked: what the old one has made is refused from then on
    """
    chosen = KINDS[kind]
    registry = Registry(where["project"], where["region"], service or name, name, chosen)
    what = f"{step} a version of {registry.secret} in {registry.project}"
    try:
        if dry_run:
            require_possible(registry, step)
        if not goes_on(what, yes=yes, dry_run=dry_run):
            return
        made = rotate_secret(registry, step)
    except RotationRefused as refused:
        raise Failed(str(refused)) from refused
    except subprocess.CalledProcessError as failed:
        raise Failed(f"{failed.cmd[0]} failed; what it says stands above") from failed
    except FileNotFoundError as missing:
        raise Failed(f"{missing.filename} isn't installed") from missing
    write_line(f"deploy with {chosen.terraform} = {made}")
