"""A client of HTTP/2 without TLS, as the platform's front is one: many streams on one connection, each cut at will."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

SECONDS: Final = 60
_READ_BYTES: Final = 256 << 10
_FRAME_HEADER_BYTES: Final = 9
_GOAWAY: Final = 7

Headers = Iterable[tuple[str, str]]


class NoAnswer(OSError):
    """The stream was reset, or the connection closed, before the answer was whole; or nothing came for a minute."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Raises KeyError."""
        return dict(self.headers)[name]


class Stream:
    """One request. Belongs to one thread."""

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self._connection = connection
        self.number = number
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.is_answered = False
        self.is_reset = False

    def send(self, data: bytes | memoryview) -> bool:
        """False once the other side wants no more, because it has answered already. Raises NoAnswer."""
        rest = memoryview(data)
        while rest:
            sent = self._connection.send(self, rest)
            if not sent:
                return False
            rest = rest[sent:]
        return True

    def end(self) -> None:
        """Nothing more is sent."""
        self._connection.end(self)

    def reset(self) -> None:
        """Goes away as a client does."""
        self._connection.reset(self)

    def answer(self, seconds: float = SECONDS) -> Answer:
        """Waits for it. Raises NoAnswer."""
        self._connection.wait_for_answer(self, seconds)
        return Answer(self.status, self.headers, bytes(self.body))


class Http2Connection:
    """`is_leaving` once the other side takes no new streams; those that are open go on."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._socket.settimeout(None)
        self._state = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._changed = threading.Condition()
        self._streams: dict[int, Stream] = {}
        self._unread = bytearray()
        self.is_leaving = False
        self.is_closed = False
        self._state.initiate_connection()
        self._state.increment_flow_control_window(16 << 20)
        self._flush()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.is_closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        finally:
            self._socket.close()

    def request(self, method: str, path: str, body: bytes = b"", headers: Headers = ()) -> Answer:
        """Raises NoAnswer."""
        stream = self.open(method, path, headers, is_whole=not body)
        if body and stream.send(body):
            stream.end()
        return stream.answer()

    def open(self, method: str, path: str, headers: Headers = (), *, is_whole: bool = False) -> Stream:
        """A request whose body is sent on the stream; none follows if it `is_whole`. Raises NoAnswer."""
        named = {name: value for name, value in headers if name == ":authority"}
        with self._changed:
            if self.is_closed or self.is_leaving:
                raise NoAnswer("the connection takes no new stream")
            stream = Stream(self, self._state.get_next_available_stream_id())
            self._streams[stream.number] = stream
            pseudo = [
                (":method", method),
                (":scheme", "http"),
                (":authority", named.get(":authority", "registry.example.com")),
                (":path", path),
            ]
            plain = [(name, value) for name, value in headers if not name.startswith(":")]
            self._state.send_headers(stream.number, [*pseudo, *plain], end_stream=is_whole)
            self._flush()
        return stream

    def send(self, stream: Stream, data: memoryview) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(stream) or self._room(stream) > 0, SECONDS)
            if stream.is_answered:
                return 0
            if self._is_over(stream) or (room := self._room(stream)) <= 0:
                raise NoAnswer("the body was not taken")
            count = min(len(data), room, self._state.max_outbound_frame_size)
            self._state.send_data(stream.number, data[:count].tobytes())
            self._flush()
        return count

    def end(self, stream: Stream) -> None:
        with self._changed:
            if not self._is_over(stream):
                self._state.end_stream(stream.number)
                self._flush()

    def reset(self, stream: Stream) -> None:
        with self._changed:
            if not self._is_over(stream):
                self._state.reset_stream(stream.number, ErrorCodes.CANCEL)
                stream.is_reset = True
                self._flush()

    def wait_for_answer(self, stream: Stream, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_over(stream), seconds)
            self._streams.pop(stream.number, None)
            self._leave_if_done()
            if not stream.is_answered:
                raise NoAnswer("reset" if stream.is_reset else "closed" if self.is_closed else "nothing came")

    def _leave_if_done(self) -> None:
        if self.is_leaving and not self._streams:
            self.close()

    def _is_over(self, stream: Stream) -> bool:
        return stream.is_answered or stream.is_reset or self.is_closed

    def _room(self, stream: Stream) -> int:
        return self._state.local_flow_control_window(stream.number)

    def _read(self) -> None:
        try:
            while data := self._socket.recv(_READ_BYTES):
                with self._changed:
                    for event in self._state.receive_data(self._without_goaway(data)):
                        self._note(event)
                    self._flush()
                    self._changed.notify_all()
                    self._leave_if_done()
        except (OSError, ProtocolError):
            pass
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def _without_goaway(self, data: bytes) -> bytes:
        """The library takes a GOAWAY for the end of everything, but what is open may go on."""
        self._unread += data
        whole = bytearray()
        while len(self._unread) >= _FRAME_HEADER_BYTES:
            size = _FRAME_HEADER_BYTES + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < size:
                break
            if self._unread[3] == _GOAWAY:
                self.is_leaving = True
            else:
                whole += self._unread[:size]
            del self._unread[:size]
        return bytes(whole)

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.is_closed = True
            return
        stream = self._streams.get(getattr(event, "stream_id", 0) or 0)
        if stream is None:
            return
        match event:
            case ResponseReceived(headers=headers):
                pairs = [(str(name), str(value)) for name, value in headers]
                stream.status = int(dict(pairs)[":status"])
                stream.headers = [(name, value) for name, value in pairs if not name.startswith(":")]
            case DataReceived(data=data, flow_controlled_length=length):
                stream.body += data
                self._state.acknowledge_received_data(length, stream.number)
            case StreamEnded():
                stream.is_answered = True
            case StreamReset():
                stream.is_reset = True

    def _flush(self) -> None:
        if data := self._state.data_to_send():
            self._socket.sendall(data)
