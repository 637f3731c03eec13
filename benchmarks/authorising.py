"""What access control adds to a pull: the same manifest from an open registry and from one in token mode, in turns."""

from __future__ import annotations

import base64
import http.client
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.measure import Report, percentile, table
from local.stack import Options, Stack

PULLS: Final = 5000
TURN: Final = 100
WARM_UP: Final = 200
_REPOSITORY: Final = "bench/small"
_TYPE: Final = "application/vnd.oci.image.index.v1+json"
_EMPTY_INDEX: Final = json.dumps({"schemaVersion": 2, "mediaType": _TYPE, "manifests": []})


class Puller:
    """One client with one connection; `token` is what it sends, if it was given one."""

    def __init__(self, address: str, token: str | None) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=10)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.seconds: list[float] = []

    def call(self, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        self._connection.request(method, path, body, {**self._headers, **headers})
        response = self._connection.getresponse()
        response.read()
        return response

    def push(self) -> None:
        headers = {"Content-Type": _TYPE}
        pushed = self.call("PUT", f"/v2/{_REPOSITORY}/manifests/one", _EMPTY_INDEX, **headers)
        if pushed.status != http.client.CREATED:
            raise RuntimeError(f"the push was answered with {pushed.status}")

    def pull(self, count: int) -> None:
        for _ in range(count):
            started = time.perf_counter()
            status = self.call("GET", f"/v2/{_REPOSITORY}/manifests/one").status
            self.seconds.append(time.perf_counter() - started)
            if status != http.client.OK:
                raise RuntimeError(f"a pull was answered with {status}")


@contextmanager
def registry(mode: str, folder: Path) -> Iterator[Puller]:
    os.environ["SLIPWAY_ACCESS"] = mode
    os.environ["SLIPWAY_REQUESTS_PER_MINUTE"] = "1000000"
    with Stack(Options(port=0, data=folder, ephemeral=True)) as stack:
        yield Puller(stack.address, _token(stack.address, folder) if mode == "token" else None)


def _token(address: str, folder: Path) -> str:
    secret = json.loads((folder / "access.json").read_text())["SLIPWAY_ADMIN_SECRET"]
    credentials = base64.b64encode(f"admin:{secret}".encode()).decode()
    connection = http.client.HTTPConnection(address, timeout=10)
    path = f"/token?service=slipway&scope=repository:{_REPOSITORY}:pull,push"
    connection.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
    document = json.loads(connection.getresponse().read())
    token: str = document["token"]
    return token


def main() -> None:
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        pullers = {mode: running.enter_context(registry(mode, Path(folder, mode))) for mode in ("open", "token")}
        for puller in pullers.values():
            puller.push()
            puller.pull(WARM_UP)
            puller.seconds.clear()
        for _ in range(PULLS // TURN):
            for puller in pullers.values():
                puller.pull(TURN)
    medians = {mode: percentile(puller.seconds, 50) * 1000 for mode, puller in pullers.items()}
    rows = [
        [mode, str(len(puller.seconds)), f"{medians[mode]:.3f}", f"{percentile(puller.seconds, 99) * 1000:.2f}"]
        for mode, puller in pullers.items()
    ]
    report = Report("What access control adds to a pull", "benchmarks.authorising")
    report.add(table(["mode", "pulls", "p50, ms", "p99, ms"], rows))
    added = medians["token"] - medians["open"]
    report.add(f"Added to the median: {added:.3f} ms; ratio {medians['token'] / medians['open']:.2f}.")
    report.write("authorising")


if __name__ == "__main__":
    main()
