"""Large blobs: is a push through the registry at least half as fast as the Google client alone, in flat memory?

Everything runs on this machine: the registry, the fake Cloud Storage, and this program as the client of both. In each
round the same amount goes by each way in turn, so that whatever else slows the machine down slows all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket, Client

from benchmarks.content import BLOCK_BYTES, Content, ContentFile
from benchmarks.measure import (
    GIBIBYTE,
    MEBIBYTE,
    PeakRss,
    Report,
    cpu_seconds,
    median_and_range,
    rss_bytes,
    table,
    timed,
    worker_of,
)
from local.programs import BUCKET, PROJECT
from local.stack import Options, Stack

CLIENT_CHUNK_BYTES: Final = 8 * MEBIBYTE
UPLOADS: Final = "/v2/bench/large/blobs/uploads/"
TIMEOUT_SECONDS: Final = 600
# Deleted objects stay on disk for a minute, so a round finds those of the rounds before it.
COPIES_ON_DISK: Final = 12
LEAST_RATIO: Final = 0.5
MOST_GROWTH: Final = 64 * MEBIBYTE

WRITER: Final = "Google client, open()"
FROM_FILE: Final = "Google client, upload_from_file()"
DOCKER: Final = "push, one PATCH (docker)"
CONTAINERD: Final = "push, one PUT (containerd)"
PULL: Final = "pull by redirect"


@dataclass
class Measured:
    """Of each way, one number a round."""

    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    api_cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    storage_cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peaks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Transfers:
    """One running stack, and the ways to move bytes through it."""

    def __init__(self, stack: Stack, size: int) -> None:
        self._address = stack.address
        self._size = size
        self._client = Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{stack.ports.storage}"},
        )
        self._bucket: Bucket = self._client.bucket(BUCKET)
        self.api = worker_of("functions/api/main.py")
        self._storage = worker_of("local.storage.server")
        self.measured = Measured()
        self._salt = 0

    def round(self) -> None:
        self._measure(WRITER, self._content(), self._write)
        self._measure(FROM_FILE, self._content(), self._upload_from_file)
        self.empty_bucket()
        for way, push in ((DOCKER, self.patch_and_put), (CONTAINERD, self.put)):
            content = self._content()
            # Clients know the digest before they push: taking it is not part of the time.
            digest = content.digest()
            self._measure(way, content, partial(push, digest=digest))
        self._measure(PULL, content, partial(self._pull, digest=digest))
        self.empty_bucket()

    def _content(self) -> Content:
        self._salt += 1
        return Content(self._size, self._salt)

    def _measure(self, way: str, content: Content, transfer: Callable[[Content], object]) -> None:
        gibibytes = content.size / GIBIBYTE
        api, storage = cpu_seconds(self.api), cpu_seconds(self._storage)
        with PeakRss(self.api) as memory:
            seconds = timed(lambda: transfer(content))
        self.measured.rates[way].append(content.size / MEBIBYTE / seconds)
        self.measured.api_cpu[way].append((cpu_seconds(self.api) - api) / gibibytes)
        self.measured.storage_cpu[way].append((cpu_seconds(self._storage) - storage) / gibibytes)
        self.measured.peaks[way].append(memory.peak / MEBIBYTE)
        print(f"{way}: {self.measured.rates[way][-1]:.0f} MiB/s", flush=True)

    def _write(self, content: Content) -> None:
        with self._bucket.blob("client/writer").open("wb", chunk_size=CLIENT_CHUNK_BYTES) as writer:
            for block in content.blocks():
                writer.write(block)

    def _upload_from_file(self, content: Content) -> None:
        blob = self._bucket.blob("client/file", chunk_size=CLIENT_CHUNK_BYTES)
        blob.upload_from_file(ContentFile(content), size=content.size)

    def patch_and_put(self, content: Content, digest: str) -> None:
        """Docker's way: the length is not announced."""
        registry = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        upload = _upload(registry)
        answer = _send(registry, "PATCH", upload, {"Transfer-Encoding": "chunked"}, content.chunked())
        upload = _expect(answer, 202).headers["Location"]
        _expect(_send(registry, "PUT", f"{upload}?digest={digest}", {"Content-Length": "0"}), 201)
        registry.close()

    def put(self, content: Content, digest: str) -> None:
        """Containerd's way: everything in the request that ends the upload."""
        registry = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        upload = f"{_upload(registry)}?digest={digest}"
        length = {"Content-Length": str(content.size)}
        _expect(_send(registry, "PUT", upload, length, content.blocks()), 201)
        registry.close()

    def _pull(self, content: Content, digest: str) -> None:
        """Raises if the bytes are not those of the digest."""
        registry = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        redirect = _expect(_send(registry, "GET", f"/v2/bench/large/blobs/{digest}", {}), 307)
        registry.close()
        target = urlsplit(redirect.headers["Location"])
        storage = http.client.HTTPConnection(target.netloc, timeout=TIMEOUT_SECONDS)
        storage.request("GET", f"{target.path}?{target.query}")
        received, running = 0, hashlib.sha256()
        response, buffer = storage.getresponse(), memoryview(bytearray(MEBIBYTE))
        while count := response.readinto(buffer):
            running.update(buffer[:count])
            received += count
        storage.close()
        if received != content.size or digest != f"sha256:{running.hexdigest()}":
            raise ValueError(f"pulled {received} bytes of sha256:{running.hexdigest()}, not {content.size} of {digest}")

    def push_little(self) -> None:
        """What the first push of a process loads is loaded after this."""
        content = Content(BLOCK_BYTES, salt=0)
        self.put(content, content.digest())

    def empty_bucket(self) -> None:
        """The rows stay: the whole registry is thrown away in the end."""
        for blob in self._client.list_blobs(BUCKET):
            blob.delete()


def _upload(registry: http.client.HTTPConnection) -> str:
    location: str = _expect(_send(registry, "POST", UPLOADS, {"Content-Length": "0"}), 202).headers["Location"]
    return location


def _send(
    registry: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Iterable[memoryview] = (),
) -> http.client.HTTPResponse:
    """The body goes out as it is: encoded already, if it is to be."""
    registry.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        registry.putheader(name, value)
    registry.endheaders()
    for block in body:
        registry.send(block)
    response = registry.getresponse()
    # So that the connection can be used again; none of the answers has a body to speak of.
    response.read()
    return response


def _expect(response: http.client.HTTPResponse, status: int) -> http.client.HTTPResponse:
    if response.status != status:
        raise ValueError(f"the registry answered {response.status}, not {status}")
    return response


def _speeds(measured: Measured) -> str:
    rows = [
        [
            way,
            median_and_range(rates),
            median_and_range(measured.api_cpu[way], 2),
            median_and_range(measured.storage_cpu[way], 2),
        ]
        for way, rates in measured.rates.items()
    ]
    return table(["way", "MiB/s", "api CPU s/GiB", "store CPU s/GiB"], rows)


def _ratios(measured: Measured) -> str:
    """Each round by itself: what slowed the machine down in one round slowed down both sides of its ratio."""
    faster = max(WRITER, FROM_FILE, key=lambda way: statistics.median(measured.rates[way]))
    rows = []
    for way in (DOCKER, CONTAINERD):
        pairs = zip(measured.rates[way], measured.rates[faster], strict=True)
        rows.append([way, median_and_range([push / client for push, client in pairs], 2)])
    goal = f"The faster of the client's two ways is {faster}. A push is to reach {LEAST_RATIO} of it."
    return f"{goal}\n\n{table(['way', 'push / client, round by round'], rows)}"


def _memory(measured: Measured, idle: int, loaded: int) -> str:
    rows = [["idle, before any push", f"{idle / MEBIBYTE:.0f}", ""]]
    rows.append(["after a push of 4 MiB", f"{loaded / MEBIBYTE:.0f}", f"{(loaded - idle) / MEBIBYTE:.0f}"])
    rows += [
        [f"peak: {way}", median_and_range(peaks), f"{max(peaks) - idle / MEBIBYTE:.0f}"]
        for way, peaks in measured.peaks.items()
        if way in (DOCKER, CONTAINERD, PULL)
    ]
    goal = f"Memory of the api's worker process. It is to grow by {MOST_GROWTH // MEBIBYTE} MiB at most."
    return f"{goal}\n\n{table(['when', 'RSS MiB', 'growth MiB'], rows)}"


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < COPIES_ON_DISK * size:
        raise SystemExit(f"{COPIES_ON_DISK * size >> 30} GiB of disk are needed, {free >> 30} GiB are free")


def run(arguments: Any) -> None:
    size = int(arguments.gibibytes * GIBIBYTE) // BLOCK_BYTES * BLOCK_BYTES
    report = Report("Large blobs", "benchmarks.transfer")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        _require_room(Path(folder), size)
        with Stack(Options(port=0, data=Path(folder), ephemeral=True)) as stack:
            transfers = Transfers(stack, size)
            idle = rss_bytes(transfers.api)
            transfers.push_little()
            loaded = rss_bytes(transfers.api)
            for _ in range(arguments.rounds):
                transfers.round()
    measured = transfers.measured
    report.add(f"{size / GIBIBYTE:g} GiB each way, {arguments.rounds} rounds; median (range).")
    report.add(_speeds(measured), _ratios(measured), _memory(measured, idle, loaded))
    report.write("transfer")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__)
    parser.add_argument("--gibibytes", type=float, default=4, help="how much goes each way (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="how often (default 3)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
