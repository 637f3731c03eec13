"""A network that forgets connections, as real ones do with those that are idle: no end is told, nothing arrives.

It may take its time before it leads anywhere, as the way of a new instance into a network does.
"""

from __future__ import annotations

import math
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_LOOK_SECONDS: Final = 0.05
_BACKLOG: Final = 64


class Network:
    """`port` leads to the target. `accepted` connections came; of those that were forgotten nothing gets through.

    It forgets all when told to, and each by itself once nothing was sent on it for `idle_seconds`: `forgotten` counts
    those. For its first `closed_seconds` connections are refused.
    """

    def __init__(
        self,
        target: str | tuple[str, int],
        listener: socket.socket,
        idle_seconds: float = math.inf,
        closed_seconds: float = 0,
    ) -> None:
        self.accepted = 0
        self.forgotten = 0
        self._idle_seconds = idle_seconds
        self._closed_seconds = closed_seconds
        self._target = target
        self._listener = listener
        self._forgotten_before = 0
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        listener.settimeout(_LOOK_SECONDS)
        if not closed_seconds:
            listener.listen(_BACKLOG)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def forget(self) -> None:
        """All connections that there are. What is sent on them is taken, and goes nowhere."""
        self._forgotten_before = self.accepted

    def serve(self) -> None:
        self._is_over.wait(self._closed_seconds)
        self._listener.listen(_BACKLOG)
        while not self._is_over.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.accepted += 1
                thread = threading.Thread(target=self._relay, args=(client, self.accepted))
                self._threads.append(thread)
                thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _relay(self, client: socket.socket, number: int) -> None:
        family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
        with client, socket.socket(family) as server, suppress(OSError):
            server.connect(self._target)
            other = {client: server, server: client}
            used_at = time.monotonic()
            while not self._is_over.is_set():
                if time.monotonic() - used_at > self._idle_seconds:
                    self.forgotten += 1
                    # The server finds out by itself, in a minute or two; the client doesn't.
                    server.close()
                    self._is_over.wait()
                    return
                for readable in select.select([client, server], [], [], _LOOK_SECONDS)[0]:
                    data = readable.recv(1 << 16)
                    used_at = time.monotonic()
                    if number <= self._forgotten_before:
                        self._is_over.wait()
                    elif not data:
                        return
                    else:
                        other[readable].sendall(data)


@contextmanager
def forgetful(
    target: str | tuple[str, int], *, idle_seconds: float = math.inf, closed_seconds: float = 0
) -> Iterator[Network]:
    """Gives the way to a unix socket, or to a host and port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        network = Network(target, listener, idle_seconds, closed_seconds)
        accepting = threading.Thread(target=network.serve)
        accepting.start()
        try:
            yield network
        finally:
            network.stop()
            accepting.join()
