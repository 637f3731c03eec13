"""What counting costs: a push with all figures kept against one with none, and many pushes into one namespace."""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, median_and_range, percentile, table
from benchmarks.pushers import LAYERS, HttpPusher, Place, Pusher, places
from functions.registry.metadata.db import Database
from functions.registry.metadata.usage import counters as usage
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.name import RepositoryName

PARALLEL: Final = 64
_PROCESSES: Final = 4
_TURN: Final = 25
_PATIENCE_SECONDS: Final = 120


def settle(database: Database) -> None:
    while usage.settle(database, 500):
        pass


def one_by_one(pushers: dict[str, Pusher], count: int) -> dict[str, list[float]]:
    """Seconds of each push, one after the other, in turns."""
    for pusher in pushers.values():
        pusher.prepare()
        for _ in range(2 * _TURN):
            pusher.push()
        pusher.seconds.clear()
    for _ in range(count // _TURN):
        for pusher in pushers.values():
            for _ in range(_TURN):
                pusher.push()
            settle(pusher.database)
    return {name: pusher.seconds for name, pusher in pushers.items()}


def _push_for(url: str, repositories: Sequence[str], seconds: float, pushed: Any, go: Any) -> None:
    """In a process of its own: one thread for each repository."""
    database = Database(url, 2 * len(repositories))
    pushers = [Pusher(database, RepositoryName(name)) for name in repositories]
    until = [0.0]

    def work(pusher: Pusher) -> None:
        pusher.pushed = int(time.time() * 1000)
        while time.monotonic() < until[0]:
            pusher.push()

    go.wait()
    until[0] = time.monotonic() + seconds
    threads = [threading.Thread(target=work, args=(pusher,)) for pusher in pushers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pushed.put([second for pusher in pushers for second in pusher.seconds])


def at_once(url: str, repositories: Sequence[str], seconds: float) -> list[float]:
    """Seconds of each push, while one client pushes to each repository."""
    context = multiprocessing.get_context("spawn")
    pushed, go = context.Queue(), context.Event()
    shares = [repositories[number::_PROCESSES] for number in range(_PROCESSES)]
    processes = [context.Process(target=_push_for, args=(url, share, seconds, pushed, go)) for share in shares]
    for process in processes:
        process.start()
    time.sleep(1)
    go.set()
    taken = [second for _ in processes for second in pushed.get(timeout=_PATIENCE_SECONDS)]
    for process in processes:
        process.join()
    return taken


def in_parallel(url: str, rounds: int, seconds: float) -> dict[str, list[list[float]]]:
    """Seconds of each push of each round, in turns."""
    database = Database(url, 1)
    into = {
        f"{PARALLEL} namespaces": [f"of-{number}/app" for number in range(PARALLEL)],
        "one namespace": [f"together/app-{number}" for number in range(PARALLEL)],
        "one namespace with a quota": [f"limited/app-{number}" for number in range(PARALLEL)],
    }
    for names in into.values():
        for name in names:
            Pusher(database, RepositoryName(name)).prepare()
    quotas.put(database, Quota("limited", bytes=1 << 50, repositories=None))
    taken: dict[str, list[list[float]]] = {name: [] for name in into}
    for _ in range(rounds):
        for name, names in into.items():
            settle(database)
            taken[name].append(at_once(url, names, seconds))
            print(f"{name}: {len(taken[name][-1]) / seconds:.0f} pushes/s", flush=True)
    database.close()
    return taken


def measure(made: dict[str, Place], report: Report, arguments: Any) -> None:
    counted, name = RepositoryName("http/app"), RepositoryName("direct/app")
    databases = {kind: Database(place.url, 1) for kind, place in made.items()}
    ways: dict[str, dict[str, Pusher]] = {
        "over HTTP": {kind: HttpPusher(databases[kind], counted, place.port) for kind, place in made.items()},
        "in the metadata alone": {kind: Pusher(databases[kind], name) for kind in made},
    }
    rows: list[list[str]] = []
    for way, pushers in ways.items():
        taken = one_by_one(pushers, arguments.pushes)
        medians = {kind: statistics.median(seconds) for kind, seconds in taken.items()}
        ratio = medians["with"] / medians["without"]
        print(f"{way}: {_ms(medians['with'])} and {_ms(medians['without'])} ms, ratio {ratio:.2f}", flush=True)
        rows += [
            [
                f"{way}, {kind} counting",
                str(len(seconds)),
                _ms(medians[kind]),
                _ms(percentile(seconds, 10)),
                _ms(percentile(seconds, 99)),
                f"{medians[kind] / medians['without']:.2f}",
            ]
            for kind, seconds in taken.items()
        ]
    report.add(
        f"## A manifest of {LAYERS + 1} blobs with a new tag, one client, in turns",
        table(["push", "runs", "p50, ms", "p10, ms", "p99, ms", "p50 ratio"], rows),
    )
    rounds = in_parallel(made["with"].url, arguments.rounds, arguments.seconds)
    rates = {name: [len(round_) / arguments.seconds for round_ in of] for name, of in rounds.items()}
    rows = [
        [into, median_and_range(rates[into]), *(_ms(percentile([*chain(*of)], percent)) for percent in (50, 99))]
        for into, of in rounds.items()
    ]
    apart = statistics.median(rates[f"{PARALLEL} namespaces"])
    ratios = [f"{name}: {statistics.median(rate) / apart:.2f}" for name, rate in rates.items()][1:]
    report.add(
        f"## {PARALLEL} clients at once, each into a repository of its own, {arguments.seconds:.0f} s a round",
        table(["into", "pushes/s", "p50, ms", "p99, ms"], rows),
        f"Rates against {PARALLEL} namespaces: {'; '.join(ratios)}. Clients and server share the cores.",
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counters", description=__doc__)
    parser.add_argument("--pushes", type=int, default=2000, help="of one client, each way (default 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="of many clients, each way (default 3)")
    parser.add_argument("--seconds", type=float, default=10, help="of a round (default 10)")
    arguments = parser.parse_args()
    report = Report("What counting costs", "benchmarks.counters")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        places(Path(folder)) as made,
    ):
        measure(made, report, arguments)
    report.write("counters")


if __name__ == "__main__":
    main()
