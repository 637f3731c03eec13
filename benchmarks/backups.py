"""How long the rows of a registry take to a folder, and back into an empty database."""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measure import Report, table
from functions.migrate.backups import layout, rows
from functions.migrate.backups.layout import Part, Seal
from functions.migrate.backups.stores import FolderStore
from functions.migrate.backups.tables import COPIED
from functions.migrate.schema import upgrade
from functions.registry.metadata.backups.snapshot import Snapshot
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres
from local.processes import Children
from local.seed import seed

TAGS: Final = 1_000_000
_MEBIBYTE: Final = 1 << 20


def run(tags: int) -> None:
    report = Report("Backups", "benchmarks.backups")
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
        f"Rows of {tags:,} tags, made up by `make seed`; objects are not counted.",
        table(
            ["what", "rows", "packed, MiB", "seconds"],
            [
                ["snapshot, to a folder", f"{counted:,}", f"{size:.0f}", f"{taken:.1f}"],
                ["restore, into an empty database", f"{counted:,}", f"{size:.0f}", f"{restored:.1f}"],
            ],
        ),
    )
    report.write("backups")


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
    parser.add_argument("--tags", type=int, default=TAGS)
    run(parser.parse_args().tags)


if __name__ == "__main__":
    main()
