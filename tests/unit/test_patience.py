"""What a read and a write of a socket may take."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from functions.registry.patience import send_all, stream_of, wait_at_most

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


def test_an_answer_that_does_not_come_is_an_error_for_a_file_as_well(pair: Pair) -> None:
    near, far = pair
    wait_at_most(near, 1)
    far.sendall(b"some")
    with stream_of(near) as file:
        assert file.read(4) == b"some"
        with pytest.raises(TimeoutError):
            file.read(1)
    near.close()
    assert far.recv(1) == b""


def test_what_is_taken_little_by_little_ends_in_time(pair: Pair) -> None:
    near, far = pair
    wait_at_most(near, 1)
    is_over = threading.Event()

    def take() -> None:
        while not is_over.is_set():
            far.recv(64 << 10)
            time.sleep(0.1)

    slow = threading.Thread(target=take)
    slow.start()
    began = time.monotonic()
    try:
        with pytest.raises(OSError, match="timed out"):
            send_all(near, bytes(64 << 20))
    finally:
        is_over.set()
        near.close()
        slow.join()
    # By the kernel's time alone it would have been a minute and more.
    assert time.monotonic() - began < 20


def test_all_of_it_is_sent(pair: Pair) -> None:
    near, far = pair
    wait_at_most(near, 30)
    data = os.urandom(8 << 20)
    taken = bytearray()

    def take() -> None:
        while part := far.recv(1 << 20):
            taken.extend(part)

    reader = threading.Thread(target=take)
    reader.start()
    send_all(near, data)
    near.close()
    reader.join()
    assert taken == data


def test_tls_keeps_its_own_time(pair: Pair) -> None:
    near, _ = pair
    context = ssl.create_default_context()
    with context.wrap_socket(near, server_hostname="registry.example", do_handshake_on_connect=False) as encrypted:
        wait_at_most(encrypted, 3)
        assert encrypted.gettimeout() == 3
