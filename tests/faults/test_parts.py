"""Each part of a running registry is killed, stopped or starved: nothing acknowledged is lost, all else is a 503."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final, Self

import pytest
import requests

from functions.registry.oci.digest import Digest
from local.programs import ROOT
from local.stack import Options, Stack
from tests.faults.kinds import FAULTS, backends, no_connection_left, send, server_of, stopped, whole_postgres
from tests.support import Image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
CLIENTS: Final = 6
PATIENCE: Final = 60
_UNAVAILABLE: Final = HTTPStatus.SERVICE_UNAVAILABLE


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(Options(port=0, data=tmp_path_factory.mktemp("data"))) as running:
        yield running


def push(address: str, repository: str, image: Image) -> bool:
    """Says whether all of it was acknowledged; what was refused said that it may be tried again."""
    with requests.Session() as session:
        answers = [
            session.post(
                f"http://{address}/v2/{repository}/blobs/uploads/?digest={Digest.of(blob)}", data=blob, timeout=90
            )
            for blob in image.blobs
        ]
        answers.append(session.put(f"http://{address}/v2/{repository}/manifests/v1", data=image.manifest, timeout=90))
    for answer in answers:
        assert answer.status_code == HTTPStatus.CREATED or is_unavailable(answer) or answer is answers[-1], answer.text
    return answers[-1].status_code == HTTPStatus.CREATED


def is_unavailable(answer: requests.Response) -> bool:
    return answer.status_code == _UNAVAILABLE and "Retry-After" in answer.headers


def is_whole(address: str, repository: str, image: Image) -> bool:
    base = f"http://{address}/v2/{repository}"
    answer = requests.get(f"{base}/manifests/v1", timeout=90)
    if is_unavailable(answer):
        return False
    assert answer.content == image.manifest, answer.text
    for blob in image.blobs:
        answer = requests.get(f"{base}/blobs/{Digest.of(blob)}", timeout=90)
        if is_unavailable(answer):
            return False
        assert answer.content == blob, answer.text
    return True


def until(works: Callable[[], bool]) -> None:
    """A connection that broke, or a 503, is tried again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(requests.ConnectionError):
            if works():
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


class Clients:
    """Push and pull all the while. What is neither right, nor 503, nor a broken connection is `wrong`."""

    def __init__(self, address: str, kept: Image) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0
        self.acknowledged: dict[str, Image] = {}
        self._address, self._kept = address, kept
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._act, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _act(self, number: int) -> None:
        turn = 0
        while not self._is_over.is_set():
            began, turn = time.monotonic(), turn + 1
            image, repository = (
                Image(config=os.urandom(20), layers=(os.urandom(100),)),
                f"new/{number}-{os.urandom(8).hex()}",
            )
            try:
                if turn % 2:
                    done = is_whole(self._address, "kept/image", self._kept)
                elif done := push(self._address, repository, image):
                    self.acknowledged[repository] = image
                self.counts["done" if done else "503"] += 1
            except requests.ConnectionError:
                self.counts["broken"] += 1
            except Exception as error:  # noqa: BLE001  # the test's own thread tells
                self.wrong.append(repr(error)[:500])
            self.slowest = max(self.slowest, time.monotonic() - began)


@pytest.fixture
def kept(running: Stack) -> Image:
    image = Image(layers=(b"layer", os.urandom(100)))
    until(lambda: push(running.address, "kept/image", image))
    return image


def after(running: Stack, clients: Clients, kept: Image) -> None:
    until(lambda: is_whole(running.address, "kept/image", kept))
    until(lambda: push(running.address, "new/after", kept))
    for repository, image in clients.acknowledged.items():
        until(lambda: is_whole(running.address, repository, image))  # noqa: B023  # called at once
    assert not clients.wrong
    assert clients.counts["done"]


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_acknowledged_is_lost_and_answers_are_right_or_503(running: Stack, kept: Image, fault: str) -> None:
    chance = random.Random(fault)  # noqa: S311  # chance, not secrecy
    with Clients(running.address, kept) as clients:
        time.sleep(0.5)
        for _ in range(2):
            FAULTS[fault](running, chance)
            time.sleep(1)
    after(running, clients, kept)


def test_a_postgres_that_stands_still_is_waited_for_within_bounds(running: Stack, kept: Image) -> None:
    with Clients(running.address, kept) as clients:
        time.sleep(1)
        with stopped(whole_postgres(running)):
            time.sleep(50)
    after(running, clients, kept)
    # A statement is given up after 40 seconds; whoever has no connection by then, after two.
    assert clients.slowest < 3 * 45
    assert len(backends(running)) <= 40


def test_without_a_connection_left_requests_wait_for_ours(running: Stack, kept: Image) -> None:
    with no_connection_left(running), Clients(running.address, kept) as clients:
        time.sleep(5)
    assert clients.counts["done"] > 0, "one of ours is waited for"
    after(running, clients, kept)


@pytest.mark.parametrize("name", ["api", "gc", "storage", "pubsub", "postgres", "migrate"])
def test_a_part_that_is_killed_outright_is_there_again_with_all_data_after_a_start(tmp_path: Path, name: str) -> None:
    image = Image(layers=(b"layer",))
    options = Options(port=0, data=tmp_path / "data")
    with Stack(options) as first:
        assert push(first.address, "kept/image", image)
        send([server_of(first, name)], signal.SIGKILL)
    with Stack(options) as second:
        assert is_whole(second.address, "kept/image", image)
        assert push(second.address, "new/image", image)


# ---- a full disk

_MEBIBYTES: Final = 160
_MOUNTING: Final = 'mount -t tmpfs -o size=$SIZE tmpfs "$FOLDER" && chmod 777 "$FOLDER" && exec "$@"'


def _alone() -> list[str]:
    """What to put before a command that has mounts of its own."""
    unshare = shutil.which("unshare")
    own = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    command = [str(unshare), *own, "--mount"]
    if unshare is None or subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this account may mount nothing")
    return command


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a registry on a disk of its own, which is small."""
    folder, log = tmp_path / "small", tmp_path / "log"
    folder.mkdir()
    command = [sys.executable, "-m", "local", "up", "--port", "0", "--data", str(folder / "data")]
    environment = {**os.environ, "SIZE": f"{_MEBIBYTES}m", "FOLDER": str(folder)}
    with log.open("w") as output:
        process = subprocess.Popen(
            [*_alone(), "sh", "-c", _MOUNTING, "sh", *command], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 2 * PATIENCE
        while "ready: " not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield log.read_text().partition("ready: http://")[2].split()[0], Path(f"/proc/{process.pid}/root{folder}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)


def test_on_a_full_disk_pulls_go_on_and_nothing_acknowledged_is_lost(small: tuple[str, Path]) -> None:
    address, folder = small
    kept = Image(layers=(b"layer", os.urandom(1000)))
    assert push(address, "kept/image", kept)
    with (folder / "fill").open("wb", buffering=0) as fill, suppress(OSError):
        while True:
            fill.write(bytes(1 << 16))
    with suppress(OSError), (folder / "fill").open("ab", buffering=0) as fill:
        while True:
            fill.write(b"0")
    with Clients(address, kept) as clients:
        time.sleep(10)
    assert not clients.wrong
    assert clients.counts["done"] > 0, "a pull needs no space"
    (folder / "fill").unlink()
    until(lambda: push(address, "new/after", kept))
    until(lambda: is_whole(address, "kept/image", kept))
    for repository, image in clients.acknowledged.items():
        assert is_whole(address, repository, image)
