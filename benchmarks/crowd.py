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
from functools import partial
from typing import Any, Final
from urllib.parse import urljoin

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
_END_SECONDS: Final = 60
_IS_OVER: Final = threading.Event()


class Document:
    """As large as a manifest may be: between head and tail, what makes each another one, and then its bulk."""

    def __init__(self, bulk: str, **fields: Any) -> None:
        self._head = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], **fields})[:-1].encode()
        self._bulk = bulk.encode()

    def another(self) -> bytes:
        body = b'%b, "number": "%b", %b}' % (self._head, secrets.token_hex(16).encode(), self._bulk)
        return body[:-1] + b" " * (LARGEST - len(body)) + b"}"


def small_parts(count: int) -> Document:
    """So many lists that hold nothing."""
    return Document(f'"parts": [{",".join(["[]"] * count)}]')


class Pusher:
    """A tenant who pushes what is large, and lists it."""

    def __init__(self, url: str, authorization: str, repository: str) -> None:
        self._url = f"{url}/v2/{repository}"
        self._head = {"Authorization": authorization, "Content-Type": OCI_INDEX}
        self.statuses: Counter[str] = Counter()
        body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
        self._subject = {"mediaType": OCI_INDEX, "digest": str(Digest.of(body)), "size": len(body)}
        self._put(body)
        annotation = f'"annotations": {{"a": "{"x" * (LARGEST - 1000)}"}}'
        self._referrer = Document(annotation, subject=self._subject)
        self._small_parts, self._too_many_parts = small_parts(_MOST_PARTS), small_parts(_TOO_MANY_PARTS)

    def push_referrer(self) -> None:
        """Nearly all of it is one annotation."""
        self._put(self._referrer.another())

    def push_small_parts(self) -> None:
        self._put(self._small_parts.another())

    def push_too_many_parts(self) -> None:
        self._put(self._too_many_parts.another())

    def list_referrers(self) -> None:
        """All pages of them."""
        path = f"{self._url}/referrers/{self._subject['digest']}"
        while path and not _IS_OVER.is_set():
            answer = requests.get(path, headers=self._head, timeout=60)
            self.statuses[f"list {answer.status_code}"] += 1
            path = urljoin(path, answer.links["next"]["url"]) if "next" in answer.links else ""

    def _put(self, body: bytes) -> None:
        """Where it is refused for now it waits for as long as it is told."""
        path = f"{self._url}/manifests/{secrets.token_hex(8)}"
        answer = requests.put(path, data=body, headers=self._head, timeout=120)
        self.statuses[f"push {answer.status_code}"] += 1
        _IS_OVER.wait(int(answer.headers.get("Retry-After", "0")))


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


def large_work(pusher: Pusher) -> list[Callable[[], None]]:
    parts = [pusher.push_small_parts, pusher.push_too_many_parts] * (SMALL_PARTS // 2)
    return [*[pusher.push_referrer] * REFERRERS, *parts, pusher.list_referrers]


def main() -> None:
    kind, url, *rest = sys.argv[1:]
    statuses: Counter[str] = Counter()
    if kind == "slow":
        work: list[Callable[[], None]] = [partial(trickle, url)] * SLOW_BODIES
    else:
        pusher = Pusher(url, *rest)
        work, statuses = large_work(pusher), pusher.statuses
    crowd = [threading.Thread(target=again_and_again(each), daemon=True) for each in work]
    for each in crowd:
        each.start()
    print("begun", flush=True)
    sys.stdin.read()
    _IS_OVER.set()
    until = time.monotonic() + _END_SECONDS
    for each in crowd:
        each.join(max(0.0, until - time.monotonic()))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
