"""What a check of rows and objects costs, by itself and for those who pull meanwhile."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks.measure import IDLE_CLASS, MEBIBYTE, PeakRss, Report, cpu_seconds, percentile, table, worker_of
from benchmarks.pulling import ask, pull_for, pull_while
from benchmarks.registry_data import Registry, put_objects
from local import programs, stack
from local.stack import Options, Stack

_NEVER_SECONDS: Final = 86_400
_PULL_SECONDS: Final = 10.0
# As many that the first repository has as many as are pulled.
_MANIFESTS: Final = 64_000
# A statement may take half a minute.
_TOGETHER: Final = 10_000
_POLL_SECONDS: Final = 0.2


# Manifests whose bytes have their digests, and that wait for a review, as pushed ones do.
_WHOLE: Final = """
    SET session_replication_role = replica;
    UPDATE manifests SET payload = convert_to('{"schemaVersion": 2, "annotations": {"n": "' || id || '"}}', 'UTF8');
    UPDATE manifests SET digest = '\\x01'::bytea || sha256(payload);
    INSERT INTO manifest_reviews SELECT id, now() + interval '1 day', 'push' FROM manifests ON CONFLICT DO NOTHING;
    SET session_replication_role = origin;
"""


def _fill(running: Stack, blobs: int) -> None:
    """The rows of those objects. Nothing of it is collected."""
    registry = Registry(running.environment["SLIPWAY_DATABASE"], running.ports.storage)
    registry.grow(_MANIFESTS)
    registry.tag()
    for first in range(0, blobs, _TOGETHER):
        registry.dangle(min(_TOGETHER, blobs - first), with_objects=False)
    registry.execute("UPDATE link_reviews SET review_after = now() + interval '1 day'; UPDATE blobs SET size = 1")
    registry.execute(_WHOLE)
    registry.execute("VACUUM ANALYZE blobs")
    registry.close()


def _check(port: int, ended: dict[str, Any]) -> None:
    """From its beginning to its end, of which `ended` tells."""
    started = ask(port, "POST", "/api/v1/checks")
    while (found := ask(port, "GET", f"/api/v1/checks/{started['id']}"))["state"] == "running":
        time.sleep(_POLL_SECONDS)
    ended.update(found)


def measure(running: Stack, report: Report, runs: int) -> None:
    rows, port = [], running.ports.api
    for number in range(runs):
        idle = pull_for(port, _PULL_SECONDS)
        worker, ended = worker_of("migrate/work.py"), dict[str, Any]()
        before, started = cpu_seconds(worker), time.monotonic()
        checking = threading.Thread(target=_check, args=(port, ended))
        checking.start()
        with PeakRss(worker) as memory:
            beside = pull_while(port, checking.is_alive)
        seconds, cpu = time.monotonic() - started, cpu_seconds(worker) - before
        counts, quantiles = ended["counts"], (percentile(idle, 99), percentile(beside, 99))
        print(f"{seconds:.1f} s, {cpu:.1f} s of CPU: {ended}", flush=True)
        rows.append(
            [
                "first, with checksums noted" if number == 0 else "later",
                f"{counts['blobs']:,}",
                f"{seconds:.1f}",
                f"{cpu:.1f}",
                f"{memory.peak / MEBIBYTE:.0f}",
                f"{quantiles[0]:.1f} → {quantiles[1]:.1f}",
            ]
        )
    report.add(
        table(["check", "blobs", "seconds", "its CPU, s", "memory, MiB", "p99 of pulls, ms"], rows),
        "Client, api, database, store and `work` share the cores. The memory is that of the worker's process, which "
        "had served before.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__)
    parser.add_argument(
        "--blobs", type=int, default=87_200, help="blobs beside the 12,800 of what is pulled (default 87200)"
    )
    parser.add_argument("--runs", type=int, default=3, help="checks, one after the other (default 3)")
    arguments = parser.parse_args()
    report = Report("Checks of rows and objects", "benchmarks.checks")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(stack, "GC_SCHEDULE_SECONDS", _NEVER_SECONDS),
        mock.patch.object(programs, "LOWEST_PRIORITY", IDLE_CLASS),
    ):
        data = Path(folder) / "data"
        names = [f"bench/{number}" for number in range(_MANIFESTS // 5)]
        put_objects(data, [*names, *(f"dangling/{number}" for number in range(arguments.blobs))])
        with Stack(Options(port=0, data=data, ephemeral=True)) as running:
            _fill(running, arguments.blobs)
            measure(running, report, arguments.runs)
    report.write("checks")


if __name__ == "__main__":
    main()
