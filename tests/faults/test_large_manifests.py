"""Large manifests come in one after the other: small ones don't wait for them, nor does one namespace for another."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest
import requests

from functions.registry.oci.media_type import OCI_INDEX
from local.processes import Children
from tests.faults.conftest import Server, serve
from tests.faults.test_slow_bodies import trickling
from tests.metadata.build import wait_until

_PATIENCE_SECONDS: Final = 60
_LEAST_BYTES: Final = 1024
_LARGE: Final = 1 << 20


@pytest.fixture
def crowded(environment: dict[str, str], tmp_path: Path, children: Children, request: pytest.FixtureRequest) -> Server:
    """Room for two large manifests, of two namespaces."""
    settings = {
        "SLIPWAY_LARGEST_MANIFEST_BYTES": str(_LARGE),
        "SLIPWAY_MANIFEST_ROOM_BYTES": str(2 * _LARGE),
        "SLIPWAY_MANIFEST_ROOM_SECONDS": "2",
        "SLIPWAY_BODY_LEAST_BYTES": str(_LEAST_BYTES),
        "SLIPWAY_BODY_IDLE_SECONDS": str(getattr(request, "param", _PATIENCE_SECONDS)),
    }
    return serve(environment, tmp_path, children, **settings)


def document(size: int) -> bytes:
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    return body + b" " * (size - len(body))


def push(server: Server, repository: str, size: int, *, has_length: bool = True) -> int:
    """Its status."""
    body, head = document(size), {"Content-Type": OCI_INDEX}
    sent = body if has_length else iter([body[: size // 2], body[size // 2 :]])
    path = f"{server.url}/v2/{repository}/manifests/v1"
    return requests.put(path, data=sent, headers=head, timeout=_PATIENCE_SECONDS).status_code


@contextmanager
def unfinished(server: Server, repository: str, framing: str) -> Iterator[tuple[socket.socket, bytes]]:
    """A large push of which the last bytes don't come, and those."""
    is_chunked = framing.startswith("Transfer")
    body = document(_LARGE)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    head = f"PUT /v2/{repository}/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: {OCI_INDEX}\r\n{framing}\r\n\r\n"
    with server.connect() as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.sendall(head.encode() + sent[:-1000])
        yield connection, sent[-1000:]


def has_room(server: Server, namespace: str) -> bool:
    return push(server, f"{namespace}/probe", _LARGE) == HTTPStatus.CREATED


@pytest.mark.parametrize("framing", [f"Content-Length: {_LARGE}", "Transfer-Encoding: chunked"])
def test_a_large_push_that_does_not_end_holds_up_its_own_namespace_alone(crowded: Server, framing: str) -> None:
    with unfinished(crowded, "slow/app", framing) as (connection, rest), ThreadPoolExecutor() as pool:
        wait_until(lambda: not has_room(crowded, "slow"))
        behind = pool.submit(has_room, crowded, "slow")
        for repository, size in (("slow/app", 1000), ("slow/app", 200_000), ("else/app", 1000), ("else/app", _LARGE)):
            for has_length in (True, False):
                assert push(crowded, repository, size, has_length=has_length) == HTTPStatus.CREATED
        assert not behind.done() or not behind.result()
        connection.sendall(rest)
        assert connection.recv(100).startswith(b"HTTP/1.1 201")
        assert has_room(crowded, "slow")


@pytest.mark.parametrize("crowded", [3], indirect=True)
def test_a_large_push_has_the_time_of_one_piece_of_a_layer(crowded: Server) -> None:
    """However fast its pieces come."""
    head = f"PUT /v2/slow/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {_LARGE}\r\n\r\n".encode()
    with crowded.connect() as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.sendall(head + document(_LARGE)[: _LARGE // 2])
        with trickling([connection], bytes(2 * _LEAST_BYTES)):
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert has_room(crowded, "slow")


def test_what_is_too_large_is_refused_however_it_comes(crowded: Server) -> None:
    for size in (_LARGE, _LARGE + 1):
        for has_length in (True, False):
            expected = HTTPStatus.CREATED if size <= _LARGE else HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            assert push(crowded, "a/b", size, has_length=has_length) == expected
