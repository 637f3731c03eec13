"""Transfers that break in the middle and go on, with HTTP spoken by hand: no client decides when to stop."""

import os
import socket
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import pytest
import requests

from tests.clients.content import MIB, digest_of
from tests.clients.remote import Repository
from tests.clients.uploads import (
    finish_upload,
    next_location,
    offset_of,
    patch_upload,
    push_blob,
    start_upload,
    wait_for_offset,
)

pytestmark = [pytest.mark.clients, pytest.mark.client("raw HTTP")]

_SECONDS: Final = 30


def send_and_hang_up(method: str, location: str, data: bytes, promised: int) -> None:
    """Promises a longer body than it sends, then closes."""
    parts = urlsplit(location)
    head = (
        f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {promised}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_SECONDS) as connection:
        connection.sendall(head.encode() + data)
        connection.shutdown(socket.SHUT_WR)
        # The registry's answer, or its hanging up: either way it has seen the end.
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass


@pytest.mark.operations("chunked upload", "offset asked", "overlap refused")
def test_an_upload_in_chunks_keeps_its_place_and_refuses_a_gap(repository: Repository) -> None:
    data = os.urandom(3 * MIB)
    location = start_upload(repository)
    answer = patch_upload(location, data[:MIB], 0)
    assert answer.status_code == 202
    assert answer.headers["Range"] == f"0-{MIB - 1}"
    offset, location = offset_of(next_location(answer))
    assert offset == MIB
    assert patch_upload(location, data[2 * MIB :], 2 * MIB).status_code == 416
    offset, location = offset_of(location)
    assert offset == MIB
    answer = patch_upload(location, data[MIB : 2 * MIB], MIB)
    assert answer.status_code == 202
    assert finish_upload(next_location(answer), digest_of(data), data[2 * MIB :]).status_code == 201
    repository.check_blob(digest_of(data))


@pytest.mark.operations("resumed upload")
def test_an_upload_cut_within_a_chunk_goes_on_from_what_arrived(repository: Repository) -> None:
    data = os.urandom(12 * MIB)
    location = start_upload(repository)
    send_and_hang_up("PATCH", location, data[: 9 * MIB], len(data))
    offset, location = wait_for_offset(location)
    assert 0 < offset <= 9 * MIB
    answer = patch_upload(location, data[offset:], offset)
    assert answer.status_code == 202, answer.text
    assert finish_upload(next_location(answer), digest_of(data)).status_code == 201
    repository.check_blob(digest_of(data))


@pytest.mark.operations("cut upload leaves no blob")
def test_a_blob_cut_in_its_only_request_is_not_there_and_can_be_sent_anew(repository: Repository) -> None:
    data = os.urandom(4 * MIB)
    location = start_upload(repository)
    separator = "&" if urlsplit(location).query else "?"
    send_and_hang_up("PUT", f"{location}{separator}digest={digest_of(data)}", data[: 3 * MIB], len(data))
    assert not repository.has_blob(digest_of(data))
    push_blob(repository, data)
    repository.check_blob(digest_of(data))


@pytest.mark.operations("wrong digest refused")
def test_a_blob_that_does_not_hash_to_its_name_is_refused(repository: Repository) -> None:
    data = os.urandom(MIB)
    answer = finish_upload(start_upload(repository), digest_of(data), data[:-1] + b"?")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "DIGEST_INVALID"
    assert not repository.has_blob(digest_of(data))


@pytest.mark.operations("resumed pull")
def test_a_download_cut_in_the_middle_goes_on_with_a_range(repository: Repository) -> None:
    data = os.urandom(8 * MIB)
    push_blob(repository, data)
    url = repository.url(f"blobs/{digest_of(data)}")
    with requests.get(url, stream=True, timeout=_SECONDS) as cut:
        arrived = cut.raw.read(3 * MIB)
    rest = requests.get(url, headers={"Range": f"bytes={len(arrived)}-"}, timeout=_SECONDS)
    assert rest.status_code == 206
    assert rest.headers["Content-Range"] == f"bytes {len(arrived)}-{len(data) - 1}/{len(data)}"
    assert digest_of(arrived + rest.content) == digest_of(data)
