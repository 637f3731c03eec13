"""How far an import is: `import list`, `status`, `estimate` and `repositories`."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.commands.imports.shown import IMPORTS, LIST, ONE, number_argument, watch_import
from slipway_cli.failures import Failed
from slipway_cli.output import Column, Form, count, gives_list, gives_one, show_list, show_one, text, time
from slipway_cli.session import connect
from slipway_cli.tree import alone

_STATES: Final = ("listed", "importing", "imported", "refused", "handed_back", "dropped")
_REPOSITORIES: Final = (
    text("there", "path"),
    text("here", "name"),
    text("state", "state"),
    count("tags", "tags"),
    time("imported", "imported_at"),
    time("compared", "compared_at"),
    time("written back", "exported_at"),
    text("error", "error"),
)
# What a store gives at first in a second, and what one processor of the database takes (docs/migrate.md).
_REQUESTS_A_SECOND: Final = 5000
_TAGS_A_SECOND: Final = 1450
_OBJECTS_A_REQUEST: Final = 1000


@alone("list", "slipway import list")
@gives_list
def list_(form: Form) -> None:
    """List all that are or were moved in."""
    show_list(connect().get(IMPORTS)["imports"], LIST, form, "id")


@alone("status", "slipway import status IMPORT-ID", "slipway import status IMPORT-ID -o json")
@number_argument
@click.option("--watch", "watches", is_flag=True, help="Go on showing it, until all is here or it is paused.")
@gives_one
def status(number: int, watches: bool, form: Form) -> None:
    """Show how far it is: what is here, how fast it goes, what is left, and what could not be taken over."""
    client = connect()
    if watches:
        watch_import(client, number)
    show_one(client.get(f"{IMPORTS}/{number}"), ONE, form, "id")


@alone("estimate", "slipway import estimate IMPORT-ID", "slipway import estimate IMPORT-ID -o json")
@number_argument
@gives_one
def estimate(number: int, form: Form) -> None:
    """Estimate what it takes, as far as it is listed: requests to the store, and time by what was measured."""
    found = connect().get(f"{IMPORTS}/{number}")
    if found["listed_at"] is None:
        raise Failed(
            "its names are not all known yet", f"`slipway import start {number}` lists it first, then `estimate`"
        )
    requests = -(-found["objects"] // _OBJECTS_A_REQUEST) + 2 * sum(found["repositories"].values()) + found["manifests"]
    document = {
        "repositories": sum(found["repositories"].values()),
        "tags": found["tags"],
        "manifests": found["manifests"],
        "objects": found["objects"],
        "requests": requests,
        "store_seconds": -(-requests // _REQUESTS_A_SECOND),
        "database_seconds": -(-found["tags"] // _TAGS_A_SECOND),
    }
    columns = [Column(name.replace("_", " "), name) for name in document]
    show_one(document, columns, form, "requests")


@alone(
    "repositories",
    "slipway import repositories IMPORT-ID",
    "slipway import repositories IMPORT-ID --state refused",
)
@number_argument
@click.option("--state", type=click.Choice(_STATES), help="Only those.")
@gives_list
def repositories(number: int, state: str | None, form: Form) -> None:
    """List its repositories, and how far each is."""
    path = f"{IMPORTS}/{number}/repositories"
    show_list(connect().pages(path, "repositories", None, state=state, n=form.page()), _REPOSITORIES, form, "path")
