"""Small requests: what one costs the api function, and how many it answers in a second.

The client is as cheap as Python allows, a plain socket, for it shares the machine with what it measures.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.measure import Report, cpu_seconds, percentile, table, worker_of
from local.stack import Options, Stack

REPOSITORY: Final = "/v2/bench/small"
TAGS: Final = 1000
THREADS: Final = 8
WARM_UP: Final = 50
TIMEOUT_SECONDS: Final = 60
# gunicorn closes a connection that idles for two seconds: each run opens its own.
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """`make` gives the bytes of the next request; `status` is the answer to all of them."""

    name: str
    make: Callable[[], bytes]
    status: int


@dataclass(frozen=True, slots=True)
class Run:
    """`statements` and `server_ms` are averages of what the api logged."""

    seconds: float
    latencies: list[float]
    cpu_seconds: float
    statements: float
    server_ms: float

    def cells(self) -> list[str]:
        count = len(self.latencies)
        return [
            f"{count / self.seconds:.0f}",
            f"{percentile(self.latencies, 50) * 1000:.2f}",
            f"{percentile(self.latencies, 99) * 1000:.2f}",
            f"{self.cpu_seconds / count * 1000:.2f}",
            f"{self.server_ms:.2f}",
            f"{self.statements:g}",
        ]


class Connection:
    """Kept open from request to request. Answers must have a Content-Length."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._socket.sendall(request)
        head, _, body = self._until_head_ends().partition(_END_OF_HEAD)
        length = 0 if request.startswith(b"HEAD") else _content_length(head)
        while len(body) < length:
            body += self._receive()
        return int(head[9:12]), body

    def _until_head_ends(self) -> bytes:
        received = self._receive()
        while _END_OF_HEAD not in received:
            received += self._receive()
        return received

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionError("the registry closed the connection")
        return received

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError("an answer without Content-Length")


def request(method: str, path: str, body: bytes = b"", content_type: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: registry"]
    if method in ("PUT", "POST"):
        lines.append(f"Content-Length: {len(body)}")
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Image:
    """A config and ten layers, a kibibyte each; its manifests differ in an annotation."""

    def __init__(self) -> None:
        self.blobs = [bytes([number]) * 1024 for number in range(11)]
        self._numbers = itertools.count()

    def manifest(self) -> bytes:
        described = [{"mediaType": "text/plain", "digest": digest_of(blob), "size": len(blob)} for blob in self.blobs]
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": described[0],
            "layers": described[1:],
            "annotations": {"number": str(next(self._numbers))},
        }
        return json.dumps(document).encode()

    def push(self, connection: Connection) -> None:
        """Its blobs, and one manifest under a thousand tags."""
        for blob in self.blobs:
            path = f"{REPOSITORY}/blobs/uploads/?digest={digest_of(blob)}"
            _expect(201, *connection.ask(request("POST", path, blob)))
        manifest = self.manifest()
        for number in range(TAGS):
            path = f"{REPOSITORY}/manifests/v{number:04}"
            _expect(201, *connection.ask(request("PUT", path, manifest, _MANIFEST_TYPE)))


def _expect(wanted: int, status: int, body: bytes) -> None:
    if status != wanted:
        raise ValueError(f"the registry answered {status}, not {wanted}: {body[:500]!r}")


def kinds(image: Image) -> list[Kind]:
    blob = f"{REPOSITORY}/blobs/{digest_of(image.blobs[1])}"
    tags = itertools.cycle(f"v{number:04}" for number in range(TAGS))
    lock = threading.Lock()

    def put_manifest() -> bytes:
        with lock:
            tag, manifest = next(tags), image.manifest()
        return request("PUT", f"{REPOSITORY}/manifests/{tag}", manifest, _MANIFEST_TYPE)

    def fixed(method: str, path: str) -> Callable[[], bytes]:
        text = request(method, path)
        return lambda: text

    return [
        Kind("GET /v2/", fixed("GET", "/v2/"), 200),
        Kind("GET manifest by tag", fixed("GET", f"{REPOSITORY}/manifests/v0500"), 200),
        Kind("HEAD blob", fixed("HEAD", blob), 200),
        Kind("GET blob (redirect)", fixed("GET", blob), 307),
        Kind(f"GET tags list, {TAGS} tags", fixed("GET", f"{REPOSITORY}/tags/list"), 200),
        Kind("PUT manifest, 11 blobs, tag moves", put_manifest, 201),
    ]


class Meter:
    """Runs requests of one kind and watches the api's process and its log."""

    def __init__(self, address: str, log: Path) -> None:
        self._address = address
        self._log = log
        self._api = worker_of("functions/api/main.py")

    def run(self, kind: Kind, count: int, threads: int) -> Run:
        """`count` requests, divided among `threads`, each with a connection of its own."""
        self._ask(kind, WARM_UP)
        logged, cpu, started = self._log.stat().st_size, cpu_seconds(self._api), time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            latencies = list(pool.map(lambda _: self._ask(kind, count // threads), range(threads)))
        seconds, cpu = time.perf_counter() - started, cpu_seconds(self._api) - cpu
        lines = self._logged_since(logged)
        return Run(
            seconds=seconds,
            latencies=list(itertools.chain.from_iterable(latencies)),
            cpu_seconds=cpu,
            statements=statistics.mean(line["statements"] for line in lines),
            server_ms=statistics.mean(line["ms"] for line in lines),
        )

    def _ask(self, kind: Kind, count: int) -> list[float]:
        latencies = []
        with closing(Connection(self._address)) as connection:
            for _ in range(count):
                text = kind.make()
                started = time.perf_counter()
                status, body = connection.ask(text)
                latencies.append(time.perf_counter() - started)
                _expect(kind.status, status, body)
        return latencies

    def _logged_since(self, offset: int) -> list[dict[str, Any]]:
        with self._log.open("rb") as log:
            log.seek(offset)
            return [line for line in map(json.loads, log) if line["message"] == "request"]


def _table(meter: Meter, chosen: Sequence[Kind], count: int, threads: int) -> str:
    rows = []
    for kind in chosen:
        rows.append([kind.name, *meter.run(kind, count, threads).cells()])
        print(f"{threads} threads: {' '.join(rows[-1])}", flush=True)
    return table(["request", "per second", "p50 ms", "p99 ms", "CPU ms", "handler ms", "statements"], rows)


def run(arguments: Any) -> None:
    report = Report("Small requests", "benchmarks.requests")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        data = Path(folder)
        with Stack(Options(port=0, data=data, ephemeral=True)) as stack:
            image = Image()
            with Connection(stack.address) as connection:
                image.push(connection)
            meter = Meter(stack.address, data / "logs" / "api.log")
            chosen = kinds(image)
            alone = _table(meter, chosen, arguments.count, 1)
            crowd = _table(meter, chosen, arguments.count, THREADS)
    report.add(
        f"{arguments.count} requests of each kind. One api process; its CPU time is a request's share of all its "
        "threads; handler ms is the time the api's log gives; statements are the database's.",
        f"## One connection, one request after the other\n\n{alone}",
        f"## {THREADS} connections at once\n\n{crowd}",
    )
    report.write("requests")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument("--count", type=int, default=4000, help="requests of each kind (default 4000)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
