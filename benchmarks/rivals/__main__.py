"""Slipway beside other registries: the same requests by the same client, in turns, in one run on one machine.

Those take part that are installed: Debian's docker-registry, and distribution 3 in build/gobin/registry.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import MEBIBYTE, RESULTS, Report
from benchmarks.rivals import drawing, registries, tables
from benchmarks.rivals.collecting import collection
from benchmarks.rivals.goals import goals_table, own_cpu
from benchmarks.rivals.measuring import Measurements
from benchmarks.rivals.scenarios import fill, scenarios
from benchmarks.rivals.sizes import by_size
from local.programs import ROOT


def run(arguments: Any) -> None:
    report = Report("Slipway beside other registries", "benchmarks.rivals")
    report.add(_circumstances())
    measurements = Measurements()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with registries.running(folder / "turns", arguments.rival) as running:
            names = [registry.name for registry in running]
            for registry in running:
                fill(registry.address)
            words = arguments.only.split("|")
            made = scenarios(arguments.mebibytes * MEBIBYTE)
            chosen = [each for each in made if any(word in each.name for word in words)]
            try:
                measurements.run(chosen, running, arguments.clients, arguments.rounds)
            except KeyboardInterrupt:
                arguments.sizes, arguments.images = [], 0
                report.add("Broken off: these are the figures until then.")
        _add_figures(report, measurements, names)
        if arguments.sizes:
            report.add(by_size(folder / "sizes", arguments.sizes))
        if arguments.images:
            report.add(collection(folder / "collection", arguments.images))
    report.write("rivals")


def _add_figures(report: Report, measurements: Measurements, names: list[str]) -> None:
    report.add(
        "## Goals, and where they stand",
        goals_table(measurements),
        "## Figures",
        "CPU is that of a job in the process that answers, and for Slipway then in the database, and in the store that "
        "stands for Cloud Storage, which is the provider's in the cloud: ratios leave it out. Whoever has no store of "
        "its own writes files. Client, registries and database share the cores.",
    )
    for clients in measurements.clients():
        text = tables.alone(measurements, names) if clients == 1 else tables.crowded(measurements, clients, names)
        report.add(text)
    RESULTS.mkdir(exist_ok=True)
    document = [each.as_json() for each in measurements.all()]
    (RESULTS / "rivals.json").write_text(json.dumps(document, indent=1) + "\n")
    for name, title, clients, figure in (
        ("latency", "p50, ms, one client (less is better)", 1, lambda each: each.p50_ms),
        ("cpu", "CPU of a job, ms, database included (less is better)", 1, own_cpu),
        ("rate", "a second, 16 clients (more is better)", 16, lambda each: each.rate),
    ):
        (RESULTS / f"rivals-{name}.svg").write_text(drawing.bars(title, measurements, clients, names, figure))


def _circumstances() -> str:
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"],  # noqa: S607  # git is what the sources come by
        check=False,
        capture_output=True,
        text=True,
    )
    lines = [f"- {name}: `{registries.version_of(program)}`" for name, program in registries.programs().items()]
    return "\n".join([f"- Slipway at `{commit.stdout.strip() or 'an unknown commit'}`", *lines])


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",") if each]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rivals", description=__doc__)
    parser.add_argument("--rival", action="append", default=[], metavar="URL", help="a registry that runs already")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each scenario (default 3)")
    parser.add_argument("--clients", type=_numbers, default=[1, 16, 64], help="at once (default 1,16,64)")
    parser.add_argument("--mebibytes", type=int, default=1024, help="of the large layer (default 1024)")
    parser.add_argument("--sizes", type=_numbers, default=[100, 10_000, 100_000], help="repositories of registries")
    parser.add_argument("--images", type=int, default=1000, help="deleted, to be collected (default 1000)")
    parser.add_argument(
        "--only", default="", metavar="WORDS|WORDS", help="only scenarios with one of these in their names"
    )
    parser.add_argument("--short", action="store_true", help="in four minutes at most: fewer rounds, small registries")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.rounds, arguments.mebibytes, arguments.sizes, arguments.images = 2, 256, [100, 1000], 100
    run(arguments)


if __name__ == "__main__":
    main()
