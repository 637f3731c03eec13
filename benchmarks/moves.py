"""What a move of a whole namespace does to those who pull elsewhere, while many clients push into what is moved."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import Report, median_and_range, percentile, table, timed
from functions.registry.metadata.driver import Connection
from functions.registry.oci.media_type import OCI_MANIFEST
from local.guard import HOST
from local.seed import seed
from local.stack import Options, Stack

GOAL_RATIO: Final = 2.0
GOAL_SECONDS: Final = 1.0
_PULLERS: Final = 4
_PAUSE_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 600
_ELSEWHERE: Final = "elsewhere/app"
_LAYER: Final = b"x" * 100
_DIGEST: Final = f"sha256:{hashlib.sha256(_LAYER).hexdigest()}"


@dataclass(slots=True)
class Part:
    """Seconds of each pull, answers to mounts, and how long all of it took."""

    pulls: list[float] = field(default_factory=list)
    mounts: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def require(status: int, port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
    found, _, said = ask(port, method, path, body, **headers)
    if found != status:
        raise RuntimeError(f"{method} {path} was answered {found}: {said[:200]!r}")


def mount_until(is_over: Event, found: Queue[Counter[int]], port: int, names: Sequence[str], clients: int) -> None:
    """A process of clients that mount a blob into the repositories again and again, and wait when they are told to."""
    counts: Counter[int] = Counter()

    def act(number: int) -> None:
        path = f"/v2/{names[number % len(names)]}/blobs/uploads/?mount={_DIGEST}&from={_ELSEWHERE}"
        while not is_over.is_set():
            status, headers, _ = ask(port, "POST", path, b"")
            counts[status] += 1
            is_over.wait(float(headers.get("Retry-After", _PAUSE_SECONDS)))

    _together([lambda number=number: act(number) for number in range(clients)])  # type: ignore[misc]
    found.put(counts)


def _together(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def beside_clients(port: int, names: Sequence[str], clients: int, work: Callable[[], object]) -> Part:
    """Pulls of a manifest elsewhere while `work` runs, beside the clients."""
    part, spawn = Part(), multiprocessing.get_context("spawn")
    is_over, found = spawn.Event(), spawn.Queue()
    mounting = spawn.Process(target=mount_until, args=(is_over, found, port, names, clients))
    mounting.start()
    time.sleep(3)  # until all of them are at it
    has_worked = threading.Event()

    def pull() -> None:
        while not has_worked.is_set():
            part.pulls.append(timed(lambda: require(HTTPStatus.OK, port, "GET", f"/v2/{_ELSEWHERE}/manifests/v1")))
            time.sleep(_PAUSE_SECONDS)

    def do() -> None:
        try:
            part.seconds = timed(work)
        finally:
            has_worked.set()

    try:
        _together([do, *[pull] * _PULLERS])
    finally:
        is_over.set()
        part.mounts = found.get(timeout=_PATIENCE_SECONDS)
        mounting.join()
    if not part.seconds:
        raise RuntimeError("what was to be measured failed")
    return part


def move(port: int, old: str, new: str) -> None:
    body = json.dumps({"to": new, "with_below": True}).encode()
    require(
        HTTPStatus.OK, port, "POST", f"/api/v1/repositories/{old}/-/move", body, **{"Content-Type": "application/json"}
    )


def fill(running: Stack, repositories: int) -> list[str]:
    """All repositories lie below `tree-0`; some of their names behind that."""
    port, url = running.ports.api, running.environment["SLIPWAY_DATABASE"]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        seed(url, 10 * repositories, repositories, 100)
    connection = Connection(url)
    namespaces = connection.run([("SELECT name FROM namespaces WHERE name > ''", {})])[0].rows
    for (name,) in namespaces:
        move(port, name, f"tree-0/{name}")
    rows = connection.run([("SELECT name FROM repositories WHERE name LIKE 'tree-0/%' LIMIT 200", {})])[0].rows
    connection.close()
    described = {"mediaType": "application/octet-stream", "digest": _DIGEST, "size": len(_LAYER)}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": [described]}
    require(HTTPStatus.CREATED, port, "POST", f"/v2/{_ELSEWHERE}/blobs/uploads/?digest={_DIGEST}", _LAYER)
    manifest, kind = json.dumps(document).encode(), {"Content-Type": OCI_MANIFEST}
    require(HTTPStatus.CREATED, port, "PUT", f"/v2/{_ELSEWHERE}/manifests/v1", manifest, **kind)
    return [name.partition("/")[2] for (name,) in rows]


def rounds(running: Stack, arguments: Any) -> Iterator[tuple[Part, Part]]:
    """The same clients, without a move and with one."""
    port, behind = running.ports.api, fill(running, arguments.repositories)
    for number in range(arguments.rounds):
        tree, new = f"tree-{number}", f"tree-{number + 1}"
        names = [f"{tree}/{name}" for name in behind]
        quiet = beside_clients(port, names, arguments.clients, lambda: time.sleep(arguments.seconds))
        yield quiet, beside_clients(port, names, arguments.clients, lambda: move(port, tree, new))  # noqa: B023  # at once


def summary(found: Sequence[tuple[Part, Part]]) -> list[str]:
    rows = []
    parts = list(zip(*found, strict=True))
    for name, series in zip(("without a move", "with the move"), parts, strict=True):
        mounts = sum((part.mounts for part in series), Counter[int]())
        rows.append(
            [
                name,
                median_and_range([part.seconds for part in series], 1),
                str(sum(len(part.pulls) for part in series)),
                median_and_range([percentile(part.pulls, 50) * 1000 for part in series], 1),
                median_and_range([percentile(part.pulls, 99) * 1000 for part in series], 1),
                median_and_range([max(part.pulls) * 1000 for part in series], 1),
                ", ".join(f"{count} of {status}" for status, count in sorted(mounts.items())),
            ]
        )
    ratios = [percentile(moving.pulls, 99) / percentile(quiet.pulls, 99) for quiet, moving in found]
    slowest = max(max(part.pulls) for part in parts[1])
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    is_kept = max(ratios) <= GOAL_RATIO and slowest <= GOAL_SECONDS
    goals = f"The goals, {GOAL_RATIO:g} and {GOAL_SECONDS:g} s at most, are {'kept' if is_kept else 'not kept'}"
    return [
        table(["pulls elsewhere", "s", "pulls", "median, ms", "p99, ms", "slowest, ms", "answers to mounts"], rows),
        f"p99 with the move against p99 without it, round by round: {told}. Slowest with it: {slowest:.2f} s. {goals}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moves", description=__doc__)
    parser.add_argument("--repositories", type=int, default=4000, help="in the namespace that is moved (default 4000)")
    parser.add_argument("--clients", type=int, default=40, help="that push into it (default 40)")
    parser.add_argument("--seconds", type=float, default=15, help="without a move, in each round (default 15)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    arguments = parser.parse_args()
    report = Report("A move beside pulls", "benchmarks.moves")
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as folder,
        Stack(Options(port=0, data=Path(folder) / "data", ephemeral=True)) as running,
    ):
        found = list(rounds(running, arguments))
    report.add(*summary(found))
    report.write("moves")


if __name__ == "__main__":
    main()
