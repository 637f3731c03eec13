"""A steady load: pushes and pulls come as they come, whether those before are answered or not."""

from __future__ import annotations

import argparse
import itertools
import selectors
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import MEBIBYTE, Report, children_of, percentile, rss_bytes, table
from benchmarks.rivals import images
from benchmarks.rivals.asking import Client, Job, request
from benchmarks.rivals.images import MANIFEST_TYPE, make_image
from benchmarks.rivals.registries import Registry, slipway
from benchmarks.rivals.scenarios import LAYERS, REPOSITORY, SIZE, TAGS, fill, pulled

_HOUR: Final = 3600
_CLIENTS: Final = 64
_PARTS: Final = ("api", "database", "store")


@dataclass
class Kind:
    """Jobs of one kind: so many a second, at even distances."""

    name: str
    per_second: float
    make: Callable[[int], Job]
    clients: list[Client] = field(default_factory=list)
    done: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [seconds for client in self.clients for seconds in client.seconds]


def push(number: int) -> Job:
    repository = f"steady/pushed-{number % 50}"
    return images.push(repository, make_image(number, LAYERS, SIZE), f"v{number % 200}", is_in_chunks=True)


def pull(number: int) -> Job:
    """Makes calls: of ten, five pull a manifest, three a blob, one asks for a blob, one lists tags."""
    layer = pulled().layers[number % LAYERS].digest
    base = f"/v2/{REPOSITORY}"
    asked = number % 10
    if asked < 5:
        answer = yield request("GET", f"{base}/manifests/v{number % TAGS:04}", accept=MANIFEST_TYPE)
    elif asked < 8:
        answer = yield request("GET", f"{base}/blobs/{layer}")
    elif asked < 9:
        answer = yield request("HEAD", f"{base}/blobs/{layer}")
    else:
        answer = yield request("GET", f"{base}/tags/list?n=100")
    answer.require(307 if 5 <= asked < 8 else 200)


def run_for(address: str, kinds: list[Kind], seconds: float) -> None:
    """Begins each job when it is due; who is late waits for a client, and that time counts."""
    with selectors.DefaultSelector() as selector:
        for kind in kinds:
            kind.clients = [Client(address, selector) for _ in range(_CLIENTS)]
        owners = {client: kind for kind in kinds for client in kind.clients}
        idle = {kind.name: list(kind.clients) for kind in kinds}
        started = time.perf_counter()
        due = {kind.name: itertools.count(started, 1 / kind.per_second) for kind in kinds}
        following = {name: next(moments) for name, moments in due.items()}
        while time.perf_counter() < started + seconds or any(len(idle[kind.name]) < _CLIENTS for kind in kinds):
            for kind in kinds:
                while idle[kind.name] and following[kind.name] <= min(time.perf_counter(), started + seconds):
                    client = idle[kind.name].pop()
                    client.begin(kind.make(kind.done + len(kind.failed)), following[kind.name])
                    kind.done += 1
                    following[kind.name] = next(due[kind.name])
            wait = min(following.values()) - time.perf_counter()
            for client in _ready(selector, owners, max(0.0, min(wait, 1.0))):
                idle[owners[client].name].append(client)
        for client in owners:
            client.close()


def _ready(selector: selectors.BaseSelector, owners: dict[Client, Kind], seconds: float) -> Iterator[Client]:
    """Yields who has done its job. One that fails is told of, and goes on with the next."""
    for key, _ in selector.select(seconds):
        client, connection = key.data
        try:
            if client.advance(connection):
                yield client
        except (ValueError, OSError) as error:
            owners[client].failed.append(str(error))
            client.close()
            yield client


def _figures(kinds: list[Kind], seconds: float) -> str:
    rows = []
    for kind in kinds:
        taken = [each * 1000 for each in kind.seconds]
        rows.append(
            [
                kind.name,
                f"{len(taken) / seconds:.1f}",
                str(len(taken)),
                str(len(kind.failed)),
                *(f"{percentile(taken, percent):.1f}" for percent in (50, 99, 99.9)),
            ]
        )
    return table(["what", "a second", "in all", "failed", "p50 ms", "p99 ms", "p99.9 ms"], rows)


def _cost(used: dict[str, float], seconds: float, registry: Registry) -> str:
    held = sum(rss_bytes(pid) for pid in children_of(registry.parts["api"])) / MEBIBYTE
    rows = [[part, f"{used[part] / seconds:.2f}", f"{used[part] / seconds * _HOUR:.0f}"] for part in _PARTS]
    return f"{table(['part', 'cores', 'CPU seconds an hour'], rows)}\n\nThe api's processes hold {held:.0f} MiB."


def run(arguments: Any) -> None:
    report = Report("A steady load", "benchmarks.steady")
    kinds = [Kind("push, 6 layers of 100 kB", arguments.pushes, push), Kind("other calls", arguments.calls, pull)]
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name,
        slipway(Path(name)) as registry,
    ):
        fill(registry.address)
        before = registry.cpu()
        run_for(registry.address, kinds, arguments.seconds)
        used = registry.cpu_since(before)
        report.add(
            f"{arguments.seconds:.0f} seconds. Times count from when a job was due. Pushes are docker's: 29 requests.",
            _figures(kinds, arguments.seconds),
            _cost(used, arguments.seconds, registry),
            *(f"{kind.name} failed: `{kind.failed[0]}`" for kind in kinds if kind.failed),
        )
    report.write("steady")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for how long (default 600)")
    parser.add_argument("--pushes", type=float, default=9, help="a second (default 9)")
    parser.add_argument("--calls", type=float, default=32, help="other calls a second (default 32)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
