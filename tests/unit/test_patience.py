"""What a read and a write of a socket may take."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from functions.registry.patience import wait_at_most

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_a_read_that_takes_longer_fails(pair: Pair) -> None:
    near, _ = pair
    wait_at_most(near, 1)
    began = time.monotonic()
    with pytest.raises(OSError, match="temporarily unavailable"):
        near.recv(1)
    assert time.monotonic() - began >= 0.9


def test_a_write_that_nobody_takes_fails(pair: Pair) -> None:
    near, _ = pair
    wait_at_most(near, 1)
    with pytest.raises(OSError, match="temporarily unavailable"):
        near.sendall(bytes(16 << 20))


def test_what_comes_in_time_is_read_by_a_file_as_well(pair: Pair) -> None:
    near, far = pair
    near.settimeout(5)
    wait_at_most(near, 5)
    assert near.gettimeout() is None
    far.sendall(b"some")
    with near.makefile("rb") as file:
        assert file.read(4) == b"some"


def test_tls_keeps_its_own_time(pair: Pair) -> None:
    near, _ = pair
    context = ssl.create_default_context()
    with context.wrap_socket(near, server_hostname="registry.example", do_handshake_on_connect=False) as encrypted:
        wait_at_most(encrypted, 3)
        assert encrypted.gettimeout() == 3
