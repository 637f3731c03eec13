"""A request's body: every byte is counted, a cut is noticed, and what nobody read is thrown away, up to a cap."""

from __future__ import annotations

import io
import socket
import struct
from typing import Any, Final

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import create_environ

from functions.api.web import body as body_module
from functions.api.web.body import Body, Pace

MEBIBYTE: Final = 1 << 20
IDLE_SECONDS: Final = 7
PIECE_BYTES: Final = 64 << 10
PACE: Final = Pace(IDLE_SECONDS, PIECE_BYTES, drain_seconds=5, most_slow=8)
ADDRESS: Final = "192.0.2.1"


class Stream(io.RawIOBase):
    """A client that sends `content` and then fails, if told so. It keeps how much it was asked for at a time."""

    def __init__(self, content: bytes = b"", failure: Exception | None = None) -> None:
        self.left = content
        self.failure = failure
        self.asked: list[int] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self.asked.append(len(buffer))
        piece, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        if not piece and self.failure is not None:
            raise self.failure
        buffer[: len(piece)] = piece
        return len(piece)


class Endless(Stream):
    """A client that never stops."""

    def readinto(self, buffer: Any, /) -> int:
        self.asked.append(len(buffer))
        return len(buffer)


def body_of(stream: Stream, announced: int | None = None, **environ: Any) -> Body:
    """Hands it over as the server does, with a length, or sent in chunks."""
    return Body(request_of(stream, announced, **environ), ADDRESS, PACE)


def limited(stream: Stream, most: int, announced: int | None = None) -> Body:
    return Body(request_of(stream, announced), ADDRESS, PACE, most)


def request_of(stream: Stream, announced: int | None = None, **environ: Any) -> Request:
    request = create_environ("/v2/", method="PUT")
    request["wsgi.input"] = stream
    if announced is None:
        request.update({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True})
    else:
        request["CONTENT_LENGTH"] = str(announced)
    request.update(environ)
    return Request(request)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 5])
@pytest.mark.parametrize("is_announced", [True, False])
def test_a_whole_body_is_read_and_counted(size: int, is_announced: bool) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    body = body_of(Stream(content[:size]), size if is_announced else None)
    pieces = list(body.pieces())
    assert b"".join(pieces) == content[:size]
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert (body.announced, body.received, body.is_cut) == (size if is_announced else None, size, False)


def test_a_request_without_a_body_has_none() -> None:
    environ = create_environ("/v2/", method="GET")
    body = Body(Request(environ), ADDRESS, PACE)
    assert list(body.pieces()) == []
    assert (body.announced, body.received, body.is_cut) == (None, 0, False)
    assert body.drain()


def test_no_more_than_announced_is_read() -> None:
    """What follows belongs to the next request."""
    stream = Stream(b"0123456789")
    body = body_of(stream, 4)
    assert b"".join(body.pieces()) == b"0123"
    assert stream.left == b"456789"
    assert not body.is_cut


@pytest.mark.parametrize("failure", [None, ConnectionResetError(), TimeoutError()])
@pytest.mark.parametrize("is_terminated", [True, False])
def test_a_body_that_ends_before_its_length_is_cut(failure: Exception | None, is_terminated: bool) -> None:
    body = body_of(Stream(b"01234", failure), 10, **{"wsgi.input_terminated": is_terminated})
    assert b"".join(body.pieces()) == b"01234"
    assert (body.received, body.is_cut) == (5, True)


@pytest.mark.parametrize("failure", [ConnectionResetError(), TimeoutError(), OSError("a chunk's end is missing")])
def test_a_body_without_a_length_is_cut_when_its_connection_fails(failure: Exception) -> None:
    body = body_of(Stream(b"01234", failure))
    assert b"".join(body.pieces()) == b"01234"
    assert (body.received, body.is_cut) == (5, True)


def test_nothing_is_asked_of_a_client_after_the_end() -> None:
    for stream in (Stream(b"01234"), Stream(b"01234", ConnectionResetError())):
        body = body_of(stream)
        list(body.pieces())
        asked = len(stream.asked)
        assert list(body.pieces()) == []
        assert body.read(10) == b""
        body.drain()
        assert len(stream.asked) == asked


def test_a_fault_of_ours_is_not_taken_for_a_cut() -> None:
    body = body_of(Stream(b"", ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        list(body.pieces())


@pytest.mark.parametrize("announced", [None, 1000])
@pytest.mark.parametrize(("limit", "expected"), [(1000, b"x" * 1000), (1001, b"x" * 1000), (999, None), (0, None)])
def test_a_body_is_read_whole_up_to_the_limit(announced: int | None, limit: int, expected: bytes | None) -> None:
    assert body_of(Stream(b"x" * 1000), announced).read(limit) == expected


def test_a_body_that_is_announced_too_long_is_not_read_at_all() -> None:
    stream = Stream(b"x" * 1000)
    assert body_of(stream, 1000).read(999) is None
    assert stream.asked == []


def test_a_body_without_a_length_is_read_little_beyond_the_limit() -> None:
    body = body_of(Endless())
    assert body.read(4 * MEBIBYTE) is None
    assert 4 * MEBIBYTE < body.received <= 4 * MEBIBYTE + PIECE_BYTES


def test_a_body_that_is_cut_gives_what_came_and_says_so() -> None:
    body = body_of(Stream(b"01234"), 10)
    assert body.read(100) == b"01234"
    assert body.is_cut


@given(st.binary(max_size=3000), st.integers(0, 3000), st.none() | st.integers(0, 4000))
def test_reading_agrees_with_what_was_sent(content: bytes, limit: int, announced: int | None) -> None:
    body = body_of(Stream(content), announced)
    sent = content if announced is None else content[:announced]
    whole = body.read(limit)
    if whole is None:
        assert max(len(sent), announced or 0) > limit
    else:
        assert whole == sent
        assert body.is_cut == (announced is not None and len(content) < announced)


@pytest.mark.parametrize("announced", [None, 3 * MEBIBYTE])
def test_what_was_not_read_is_thrown_away(announced: int | None) -> None:
    body = body_of(Stream(bytes(3 * MEBIBYTE)), announced)
    next(body.pieces())
    assert body.drain()
    assert body.received == 3 * MEBIBYTE
    assert not body.is_cut


def test_a_client_that_announced_too_much_is_not_waited_for() -> None:
    stream = Endless()
    assert not body_of(stream, 32 * MEBIBYTE + 1).drain()
    assert stream.asked == []


def test_a_client_that_announced_much_but_sent_most_of_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "_MOST_DRAINED", 10)
    body = body_of(Stream(bytes(PIECE_BYTES + 10)), PIECE_BYTES + 10)
    next(body.pieces())
    assert body.drain()


def test_a_client_that_never_stops_is_not_waited_for() -> None:
    body = body_of(Endless())
    assert not body.drain()
    assert 32 * MEBIBYTE < body.received <= 32 * MEBIBYTE + PIECE_BYTES


@pytest.mark.parametrize("failure", [None, TimeoutError()])
def test_a_client_that_is_gone_is_not_waited_for(failure: Exception | None) -> None:
    body = body_of(Stream(b"01234", failure), 10)
    assert not body.drain()
    assert (body.received, body.is_cut) == (5, True)
    assert not body.drain()


def test_every_read_of_the_client_has_its_time() -> None:
    near, far = socket.socketpair()
    with near, far:
        body_of(Stream(), 0, **{"gunicorn.socket": near})
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            assert struct.unpack("@ll", near.getsockopt(socket.SOL_SOCKET, option, 16)) == (IDLE_SECONDS, 0)


def test_memory_is_asked_for_in_pieces() -> None:
    stream = Stream(bytes(2 * MEBIBYTE))
    body = body_of(stream, 2 * MEBIBYTE)
    list(body.pieces())
    assert 0 < max(stream.asked) <= PIECE_BYTES


@pytest.mark.parametrize(("announced", "is_too_large"), [(999, False), (1000, False), (1001, True)])
def test_a_body_that_is_announced_larger_than_the_platform_takes_is_known_at_once(
    announced: int, is_too_large: bool
) -> None:
    stream = Stream(b"x" * announced)
    body = limited(stream, 1000, announced)
    assert (body.is_too_large, stream.asked) == (is_too_large, [])
    assert body.drain() is not is_too_large


@pytest.mark.parametrize(("size", "announced"), [(0, None), (874, None), (875, None), (999, 999), (1000, 1000)])
def test_a_body_up_to_what_the_platform_takes_is_whole(size: int, announced: int | None) -> None:
    body = limited(Stream(b"x" * size), 1000, announced)
    assert b"".join(body.pieces()) == b"x" * size
    assert (body.received, body.is_cut, body.is_too_large) == (size, False, False)
    assert body.drain()


@pytest.mark.parametrize("limit", [1, 1000, PIECE_BYTES, PIECE_BYTES + 1, 32 * MEBIBYTE])
def test_of_a_longer_body_without_a_length_an_eighth_less_is_handed_out(limit: int) -> None:
    body = limited(Endless(), limit)
    assert len(b"".join(body.pieces())) == limit - limit // 8
    assert (body.received, body.is_cut, body.is_too_large) == (limit - limit // 8, True, True)
    assert not body.drain()


def test_the_answer_comes_first_and_then_the_client_is_heard_out() -> None:
    stream = Stream(bytes(3 * MEBIBYTE))
    body = limited(stream, 1000)
    list(body.pieces())
    answer = body.linger(b"too large")
    assert next(answer) == b"too large"
    left = len(stream.left)
    assert 0 < left < 3 * MEBIBYTE
    assert list(answer) == []
    assert stream.left == b""


def test_nobody_is_heard_out_for_ever_or_after_they_are_gone() -> None:
    endless = Endless()
    assert list(limited(endless, 1000).linger(b"answer")) == [b"answer"]
    assert sum(endless.asked) <= 32 * MEBIBYTE + PIECE_BYTES
    gone = Stream(b"01234", ConnectionResetError())
    body = body_of(gone)
    list(body.pieces())
    asked = len(gone.asked)
    assert list(body.linger(b"answer")) == [b"answer"]
    assert len(gone.asked) == asked
