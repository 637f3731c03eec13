"""`gc`: the garbage collection."""

from __future__ import annotations

from typing import Any, Final

import click

from slipway_cli.completing import REPOSITORY
from slipway_cli.output import (
    FORMATS,
    Form,
    count,
    digest,
    gives_list,
    gives_one,
    say,
    show_list,
    show_one,
    size,
    text,
    time,
    write_line,
)
from slipway_cli.references import Reference, Repository
from slipway_cli.session import connect
from slipway_cli.suggesting import suggesting_image
from slipway_cli.tree import Group, command
from slipway_cli.units import size as size_text

_QUEUES: Final = (
    text("queue", "level"),
    count("waiting", "waiting"),
    count("due", "due"),
    count("overdue", "overdue"),
    count("failing", "failing"),
    time("oldest due", "oldest"),
)
_FAILURES: Final = (
    text("failing", "level"),
    text("what", "subject"),
    count("attempts", "attempts"),
    time("again", "again_at"),
    text("reason", "error"),
)
_COLLECTED: Final = (
    text("day (UTC)", "day"),
    text("collected", "level"),
    text("after", "event"),
    count("rows", "rows"),
    size("size", "bytes"),
)
_PREVIEW: Final = (
    time("goes", "review_after"),
    text("after", "event"),
    size("size", "size"),
    digest("digest", "digest"),
    text("media type", "media_type"),
)

_UPKEEP: Final = (
    time("last check", "checked_at"),
    text("it ended as", "check_state"),
    count("damaged", "damaged"),
    time("last backup", "backed_up_at"),
    time("last backup that was verified", "verified_at"),
    time("last drill", "drill.drilled_at", "never (docs/backup.md says how)"),
    count("of backup", "drill.backup"),
    text("drilled by", "drill.drilled_by"),
    count("tags compared", "drill.tags"),
    count("tags lost", "drill.lost"),
)


@click.group("gc", cls=Group)
def gc() -> None:
    """The garbage collection: how it stands, what it would take, and a run now."""


@command(gc, "status", "slipway gc status", "slipway gc status -o json")
@gives_one
def status(form: Form) -> None:
    """Show how the queues stand, what failed, and what was collected by day. For administrators of the registry."""
    found = connect().get("/api/v1/gc")
    if form.format != "table":
        show_one(found, (), form, "pending_deletion_bytes")
        return
    table = Form(FORMATS[0], 0, ())
    show_list(found["queues"], _QUEUES, table)
    write_line(f"\npending deletion: {size_text(found['pending_deletion_bytes'])}\n")
    show_one(found["upkeep"], _UPKEEP, table)
    for rows, columns in ((found["failures"], _FAILURES), (found["collected"], _COLLECTED)):
        if rows:
            write_line("")
            show_list(rows, columns, table)


@command(gc, "preview", "slipway gc preview team/app", "slipway gc preview team/app -o json")
@click.argument("repository", type=Repository(), shell_complete=REPOSITORY)
@gives_list
def preview(repository: str, form: Form) -> None:
    """Show what would go from a repository, when, and how much space that gives. Nothing is changed."""
    client = connect()
    with suggesting_image(client, Reference(repository)):
        found: dict[str, Any] = client.get(f"/api/v1/repositories/{repository}/-/gc")
    if form.format == "json":
        show_one(found, (), form)
        return
    show_list(found["manifests"], _PREVIEW, form, "digest")
    freed = size_text(found["bytes_freed_in_repository"]), size_text(found["bytes_freed_in_registry"])
    say(f"frees {freed[0]} in the repository, {freed[1]} in the registry")


@command(gc, "run", "slipway gc run")
@gives_one
def run(form: Form) -> None:
    """Wake the garbage collection now; `gc status` shows what it does. At most once a minute."""
    show_one(connect().send("POST", "/api/v1/gc/runs", {}), (text("state", "state"),), form, "state")
