"""What is shown of a run, and how it is asked for."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.output import count, size, text, time

RUNS: Final = "/api/v1/retention/runs"
RUN: Final = (
    count("id", "id"),
    text("kind", "kind"),
    text("policy", "policy"),
    text("state", "state"),
    text("reason", "reason"),
    count("to remove", "waiting"),
    count("removed", "removed"),
    count("left alone", "left_alone"),
    size("frees", "bytes"),
    size("frees in its namespace", "bytes_in_namespace"),
    text("tags by reason", "counts"),
    time("made", "made_at"),
)

run_argument = click.argument("number", metavar="RUN", type=click.IntRange(1))
