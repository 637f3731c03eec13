"""What is shown of an import, and how it is asked for."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.client import Client
from slipway_cli.output import Column, count, plain, text, time
from slipway_cli.session import connect
from slipway_cli.watching import FRAME_SECONDS, bar, left, watch

IMPORTS: Final = "/api/v1/imports"
# Somebody works at it, or will.
RUNNING: Final = frozenset({"opening", "listing", "open", "sealing"})
LIST: Final = (
    count("id", "id"),
    text("address", "address"),
    text("state", "state"),
    text("decides", "mode"),
    text("reason", "reason"),
)
ONE: Final = (
    count("id", "id"),
    text("address", "address"),
    text("state", "state"),
    text("reason", "reason"),
    text("decides", "mode"),
    text("except", "modes"),
    text("untagged", "untagged"),
    text("workers", "workers"),
    text("chosen", "options"),
    text("repositories", "repositories"),
    count("tags", "tags"),
    count("of them here", "imported_tags"),
    count("manifests", "manifests"),
    count("of them left out", "left_out"),
    text("copied", "counts"),
    text("problems", "problems"),
    text("failing", "failing"),
    Column("a second", "objects_per_second"),
    Column("remaining", "remaining_seconds", left),
    time("added", "created_at"),
    time("started", "opened_at"),
    time("listed", "listed_at"),
    time("sealed", "sealed_at"),
)

number_argument = click.argument("number", metavar="ID", type=click.IntRange(1))
pattern_argument = click.argument("repositories", metavar="[PATTERN]", required=False)


def get(client: Client, number: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{IMPORTS}/{number}")
    return found


def act(number: int, act: str, repositories: str | None = None) -> dict[str, Any]:
    document = {} if repositories is None else {"repositories": repositories}
    found: dict[str, Any] = connect().send("POST", f"{IMPORTS}/{number}/{act}", document)
    return found


def watch_import(client: Client, number: int) -> None:
    """Shows how far it is, until all is here or nobody works at it."""

    def line() -> tuple[str, bool]:
        found = get(client, number)
        return _line(found), _is_over(found)

    watch(line, FRAME_SECONDS)


def _line(found: dict[str, Any]) -> str:
    parts = [bar(found["imported_tags"], found["tags"]), f"{found['imported_tags']}/{found['tags']} tags"]
    states = found["repositories"]
    parts.append(f"{states.get('imported', 0)}/{sum(states.values())} repositories")
    if found["objects_per_second"]:
        parts.append(f"{found['objects_per_second']:g} objects/s")
    if found["remaining_seconds"] is not None:
        parts.append(f"{left(found['remaining_seconds'])} left")
    if found["problems"]:
        parts.append(f"{sum(found['problems'].values())} problems")
    if found["failing"]:
        parts.append(f"worst: {plain(found['failing'][0]['path'])}")
    return "  ".join((found["state"], *parts))


def _is_over(found: dict[str, Any]) -> bool:
    """Says whether nobody works at it, or there is nothing left to do."""
    is_all_here = found["listed_at"] is not None and not found["due"]
    return found["state"] not in RUNNING or (found["state"] == "open" and is_all_here)
