"""Which registry is moved in, and how: `import add`, `change` and `rm`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.imports.shown import IMPORTS, ONE, number_argument
from slipway_cli.failures import Failed
from slipway_cli.output import Form, gives_one, say, show_one
from slipway_cli.session import connect
from slipway_cli.tree import alone
from slipway_cli.units import Length


@alone(
    "add",
    "slipway import add gs://old-bucket",
    "slipway import add https://old.example.com --username reader --secret-stdin < secret.txt",
    "slipway import add https://registry-1.docker.io --only library/alpine --rate 5",
)
@click.argument("address")
@click.option("--rename", "renames", multiple=True, metavar="OLD=NEW", help="Another name here. Again for others.")
@click.option("--rename-file", type=click.Path(path_type=Path), help="A file of such lines.")
@click.option(
    "--only", "only", multiple=True, metavar="REPOSITORY", help="These, instead of a catalog's. Again for others."
)
@click.option("--untagged", type=click.Choice(["grace", "keep", "skip"]), help="What is done with untagged manifests.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many work at it at once.")
@click.option("--rate", type=click.IntRange(1, 10_000), help="Requests a second at most, of all workers.")
@click.option("--username", help="Who reads there.")
@click.option("--secret-stdin", is_flag=True, help="Read that one's secret from stdin.")
@click.option("--keep-deleted", is_flag=True, help="What is deleted there stays here.")
@click.option("--no-repair", is_flag=True, help="What could be repaired is refused.")
@click.option("--every", type=Length(), help="Look for changes again after so long, such as 10m.")
@gives_one
def add(address: str, form: Form, **chosen: Any) -> None:
    """Name a registry: gs://BUCKET[/PREFIX], a folder, or https://HOST. Nothing happens before `import start`."""
    document = {"address": address, **_chosen(**chosen)}
    found = connect().send("POST", IMPORTS, document)
    show_one(found, ONE, form, "id")
    if form.format == "table":
        say(f"next: slipway import start {found['id']}")


def _chosen(
    *,
    renames: tuple[str, ...],
    rename_file: Path | None,
    only: tuple[str, ...],
    username: str | None,
    secret_stdin: bool,
    keep_deleted: bool,
    no_repair: bool,
    every: int | None,
    **more: Any,
) -> dict[str, Any]:
    lines = [*renames, *(rename_file.read_text().split() if rename_file else ())]
    chosen: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    if lines:
        pairs = [line.partition("=") for line in lines]
        if not all(old and new for old, _, new in pairs):
            raise click.UsageError("a name is changed by OLD=NEW")
        chosen["renames"] = {old: new for old, _, new in pairs}
    if only:
        chosen["repositories"] = list(only)
    if (username is not None) != secret_stdin:
        raise click.UsageError("--username and --secret-stdin are given together")
    if username is not None:
        chosen |= {"username": username, "secret": sys.stdin.readline().rstrip("\r\n")}
    flags = {"keeps_deleted": keep_deleted or None, "repair": False if no_repair else None, "every_seconds": every}
    return chosen | {name: value for name, value in flags.items() if value is not None}


@alone(
    "change",
    "slipway import change IMPORT-ID --workers 16",
    "slipway import change IMPORT-ID --export-every 10m",
)
@number_argument
@click.option("--workers", type=click.IntRange(1, 64), help="How many work at it at once.")
@click.option("--rate", type=click.IntRange(1, 10_000), help="Requests a second at most, of all workers.")
@click.option("--username", help="Who reads there.")
@click.option("--secret-stdin", is_flag=True, help="Read that one's secret from stdin.")
@click.option("--every", "every_seconds", type=Length(), help="Look for changes again after so long.")
@click.option("--export-every", "export_every_seconds", type=Length(), help="Write back again after so long.")
@gives_one
def change(number: int, form: Form, username: str | None, secret_stdin: bool, **chosen: Any) -> None:
    """Change what was chosen when it was added."""
    document = {name: value for name, value in chosen.items() if value is not None}
    if (username is not None) != secret_stdin:
        raise click.UsageError("--username and --secret-stdin are given together")
    if username is not None:
        document |= {"username": username, "secret": sys.stdin.readline().rstrip("\r\n")}
    show_one(connect().send("PATCH", f"{IMPORTS}/{number}", document), ONE, form, "id")


@alone("rm", "slipway import rm NEW-IMPORT-ID --dry-run", "slipway import rm NEW-IMPORT-ID --yes")
@number_argument
@changes
def rm(number: int, yes: bool, dry_run: bool) -> None:
    """Forget one that was not started, or is sealed, or could not be listed. Nothing that is here goes."""
    client = connect()
    found = client.get(f"{IMPORTS}/{number}")
    if found["state"] not in {"added", "sealed"} and not _is_unlisted(found):
        raise Failed("it is under way: what it holds stays held until it is sealed", f"`slipway import seal {number}`")
    if goes_on(f"forget the import of {found['address']}", yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{IMPORTS}/{number}")
        say("forgotten")


def _is_unlisted(found: dict[str, Any]) -> bool:
    """Says whether it was paused before anything of it was listed."""
    return found["state"] == "paused" and found["kind"] == "layout" and not found["listed_at"] and not found["due"]
