"""How long the rows of a registry take to a folder, and back into an empty database; and what pulls take beside it."""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks.measure import IDLE_CLASS, PeakRss, Report, percentile, table
from benchmarks.pulling import ask, pull_for, pull_while
from benchmarks.registry_data import Registry, put_objects
from functions.migrate.backups import layout, rows
from functions.migrate.backups.layout import Part, Seal
from functions.migrate.backups.stores import FolderStore
from functions.migrate.backups.tables import COPIED
from functions.migrate.schema import upgrade
from functions.registry.metadata.backups.snapshot import Snapshot
from functions.registry.metadata.driver import Connection
from local import programs, stack
from local.postgres import Postgres
from local.processes import Children
from local.seed import seed
from local.stack import Options, Stack

TAGS: Final = 1_000_000
_MEBIBYTE: Final = 1 << 20
_ELSEWHERE: Final = "slipway-backups"
_MANIFESTS: Final = 64_000
_PULL_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.2
_NEVER_SECONDS: Final = 86_400


def measure_rows(report: Report, tags: int) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        server, children = Postgres(Path(name) / "data", ephemeral=True), Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=60)
            for database in ("stocked", "empty"):
                _execute(server.url(), f"CREATE DATABASE {database}")
                upgrade(server.url(database))
            seed(server.url("stocked"), tags, max(tags // 100, 10), tags // 5)
            store = FolderStore(Path(name) / "backups")
            with PeakRss(os.getpid()) as memory:
                started = time.monotonic()
                seal = _rows(server.url("stocked"), store)
                taken = time.monotonic() - started
                started = time.monotonic()
                rows.restore(server.url("empty"), store, seal, [], lambda _: None)
                restored = time.monotonic() - started
        finally:
            children.stop()
    counted = sum(part.rows for part in seal.tables.values())
    size = sum(part.bytes for part in seal.tables.values()) / _MEBIBYTE
    report.add(
        f"Rows of {tags:,} tags, made up by `make seed`; objects are not counted. The process that backs up and "
        f"restores takes at most {memory.peak / _MEBIBYTE:.0f} MiB.",
        table(
            ["what", "rows", "packed, MiB", "seconds"],
            [
                ["snapshot, to a folder", f"{counted:,}", f"{size:.0f}", f"{taken:.1f}"],
                ["restore, into an empty database", f"{counted:,}", f"{size:.0f}", f"{restored:.1f}"],
            ],
        ),
    )


def measure_pulls(report: Report) -> None:
    """Measures pulls beside a first backup, and beside a second one that has nothing to copy."""
    destination = f"gs://{_ELSEWHERE}"
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(stack, "GC_SCHEDULE_SECONDS", _NEVER_SECONDS),
        mock.patch.object(programs, "LOWEST_PRIORITY", IDLE_CLASS),
        mock.patch.dict(os.environ, {"SLIPWAY_BACKUPS": destination, "SLIPWAY_CHECK_DAYS": "0"}),
    ):
        data = Path(folder) / "data"
        put_objects(data, [f"bench/{number}" for number in range(_MANIFESTS // 5)])
        put_objects(data, [], _ELSEWHERE)
        with Stack(Options(port=0, data=data, ephemeral=True)) as running:
            registry = Registry(running.environment["SLIPWAY_DATABASE"], running.ports.storage)
            registry.grow(_MANIFESTS)
            registry.tag()
            registry.execute("UPDATE blobs SET size = 1")
            registry.close()
            lines = [_beside(running.ports.api, name) for name in ("first", "second, of an unchanged registry")]
    report.add(
        f"Pulls by tag, one after the other, in a registry of {_MANIFESTS:,} manifests and {_MANIFESTS // 5:,} blobs, "
        "beside a backup to another bucket of the same store. Client, api, database, store and `work` share the cores.",
        table(["backup", "objects copied", "seconds", "p99 of pulls, ms"], lines),
    )


def _beside(port: int, name: str) -> list[str]:
    idle, ended = pull_for(port, _PULL_SECONDS), dict[str, Any]()
    backing_up = threading.Thread(target=_back_up, args=(port, ended))
    started = time.monotonic()
    backing_up.start()
    beside = pull_while(port, backing_up.is_alive)
    seconds = time.monotonic() - started
    quantiles = percentile(idle, 99), percentile(beside, 99)
    told = f"{quantiles[0]:.1f} → {quantiles[1]:.1f} ({quantiles[1] / quantiles[0]:.2f} times)"
    return [name, f"{ended['counts'].get('copied', 0):,}", f"{seconds:.1f}", told]


def _back_up(port: int, ended: dict[str, Any]) -> None:
    """From its beginning to its seal, of which `ended` tells."""
    asked = ask(port, "POST", "/api/v1/backups")
    while (found := ask(port, "GET", f"/api/v1/backups/{asked['id']}"))["state"] in ("waiting", "copying"):
        time.sleep(_POLL_SECONDS)
    if found["state"] != "sealed":
        raise RuntimeError(f"the backup ended as {found}")
    ended.update(found)


def _execute(url: str, sql: str) -> None:
    connection = Connection(url)
    connection.simple(sql)
    connection.close()


def _rows(url: str, store: FolderStore) -> Seal:
    tables: dict[str, Part] = {}
    with Snapshot.of(url) as snapshot:
        state = snapshot.state
        for name in sorted(COPIED.keys() & state.columns.keys()):
            copy = partial(snapshot.copy_table, name)
            tables[name] = layout.pack(store, layout.rows_name("bench", name), copy, state.columns[name])
        objects = layout.pack(store, layout.objects_name("bench"), snapshot.copy_objects)
    now = datetime.now(UTC)
    return Seal("bench", state.moment, now, state.revisions, state.sequences, tables, objects, 0, [])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backups", description=__doc__)
    parser.add_argument("--tags", type=int, default=TAGS, help="whose rows are backed up and come back")
    parser.add_argument("--pulls", action="store_true", help="measure pulls beside a backup instead")
    arguments = parser.parse_args()
    if arguments.pulls:
        report = Report("Pulls beside a backup", "benchmarks.backups")
        measure_pulls(report)
        report.write("pulls_beside_a_backup")
    else:
        report = Report("Backups", "benchmarks.backups")
        measure_rows(report, arguments.tags)
        report.write("backups")


if __name__ == "__main__":
    main()
