"""A proxy between a client and the registry that passes everything on, writes down what went by, and can cut it.

A client is pointed at the proxy instead of the registry. When the registry redirects a client to its blob store,
the proxy puts another proxy in front of the store, so what goes there is seen too.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Final
from urllib.parse import parse_qs, urlsplit

from tests.clients.http_stream import ConnectionEndedError, Head, answer_has_body, pass_body, read_head

_SECONDS: Final = 60
_TLS_HANDSHAKE: Final = b"\x16"
_LARGE: Final = 4096
_LONGEST_HELLO: Final = 16 * 1024


@dataclass(slots=True)
class Exchange:
    """One request and its answer: what was asked, and how many bytes of content went each way."""

    method: str
    target: str
    authorization: bool
    byte_range: str | None
    at_store: bool
    status: int = 0
    sent: int = 0
    received: int = 0

    @property
    def is_blob(self) -> bool:
        return self.at_store or "/blobs/" in self.target

    @property
    def is_mount(self) -> bool:
        return self.method == "POST" and "mount" in parse_qs(urlsplit(self.target).query)


@dataclass(slots=True)
class _Cut:
    """Breaks one body of a blob after so many bytes."""

    after: int
    done: bool = False


@dataclass(slots=True)
class _Record:
    """What a proxy and those in front of stores share."""

    exchanges: list[Exchange] = field(default_factory=list)
    cut_download: _Cut | None = None
    cut_upload: _Cut | None = None
    has_good_tokens: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


class Wire:
    """One running proxy; `address` is where clients are to connect."""

    def __init__(self, upstream: str, record: _Record | None = None) -> None:
        self._upstream = upstream
        self._is_store = record is not None
        self._record = record or _Record()
        self._stores: dict[str, Wire] = {}
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        # A store is known by name: clients tell it apart from the registry by that.
        host = upstream.partition(":")[0]
        self.address = f"{host}:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        with self._record.lock:
            stores, open_connections = list(self._stores.values()), list(self._connections)
        for connection in (self._listener, *open_connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(timeout=_SECONDS)
        for store in stores:
            store.close()

    def forget(self) -> None:
        """Starts a new page: what went by until now no longer counts."""
        self._record.exchanges.clear()

    @property
    def exchanges(self) -> list[Exchange]:
        return list(self._record.exchanges)

    @property
    def uploaded(self) -> int:
        """Bytes of blobs that clients sent."""
        return sum(exchange.sent for exchange in self.exchanges if exchange.is_blob)

    @property
    def downloaded(self) -> int:
        """Bytes of blobs that clients got."""
        return sum(each.received for each in self.exchanges if each.is_blob and each.method == "GET")

    @property
    def mounts(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.is_mount and exchange.status == 201]

    @property
    def resumed(self) -> list[Exchange]:
        """Downloads that went on in the middle."""
        return [each for each in self.exchanges if each.status == 206 and each.is_blob]

    def cut_next_download(self, after: int) -> None:
        """Breaks the first blob that is longer than `after` bytes, there."""
        self._record.cut_download = _Cut(after)

    def cut_next_upload(self, after: int) -> None:
        self._record.cut_upload = _Cut(after)

    def spoil_next_upload(self) -> None:
        """The next large PATCH comes with a token that is not good, as if it had expired on the way."""
        self._record.has_good_tokens = False

    @property
    def has_spoiled(self) -> bool:
        return self._record.has_good_tokens

    @property
    def has_cut(self) -> bool:
        return any(cut is not None and cut.done for cut in (self._record.cut_download, self._record.cut_upload))

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(_SECONDS)
            with self._record.lock:
                self._connections.add(connection)
            self._start(partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), closing(connection), connection.makefile("rb") as stream:
            while stream.peek(1)[:1] != _TLS_HANDSHAKE:
                request = read_head(stream)
                if request is None or not self._exchange(request, stream, connection):
                    return
            self._refuse_tls(stream, connection)

    def _refuse_tls(self, stream: IO[bytes], client: socket.socket) -> None:
        """Clients try TLS first; how the registry refuses it decides if, and how soon, they go on without."""
        with self._connect() as server:
            server.sendall(stream.read1(_LONGEST_HELLO))  # type: ignore[attr-defined]
            while piece := server.recv(_LONGEST_HELLO):
                client.sendall(piece)

    def _exchange(self, request: Head, stream: IO[bytes], client: socket.socket) -> bool:
        """Passes one request and its answer on; True when the client's connection may carry another."""
        method, target, _ = request.words
        authorization = request.get("authorization") is not None
        exchange = Exchange(method, target, authorization, request.get("range"), self._is_store)
        self._record.exchanges.append(exchange)
        if method == "PATCH" and not self._record.has_good_tokens and _is_large(request, stream):
            self._record.has_good_tokens = True
            request.put("authorization", "Bearer x.y.z")
        if self._is_store:
            # The signature covers the store's own name.
            request.put("host", self._upstream)
        with self._connect() as server, server.makefile("rb") as answers:
            server.sendall(request.encode())
            with suppress(BrokenPipeError, ConnectionResetError):
                self._pass_request_body(request, stream, server, exchange)
            return self._pass_answer(answers, client, exchange) and not request.ends_connection

    def _connect(self) -> socket.socket:
        host, _, port = self._upstream.partition(":")
        return socket.create_connection((host, int(port or 80)), timeout=_SECONDS)

    def _pass_request_body(self, request: Head, stream: IO[bytes], server: socket.socket, exchange: Exchange) -> None:
        def send(piece: bytes, content: int) -> None:
            cut = self._record.cut_upload
            if cut and not cut.done and exchange.sent + content > cut.after:
                server.sendall(piece[: cut.after - exchange.sent])
                cut.done = True
                raise ConnectionEndedError("cut on purpose")
            exchange.sent += content
            server.sendall(piece)

        pass_body(request, stream, send, until_closed=False)

    def _pass_answer(self, answers: IO[bytes], client: socket.socket, exchange: Exchange) -> bool:
        answer = read_head(answers)
        if answer is None:
            return False
        exchange.status = int(answer.words[1])
        self._lead_to_store(answer)
        # Some clients ask for tokens at no private address but the registry's own.
        if challenge := answer.get("www-authenticate"):
            answer.put("www-authenticate", challenge.replace(f"//{self._upstream}/", f"//{self.address}/"))
        client.sendall(answer.encode())

        def send(piece: bytes, content: int) -> None:
            cut = self._record.cut_download
            if cut and not cut.done and exchange.is_blob and exchange.received + content > cut.after:
                client.sendall(piece[: cut.after - exchange.received])
                cut.done = True
                raise ConnectionEndedError("cut on purpose")
            # Counted first: with the last piece the client may be done, and the test go on.
            exchange.received += content
            client.sendall(piece)

        if not answer_has_body(exchange.method, exchange.status):
            return not answer.ends_connection
        pass_body(answer, answers, send, until_closed=True)
        is_framed = answer.is_chunked or answer.get("content-length") is not None
        return is_framed and not answer.ends_connection

    def _lead_to_store(self, answer: Head) -> None:
        """Puts a proxy in front of the store that a redirect names."""
        location = urlsplit(answer.get("location") or "")
        if not location.netloc or location.netloc in {self._upstream, self.address}:
            return
        with self._record.lock:
            if location.netloc not in self._stores:
                self._stores[location.netloc] = Wire(location.netloc, self._record)
            store = self._stores[location.netloc]
        answer.put("location", location._replace(netloc=store.address).geturl())


def _is_large(request: Head, stream: IO[bytes]) -> bool:
    """Says whether the body is, by its length or by its first chunk."""
    if not request.is_chunked:
        return int(request.get("content-length") or 0) > _LARGE
    size = stream.peek(1).partition(b"\r\n")[0]  # type: ignore[attr-defined]
    return int(size, 16) > _LARGE


@contextmanager
def wire_to(address: str) -> Iterator[Wire]:
    """A proxy in front of the registry at `address`, closed at the end."""
    wire = Wire(address)
    try:
        yield wire
    finally:
        wire.close()
