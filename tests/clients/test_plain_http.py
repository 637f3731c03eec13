"""What clients rely on below everything else: how TLS is refused, and which way blobs leave."""

import os
import socket
import ssl
import time

import pytest

from tests.clients.content import digest_of
from tests.clients.remote import Repository
from tests.clients.server import Registry
from tests.clients.uploads import push_blob
from tests.clients.wire import Wire

pytestmark = [pytest.mark.clients, pytest.mark.client("raw HTTP")]


@pytest.mark.operations("TLS refused at once")
def test_a_client_that_tries_tls_first_is_told_at_once_and_in_plain_http(registry: Registry) -> None:
    """docker, podman and crane do; `docker manifest` goes on in plain HTTP only if it can read the refusal as HTTP."""
    outgoing = ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    host, _, port = registry.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        started = time.monotonic()
        connection.sendall(outgoing.read())
        answer = connection.recv(1024)
        assert time.monotonic() - started < 1
    assert answer.startswith(b"HTTP/1.")


@pytest.mark.operations("blobs delivered as set")
def test_blobs_leave_the_way_that_the_registry_was_set_up_for(
    registry: Registry, repository: Repository, wire: Wire
) -> None:
    """Otherwise both columns of the table would tell of the same thing."""
    data = os.urandom(100_000)
    push_blob(repository, data)
    wire.forget()
    repository.check_blob(digest_of(data))
    statuses = [(exchange.status, exchange.at_store) for exchange in wire.exchanges]
    redirected, streamed = [(307, False), (200, True)], [(200, False)]
    expected = {"redirect": [redirected], "streaming": [streamed], "given": [redirected, streamed]}
    assert statuses in expected[registry.mode]
