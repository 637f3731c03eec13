"""Uploads over HTTP/2, through nginx to the real api: of any size, many at once, cut, refused, and slow."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
import requests

from functions.gc.run import run
from functions.registry.config import Settings
from functions.registry.metadata.driver import Connection
from functions.registry.wiring import build
from local.programs import BUCKET, THREADS
from local.stack import Stack
from tests.rehearsal.behind import REPOSITORY, Behind
from tests.rehearsal.http2 import Http2Connection, NoAnswer, Stream

_MEBIBYTE: Final = 1 << 20
_BLOCK: Final = os.urandom(_MEBIBYTE)
# What the first upload of a process loads, a chunk, and buffers.
_MOST_GROWTH_MIB: Final = 64
_ABORTED: Final = 16


def _digest(blocks: int) -> str:
    running = hashlib.sha256()
    for _ in range(blocks):
        running.update(_BLOCK)
    return f"sha256:{running.hexdigest()}"


def _open(connection: Http2Connection, behind: Behind, location: str, *headers: tuple[str, str]) -> Stream:
    return connection.open("PATCH", location, (behind.authorization, *headers))


def _memory_mib(behind: Behind) -> dict[str, float]:
    return {container.name: container.memory_bytes() / _MEBIBYTE for container in behind.instance.containers}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mebibytes", [256, pytest.param(4096, marks=pytest.mark.slow)])
def test_a_large_layer_passes_in_flat_memory(behind: Behind, mebibytes: int) -> None:
    behind.instance.peaks.clear()
    before = _memory_mib(behind)
    location = behind.start_upload()
    with behind.connect() as connection:
        stream = _open(connection, behind, location)
        for _ in range(mebibytes):
            assert stream.send(_BLOCK)
        stream.end()
        assert stream.answer().status == 202
    assert behind.request("PUT", f"{location}?digest={_digest(mebibytes)}").status == 201
    for name, idle in before.items():
        assert behind.instance.peaks[name] / _MEBIBYTE - idle < _MOST_GROWTH_MIB, name


def test_many_streams_share_one_connection(behind: Behind) -> None:
    """The platform's front has it so: whoever waits for whom, each gets its own answer."""
    locations = [behind.start_upload() for _ in range(16)]
    bodies = [os.urandom(_MEBIBYTE) for _ in locations]
    with behind.connect() as connection, ThreadPoolExecutor(48) as threads:

        def upload(location: str, body: bytes) -> str:
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            answer = connection.request("PUT", f"{location}?digest={digest}", body, [behind.authorization])
            assert answer.status == 201
            assert answer.header("docker-content-digest") == digest
            return digest

        def ask(_: int) -> int:
            return connection.request("GET", "/v2/", headers=[behind.authorization]).status

        asked = [threads.submit(ask, number) for number in range(100)]
        digests = list(threads.map(upload, locations, bodies))
        assert [future.result() for future in asked] == [200] * 100
        assert not connection.is_closed
    for digest, body in zip(digests, bodies, strict=True):
        redirect = behind.request("GET", f"/v2/{REPOSITORY}/blobs/{digest}").header("location")
        assert requests.get(redirect, timeout=30).content == body


def test_aborted_uploads_leave_nothing_behind(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    locations = [behind.start_upload() for _ in range(_ABORTED)]
    length = ("content-length", str(8 * _MEBIBYTE))
    cut_before = _cut(behind)
    for number, location in enumerate(locations):
        with behind.connect() as connection:
            stream = _open(connection, behind, location, *[length] * (number % 2))
            for _ in range(5):
                stream.send(_BLOCK)
            # A client that cancels; the others close the connection, as one whose machine is gone.
            if number % 4 < 2:
                stream.reset()
    deadline = time.monotonic() + 60
    while _cut(behind) < cut_before + _ABORTED and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _cut(behind) == cut_before + _ABORTED, "the api noticed each"
    assert all(0 <= behind.uploaded(location) <= 5 * _MEBIBYTE for location in locations)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", behind.stack.environment["STORAGE_EMULATOR_HOST"])
    _collect(behind.stack)


def _cut(behind: Behind) -> int:
    """Returns how many PATCHes the api has logged whose client went away."""
    lines = behind.log_lines()
    return sum(line.get("route") == "PatchUpload" and line["status"] == 400 for line in lines)


def _collect(stack: Stack) -> None:
    """Once everything that waits has been collected no row is left, and no object but those of blobs."""
    services = build(Settings.from_environment(stack.environment))
    connection = Connection(stack.environment["SLIPWAY_DATABASE"])

    def column(sql: str) -> set[str]:
        return {row[0] for row in connection.run([(sql, {})])[0].rows}

    try:
        for _ in range(2):
            connection.simple("UPDATE uploads SET expires_at = now(); UPDATE deletions SET not_before = now()")
            run(services)
        assert column("SELECT id FROM uploads") == set()
        assert column("SELECT object_name FROM deletions") == set()
        assert _objects(stack) == column("SELECT object_name FROM blobs")
    finally:
        connection.close()
        services.database.close()


def _objects(stack: Stack) -> set[str]:
    address = f"http://127.0.0.1:{stack.ports.storage}/storage/v1/b/{BUCKET}/o"
    return {item["name"] for item in requests.get(address, timeout=10).json().get("items", [])}


@pytest.mark.parametrize("announced", [[], [("content-length", str(64 * _MEBIBYTE))]], ids=["without", "length"])
def test_a_refusal_arrives_while_the_body_is_still_coming(behind: Behind, announced: list[tuple[str, str]]) -> None:
    location = behind.start_upload()
    with behind.connect() as connection:
        stream = connection.open("PATCH", location, announced)
        _send_until_answered(stream)
        answer = stream.answer()
        assert answer.status == 401
        assert answer.header("www-authenticate").startswith("Bearer ")
        assert connection.request("GET", "/v2/", headers=[behind.authorization]).status == 200, "and it goes on"


def test_a_manifest_that_is_too_large_is_refused_likewise(behind: Behind) -> None:
    with behind.connect() as connection:
        headers = (behind.authorization, ("content-length", str(64 * _MEBIBYTE)))
        stream = connection.open("PUT", f"/v2/{REPOSITORY}/manifests/v1", headers)
        _send_until_answered(stream)
        answer = stream.answer()
        assert answer.status == 413
        assert b"SIZE_INVALID" in answer.body


def _send_until_answered(stream: Stream) -> None:
    """Sends up to 64 MiB, of which the api throws half away before it gives up waiting for the end."""
    try:
        for _ in range(64):
            if not stream.send(_BLOCK):
                return
        stream.end()
    except NoAnswer:
        return


def test_slow_clients_keep_nobody_waiting(behind: Behind) -> None:
    """All threads but one have a client that sends a few bytes now and then."""
    is_over = threading.Event()

    def dawdle(connection: Http2Connection, location: str) -> int:
        stream = _open(connection, behind, location)
        while not is_over.wait(0.1):
            stream.send(b"x" * 100)
        stream.end()
        return stream.answer().status

    locations = [behind.start_upload() for _ in range(THREADS - 1)]
    with behind.connect() as connection, ThreadPoolExecutor(len(locations)) as threads:
        slow = [threads.submit(dawdle, connection, location) for location in locations]
        time.sleep(0.5)
        seconds = []
        for _ in range(50):
            started = time.monotonic()
            assert behind.request("GET", "/v2/").status == 200
            seconds.append(time.monotonic() - started)
        is_over.set()
        assert [future.result() for future in slow] == [202] * len(locations)
    assert sorted(seconds)[len(seconds) // 2] < 0.5, "nobody waits for a thread"


def test_an_upload_in_flight_at_the_stop_is_finished(own_behind: Behind) -> None:
    location = own_behind.start_upload()
    with own_behind.connect() as connection:
        stream = _open(connection, own_behind, location)
        stream.send(_BLOCK)
        stopping = threading.Thread(target=own_behind.instance.stop)
        stopping.start()
        for _ in range(20):
            time.sleep(0.1)
            assert stream.send(_BLOCK)
        stream.end()
        assert stream.answer().status == 202
    stopping.join()


@pytest.mark.slow  # the platform waits ten seconds
def test_an_upload_that_outlasts_the_stop_can_be_resumed_at_another_instance(
    own_behind: Behind, behind: Behind
) -> None:
    location, blocks = own_behind.start_upload(), 40
    with own_behind.connect() as connection:
        stream = _open(connection, own_behind, location)
        stream.send(_BLOCK)
        stopping = threading.Thread(target=own_behind.instance.stop)
        stopping.start()
        sent = 1 + _send_slowly(stream, blocks)
    stopping.join()
    received = behind.uploaded(location)
    assert 0 < received <= sent * _MEBIBYTE < blocks * _MEBIBYTE
    rest = (_BLOCK * blocks)[received:]
    content_range = ("content-range", f"{received}-{blocks * _MEBIBYTE - 1}")
    assert behind.request("PATCH", location, rest, content_range).status == 202
    assert behind.request("PUT", f"{location}?digest={_digest(blocks)}").status == 201


def _send_slowly(stream: Stream, most: int) -> int:
    """Returns how many blocks went out before the connection was cut."""
    for number in range(most):
        time.sleep(0.5)
        try:
            if not stream.send(_BLOCK):
                return number
        except NoAnswer:
            return number
    return most


def test_what_the_front_adds_is_what_the_app_sees(behind: Behind) -> None:
    """The same request by both ways has the same answer."""
    connection = http.client.HTTPConnection("127.0.0.1", behind.app_port, timeout=30)
    connection.request("GET", f"/v2/{REPOSITORY}/tags/list?n=1", headers=dict([behind.authorization]))
    direct = connection.getresponse()
    through = behind.request("GET", f"/v2/{REPOSITORY}/tags/list?n=1")
    assert (through.status, through.body) == (direct.status, direct.read())
    connection.close()
