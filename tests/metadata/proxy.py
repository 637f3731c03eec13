"""Stands between a client and PostgreSQL: counts how often the client waits, and cuts the line when told to."""

from __future__ import annotations

import select
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

# Answers are held back until the client has said nothing for so long: only then is it waiting for them. Where the
# server has more to say, it waits for the rest of what is asked: then a busy machine may be what keeps the client.
_QUIET_SECONDS: Final = 0.005
_PATIENT_SECONDS: Final = 1.0
# ReadyForQuery, but for the state of the transaction; and the answer to whether TLS is spoken, one letter.
_READY: Final = b"Z\x00\x00\x00\x05"
_ACCEPT_SECONDS: Final = 0.05
_SOCKET: Final = ".s.PGSQL.5432"


class Proxy:
    """`turns` counts how often a client spoke, once for all that it said without an answer in between."""

    def __init__(self, target: str, url: str, listener: socket.socket) -> None:
        self.url = url
        self.turns = 0
        self.accepted = 0
        self.cuts_answers = False
        self._target = target
        self._listener = listener
        self._listener.settimeout(_ACCEPT_SECONDS)
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._is_stopping = threading.Event()

    def serve(self) -> None:
        while not self._is_stopping.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.accepted += 1
                self._clients.append(client)
                self._start(threading.Thread(target=self._relay, args=(client,)))

    def stop(self) -> None:
        self._is_stopping.set()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """Every client finds its connection closed."""
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._target)
            self._exchange(client, server)

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """Passes on until one side hangs up, or an answer is to be cut: then only its first byte arrives."""
        is_answered, answers = True, b""
        while True:
            readable, _, _ = select.select([client, server], [], [], _quiet_seconds(answers))
            if client in readable:
                request = client.recv(1 << 16)
                if not request:
                    return
                self.turns += is_answered
                is_answered = False
                server.sendall(request)
            elif server in readable:
                answer = server.recv(1 << 16)
                if not answer:
                    client.sendall(answers)
                    return
                answers += answer
            elif self.cuts_answers:
                client.sendall(answers[:1])
                return
            else:
                client.sendall(answers)
                is_answered, answers = True, b""


def _quiet_seconds(answers: bytes) -> float | None:
    if not answers:
        return None
    is_complete = answers[-6:-1] == _READY or len(answers) == 1
    return _QUIET_SECONDS if is_complete else _PATIENT_SECONDS


@contextmanager
def proxied(url: str, family: socket.AddressFamily = socket.AF_UNIX) -> Iterator[Proxy]:
    """A proxy to the database at `url`, which is on a unix socket; it listens on one, too, or on TCP."""
    parts = urlsplit(url)
    target = f"{parse_qs(parts.query)['host'][0]}/{_SOCKET}"
    with tempfile.TemporaryDirectory() as folder, socket.socket(family) as listener:
        if family == socket.AF_UNIX:
            listener.bind(str(Path(folder) / _SOCKET))
            own = f"postgresql://postgres@{parts.path}?host={folder}"
        else:
            listener.bind(("127.0.0.1", 0))
            own = f"postgresql://postgres@127.0.0.1:{listener.getsockname()[1]}{parts.path}"
        listener.listen()
        proxy = Proxy(target, own, listener)
        accepting = threading.Thread(target=proxy.serve)
        accepting.start()
        try:
            yield proxy
        finally:
            proxy.stop()
            accepting.join()
