"""Parts: answers that the real store may give and the fake never does, from a server that follows a script."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import google_crc32c
import pytest

from functions.registry.blobs import part, wire
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.part import PartWriter

QUANTUM: Final = 256 << 10
CHUNK: Final = 4 * QUANTUM
CONTENT: Final = random.Random(3).randbytes(3 * CHUNK + 1000)  # noqa: S311  # the same at every run

Answer = tuple[int, dict[str, str], bytes]


class Session:
    """A resumable session that is honest unless its script says otherwise.

    The script maps the number of a call to what happens in its stead; it may store what was sent.
    """

    def __init__(self) -> None:
        self.stored = b""
        self.script: dict[int, Callable[[bytes, str], Answer]] = {}
        self.calls: list[str] = []
        self.url = ""

    def answer(self, body: bytes, content_range: str) -> Answer:
        self.calls.append(content_range)
        scripted = self.script.get(len(self.calls))
        if scripted is not None:
            return scripted(body, content_range)
        self.store(body, content_range)
        total = content_range.rpartition("/")[2]
        return self.finished() if total != "*" and int(total) == len(self.stored) else self.incomplete()

    def store(self, body: bytes, content_range: str, most: int | None = None) -> None:
        if body:
            first = int(content_range.removeprefix("bytes ").partition("-")[0])
            assert first <= len(self.stored), "a gap"
            self.stored = self.stored[:first] + body[:most]

    def incomplete(self, upto: int | None = None) -> Answer:
        upto = len(self.stored) if upto is None else upto
        return 308, {"Range": f"bytes=0-{upto - 1}"} if upto else {}, b""

    def finished(self, **wrong: str) -> Answer:
        checksum = base64.b64encode(google_crc32c.value(self.stored).to_bytes(4, "big")).decode()
        resource = {"size": str(len(self.stored)), "crc32c": checksum, **wrong}
        return 200, {}, json.dumps(resource).encode()

    def then(self, status: int) -> Callable[[bytes, str], Answer]:
        """Stores all of it, and answers `status`."""

        def scripted(body: bytes, content_range: str) -> Answer:
            self.store(body, content_range)
            return status, {}, b""

        return scripted

    def half(self, body: bytes, content_range: str) -> Answer:
        self.store(body, content_range, len(body) // 2)
        return self.incomplete()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(part, "_FIRST_WAIT_SECONDS", 0.001)
    session = Session()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, content = session.answer(body, self.headers["Content-Range"])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    session.url = f"http://127.0.0.1:{server.server_port}/upload?upload_id=1"
    yield session
    if (connection := getattr(wire._thread, "connection", None)) is not None:
        connection.close()
        wire._thread.connection = None
    server.shutdown()
    thread.join()
    server.server_close()


def write_all(session: Session, content: bytes = CONTENT) -> None:
    writer = PartWriter(session.url, CHUNK, 10)
    for first in range(0, len(content), QUANTUM):
        writer.write(content[first : first + QUANTUM])
    writer.close()


def test_chunks_are_announced_as_the_store_takes_them(session: Session) -> None:
    write_all(session)
    size = len(CONTENT)
    assert session.calls == [
        f"bytes 0-{CHUNK - 1}/*",
        f"bytes {CHUNK}-{2 * CHUNK - 1}/*",
        f"bytes {2 * CHUNK}-{3 * CHUNK - 1}/*",
        f"bytes {3 * CHUNK}-{size - 1}/{size}",
    ]
    assert session.stored == CONTENT


def test_the_last_chunk_is_never_empty(session: Session) -> None:
    write_all(session, CONTENT[: 2 * CHUNK])
    assert session.calls == [f"bytes 0-{CHUNK - 1}/*", f"bytes {CHUNK}-{2 * CHUNK - 1}/{2 * CHUNK}"]


def test_an_empty_object_is_closed_with_its_length(session: Session) -> None:
    write_all(session, b"")
    assert session.calls == ["bytes */0"]


@pytest.mark.parametrize("call", [1, 2, 4])
def test_a_chunk_that_was_stored_before_the_failure_is_not_sent_again(session: Session, call: int) -> None:
    session.script[call] = session.then(503)
    write_all(session)
    assert session.stored == CONTENT
    assert session.calls[call] == ("bytes */*" if call < 4 else f"bytes */{len(CONTENT)}")
    assert len(session.calls) == 5


@pytest.mark.parametrize("call", [1, 2, 4])
def test_the_rest_of_a_chunk_that_was_half_acknowledged_is_sent_at_once(session: Session, call: int) -> None:
    session.script[call] = session.half
    write_all(session)
    assert session.stored == CONTENT
    assert len(session.calls) == 5
    assert not any("*/" in content_range for content_range in session.calls)


def test_an_answer_without_a_range_means_that_nothing_is_stored(session: Session) -> None:
    session.script[1] = lambda _, __: (308, {}, b"")
    write_all(session)
    assert session.stored == CONTENT
    assert session.calls[:2] == [f"bytes 0-{CHUNK - 1}/*"] * 2


def test_a_store_that_takes_nothing_is_given_up(session: Session) -> None:
    for call in range(1, 100):
        session.script[call] = lambda _, __: (308, {}, b"")
    with pytest.raises(BlobStoreUnavailable, match="no progress"):
        write_all(session)
    assert len(session.calls) == part._ATTEMPTS_WITHOUT_PROGRESS


def test_a_store_that_forgets_what_it_acknowledged_has_lost_the_part(session: Session) -> None:
    """Those bytes are gone on this side."""
    session.script[2] = lambda _, __: session.incomplete(QUANTUM)
    with pytest.raises(BlobStoreUnavailable, match=f"acknowledged {QUANTUM} bytes after {CHUNK}"):
        write_all(session)


def test_a_store_that_acknowledges_more_than_it_was_sent_has_lost_the_part(session: Session) -> None:
    session.script[2] = lambda _, __: session.incomplete(len(CONTENT) + 1)
    with pytest.raises(BlobStoreUnavailable, match="acknowledged"):
        write_all(session)


@pytest.mark.parametrize("wrong", [{"crc32c": "AAAAAA=="}, {"size": str(len(CONTENT) - 1)}, {"size": "0"}])
def test_an_object_that_differs_from_what_was_sent_is_refused(session: Session, wrong: dict[str, str]) -> None:
    session.script[4] = lambda body, content_range: (
        session.store(body, content_range) or session.finished(**wrong)  # type: ignore[func-returns-value]
    )
    with pytest.raises(BlobStoreUnavailable):
        write_all(session)


def test_an_object_whose_bytes_were_changed_on_the_way_is_refused(session: Session) -> None:
    def spoil(body: bytes, content_range: str) -> Answer:
        session.store(bytes([body[0] ^ 1]) + body[1:], content_range)
        return session.incomplete()

    session.script[2] = spoil
    with pytest.raises(BlobStoreUnavailable, match="differs"):
        write_all(session)


def test_closing_twice_is_closing_once(session: Session) -> None:
    writer = PartWriter(session.url, CHUNK, 10)
    writer.write(CONTENT[:10])
    writer.close()
    writer.close()
    assert len(session.calls) == 1
