"""The fake as a process: restarts, memory, connections, and many callers at once."""

import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from local.storage.testing import serve
from tests.contract.storage_support import (
    MEBIBYTE,
    QUANTUM,
    Api,
    StorageProcess,
    Upload,
    md5_of,
    own_api,
)

_LARGE: Final = 256 * MEBIBYTE
_PIECE: Final = 8 * MEBIBYTE


@pytest.fixture
def process(tmp_path: Path) -> Iterator[StorageProcess]:
    with StorageProcess(tmp_path / "root") as process:
        yield process


@pytest.mark.skipif(sys.platform != "linux", reason="finds the worker in /proc")
def test_an_upload_goes_on_after_a_crash(process: StorageProcess) -> None:
    content = os.urandom(3 * QUANTUM)
    with own_api(process.endpoint) as api:
        upload = api.session("x", {"contentType": "text/x"})
        upload.put_from(0, content[:QUANTUM])
    process.crash()
    process.start()
    with own_api(process.endpoint) as api:
        upload = Upload(api, upload.location)
        assert upload.stored() == f"bytes=0-{QUANTUM - 1}"
        resource = upload.put_from(QUANTUM, content[QUANTUM:], str(len(content))).json()
        assert (resource["md5Hash"], resource["contentType"]) == (md5_of(content), "text/x")


def test_objects_and_finished_uploads_survive_a_restart(tmp_path: Path) -> None:
    with serve(tmp_path / "root") as endpoint, own_api(endpoint) as api:
        path = urlsplit(api.start("x").headers["Location"])
        generation = Upload(api, f"{path.path}?{path.query}").put(b"content").json()["generation"]
    with serve(tmp_path / "root") as endpoint, own_api(endpoint) as api:
        assert Upload(api, f"{path.path}?{path.query}").query().json()["generation"] == generation
        assert api.call("GET", f"{api.object_path('x')}?alt=media").content == b"content"
        assert int(api.upload("y", b"later").json()["generation"]) > int(generation)


def test_what_a_crash_left_behind_is_swept_at_the_start(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with serve(root) as endpoint, own_api(endpoint) as api:
        api.upload("kept", b"kept")
        api.session("open")
        api.upload("dropped", b"dropped")
        api.call("DELETE", api.object_path("dropped"))
        (root / "parts" / "scratch-1").write_bytes(b"half an upload")
        assert len(list((root / "contents").iterdir())) == 2
    with serve(root) as endpoint, own_api(endpoint) as api:
        assert len(list((root / "contents").iterdir())) == 1
        assert len(list((root / "parts").iterdir())) == 1
        assert api.call("GET", f"{api.object_path('kept')}?alt=media").content == b"kept"


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory use from /proc")
def test_memory_stays_flat_whatever_the_size_of_an_object(process: StorageProcess) -> None:
    piece = os.urandom(_PIECE)
    with own_api(process.endpoint) as api:
        api.upload("warm", piece)
        before = process.peak_memory()
        _upload_in_pieces(api, piece)
        _upload_multipart(api, piece)
        path = api.media_path("pieces")
        with api.call("GET", path, stream=True) as answer:
            assert sum(len(block) for block in answer.iter_content(MEBIBYTE)) == _LARGE
        assert process.peak_memory() - before < 48


def _upload_in_pieces(api: Api, piece: bytes) -> None:
    upload = api.session("pieces")
    for offset in range(0, _LARGE - _PIECE, _PIECE):
        assert upload.put_from(offset, piece).status_code == 308
    assert upload.put_from(_LARGE - _PIECE, piece, str(_LARGE)).status_code == 200


def _upload_multipart(api: Api, piece: bytes) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Type: application/json\r\n\r\n{"name": "multipart"}\r\n'
        yield b"--b\r\nContent-Type: text/x\r\n\r\n"
        for _ in range(_LARGE // _PIECE):
            yield piece
        yield b"\r\n--b--\r\n"

    path = f"/upload/storage/v1/b/{api.bucket}/o?uploadType=multipart"
    answer = api.call("POST", path, data=body(), headers={"Content-Type": "multipart/related; boundary=b"})
    assert (answer.status_code, answer.json()["size"]) == (200, str(_LARGE))


@pytest.mark.usefixtures("only_ours")
def test_a_connection_is_kept_for_the_next_call(api: Api) -> None:
    connection = http.client.HTTPConnection(urlsplit(api.endpoint).netloc, timeout=5)
    try:
        for method, path, body in [
            ("GET", f"/storage/v1/b/{api.bucket}", None),
            ("POST", "/upload/storage/v1/b/no-such-bucket/o?uploadType=media&name=x", b"x" * MEBIBYTE),
            ("GET", f"/storage/v1/b/{api.bucket}", None),
        ]:
            connection.request(method, path, body)
            connection.getresponse().read()
            first = connection.sock
        assert connection.sock is first
        assert first is not None
    finally:
        connection.close()


def test_a_slow_upload_blocks_nobody(api: Api) -> None:
    address = urlsplit(api.endpoint)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as slow:
        head = f"POST /upload/storage/v1/b/{api.bucket}/o?uploadType=media&name=slow HTTP/1.1\r\n"
        slow.sendall(f"{head}Host: x\r\nContent-Length: 1000\r\n\r\nabc".encode())
        assert api.upload("fast", b"x").status_code == 200
    assert api.call("GET", api.object_path("slow")).status_code == 404


@pytest.mark.usefixtures("only_ours")
def test_a_chunk_that_hangs_gives_way_to_the_next_request(api: Api) -> None:
    upload = api.session("hanging")
    address, target = urlsplit(api.endpoint), upload.location.removeprefix(api.endpoint)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 80), timeout=5) as hanging:
        head = f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * MEBIBYTE}\r\n\r\n"
        hanging.sendall(head.encode() + b"a" * MEBIBYTE)
        # Each question ends the turn of the chunk. Asked too early, before the chunk has one, it ends nothing.
        deadline = time.monotonic() + 60
        while (stored := upload.stored()) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        hanging.sendall(b"a" * MEBIBYTE)
        assert b" 503 " in hanging.recv(100)
        assert upload.stored() == stored


def test_many_uploads_and_downloads_at_once_are_all_whole(api: Api, bucket: Any) -> None:
    content = os.urandom(4 * MEBIBYTE)

    def go_up_and_down(number: int) -> bool:
        upload = api.session(f"many/{number}")
        for offset in range(0, len(content) - MEBIBYTE, MEBIBYTE):
            upload.put_from(offset, content[offset : offset + MEBIBYTE])
        upload.put_from(len(content) - MEBIBYTE, content[-MEBIBYTE:], str(len(content)))
        return bool(bucket.blob(f"many/{number}").download_as_bytes(retry=None) == content)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(go_up_and_down, range(8)))


def test_writers_readers_and_deleters_of_one_name_see_whole_objects_or_none(api: Api) -> None:
    contents = {letter: letter.encode() * 300_000 for letter in "abcd"}
    path = f"{api.object_path('x')}?alt=media"

    def work(letter: str) -> None:
        for _ in range(6):
            api.upload("x", contents[letter])
            answer = api.call("GET", path)
            assert answer.status_code == 404 or answer.content in contents.values()
            api.call("POST", f"{api.object_path('x')}/rewriteTo/b/{api.bucket}/o/y")
            api.call("DELETE", api.object_path("x"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, contents))
