"""What neighbours do while somebody pulls. It runs in a process of its own, until its standard input ends, and prints
how often what was done was answered how.

    python -m benchmarks.crowd slow http://127.0.0.1:5000
    python -m benchmarks.crowd large http://127.0.0.1:5000 'Bearer …' noisy/app
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import requests

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX

SLOW_BODIES: Final = 100
REFERRERS: Final = 20
SMALL_PARTS: Final = 8
LARGEST: Final = 4 << 20
# Just fewer than are read, and just more.
_MOST_PARTS: Final = 99_000
_TOO_MANY_PARTS: Final = 1_000_000
_IS_OVER: Final = threading.Event()


def referrer(subject: dict[str, Any]) -> bytes:
    """As large as a manifest may be, nearly all of it one annotation, which no other has."""
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject, "annotations": {}}
    room = LARGEST - len(json.dumps(document)) - 100
    return json.dumps({**document, "annotations": {"a": secrets.token_hex(16) + "x" * (room - 32)}}).encode()


def small_parts(count: int) -> bytes:
    """As large as a manifest may be, and of as many lists that hold nothing."""
    head = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "a": secrets.token_hex(16)})[:-1]
    body = f'{head}, "b": [{",".join(["[]"] * count)}]}}'
    return (body + " " * (LARGEST - len(body))).encode()[:LARGEST]


class Pusher:
    def __init__(self, url: str, authorization: str, repository: str) -> None:
        self._url = f"{url}/v2/{repository}"
        self._head = {"Authorization": authorization}
        self.statuses: Counter[str] = Counter()

    def prepare(self) -> None:
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
        self._subject = {"mediaType": OCI_INDEX, "digest": str(Digest.of(body)), "size": len(body)}
        self._put(body)

    def push_referrer(self) -> None:
        self._put(referrer(self._subject))

    def push_small_parts(self) -> None:
        self._put(small_parts(_MOST_PARTS))

    def push_too_many_parts(self) -> None:
        self._put(small_parts(_TOO_MANY_PARTS))

    def list_referrers(self) -> None:
        """All pages of them."""
        path = f"{self._url}/referrers/{self._subject['digest']}"
        while path and not _IS_OVER.is_set():
            answer = requests.get(path, headers=self._head, timeout=60)
            self.statuses[f"list {answer.status_code}"] += 1
            path = requests.compat.urljoin(path, answer.links["next"]["url"]) if "next" in answer.links else ""

    def _put(self, body: bytes) -> None:
        path = f"{self._url}/manifests/{Digest.of(body)}"
        head = {**self._head, "Content-Type": OCI_INDEX}
        answer = requests.put(path, data=body, headers=head, timeout=120)
        self.statuses[f"push {answer.status_code}"] += 1
        if "Retry-After" in answer.headers:
            _IS_OVER.wait(int(answer.headers["Retry-After"]))


def again_and_again(work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        while not _IS_OVER.is_set():
            work()

    return run


def trickle(url: str) -> None:
    """A byte a second of a body that nobody asked for."""
    host, _, port = url.removeprefix("http://").partition(":")
    start = f"POST /v2/x/y/blobs/uploads/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\na".encode()
    with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(start)
        while not _IS_OVER.wait(1):
            connection.sendall(b"a")


def main() -> None:
    kind, url, *rest = sys.argv[1:]
    statuses: Counter[str] = Counter()
    if kind == "slow":
        work = [again_and_again(lambda: trickle(url))] * SLOW_BODIES
    else:
        pusher = Pusher(url, *rest)
        statuses = pusher.statuses
        pusher.prepare()
        parts = [pusher.push_small_parts, pusher.push_too_many_parts] * (SMALL_PARTS // 2)
        work = [again_and_again(each) for each in [*[pusher.push_referrer] * REFERRERS, *parts, pusher.list_referrers]]
    crowd = [threading.Thread(target=each, daemon=True) for each in work]
    for each in crowd:
        each.start()
    print("begun", flush=True)
    sys.stdin.read()
    _IS_OVER.set()
    until = time.monotonic() + 60
    for each in crowd:
        each.join(max(0.0, until - time.monotonic()))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
