"""What the HTTP/2 front costs: the same layers through nginx over HTTP/2, and straight to the api over HTTP/1.1.

Both lead to the same process, in turn, so that whatever else slows the machine down slows both sides of each ratio.
The client is curl, for both: its own cost is a part of both sides.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.content import BLOCK_BYTES, Content
from benchmarks.measure import GIBIBYTE, MEBIBYTE, Report, median_and_range, table, timed
from tests.rehearsal.behind import Behind, running_behind, running_stack
from tests.rehearsal.nginx import MISSING, find_nginx, version_of

LEAST_RATIO: Final = 0.8
_SECONDS: Final = 600
HTTP2: Final = "HTTP/2 through nginx"
HTTP1: Final = "HTTP/1.1 to the api"
_WAYS: Final = (HTTP2, HTTP1)


@dataclass
class Measured:
    """Of each way, one number a round."""

    rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


class Uploads:
    """One running instance, and curl."""

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self.measured: dict[str, Measured] = defaultdict(Measured)

    def round(self, what: str, file: Path, at_once: int) -> None:
        """`at_once` uploads of the file at the same time, each way."""
        for way in _WAYS:
            locations = [self._behind.start_upload() for _ in range(at_once)]
            self._behind.instance.peaks.clear()
            before = self._cpu_seconds()
            seconds = timed(partial(self._patch_all, way, locations, file))
            sent = file.stat().st_size * at_once
            measured = self.measured[what]
            measured.rates[way].append(sent / MEBIBYTE / seconds)
            measured.cpu[way].append((self._cpu_seconds() - before) * GIBIBYTE / sent)
            measured.memory[way].append(sum(self._behind.instance.peaks.values()) / MEBIBYTE)
            print(f"{what}, {way}: {measured.rates[way][-1]:.0f} MiB/s", flush=True)
            for location in locations:
                self._behind.request("DELETE", location)

    def _cpu_seconds(self) -> float:
        return sum(container.cpu_seconds() for container in self._behind.instance.containers)

    def _patch_all(self, way: str, locations: list[str], file: Path) -> None:
        with ThreadPoolExecutor(len(locations)) as threads:
            list(threads.map(partial(self._patch, way, file), locations))

    def _patch(self, way: str, file: Path, location: str) -> None:
        """Docker's way: the length is not announced."""
        length = "Content-Length:" if way == HTTP2 else "Transfer-Encoding: chunked"
        said = self._curl(
            way, location, "--request", "PATCH", "--upload-file", str(file), "--header", length, "--include"
        )
        if not re.search(r"^HTTP/\S+ 202", said, re.MULTILINE):
            raise RuntimeError(f"{way}: {said[:300]}")

    def _curl(self, way: str, path: str, *options: str) -> str:
        port = self._behind.port if way == HTTP2 else self._behind.app_port
        protocol = "--http2-prior-knowledge" if way == HTTP2 else "--http1.1"
        name, value = self._behind.authorization
        headers = ["--header", f"{name}: {value}", "--header", "Expect:"]
        command = ["curl", "--silent", "--show-error", protocol, *headers, *options, f"http://127.0.0.1:{port}{path}"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS).stdout


def _file(folder: Path, size: int) -> Path:
    path = folder / f"layer-{size}"
    with path.open("wb") as file:
        for block in Content(size, salt=1).blocks():
            file.write(block)
    return path


def _sections(measured: dict[str, Measured]) -> Iterator[str]:
    for what, one in measured.items():
        rows = [
            [
                way,
                median_and_range(one.rates[way]),
                median_and_range(one.cpu[way], 2),
                median_and_range(one.memory[way]),
            ]
            for way in _WAYS
        ]
        pairs = zip(one.rates[HTTP2], one.rates[HTTP1], strict=True)
        ratio = median_and_range([front / direct for front, direct in pairs], 2)
        header = ["way", "MiB/s", "CPU s/GiB, nginx and api", "peak MiB, nginx and api"]
        yield f"## {what}\n\n{table(header, rows)}\n\nHTTP/2 / HTTP/1.1, round by round: **{ratio}**"


def run(arguments: Any) -> None:
    nginx = find_nginx()
    if nginx is None or shutil.which("curl") is None:
        raise SystemExit(f"{MISSING} curl")
    report = Report("The HTTP/2 front", "benchmarks.front")
    size = arguments.mebibytes * MEBIBYTE // BLOCK_BYTES * BLOCK_BYTES
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        (folder / "front").mkdir()
        one, many = _file(folder, size), _file(folder, size // 16 // BLOCK_BYTES * BLOCK_BYTES)
        with running_stack(folder / "data") as stack, running_behind(stack, nginx, folder / "front") as behind:
            uploads = Uploads(behind)
            for _ in range(arguments.rounds):
                uploads.round(f"One upload of {size // MEBIBYTE} MiB", one, 1)
                uploads.round(f"16 uploads of {many.stat().st_size // MEBIBYTE} MiB at once", many, 16)
    report.add(f"nginx {'.'.join(map(str, version_of(nginx)))}; {arguments.rounds} rounds; median (range).")
    report.add(f"An upload over HTTP/2 is to reach {LEAST_RATIO} of one over HTTP/1.1, which has no limit here.")
    report.add(*_sections(uploads.measured))
    report.write("front")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.front", description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024, help="of the large layer (default 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="how often (default 5)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
