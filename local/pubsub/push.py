"""Push delivery: a few threads for each subscription that has an endpoint."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

from local.pubsub import endpoint, envelope

if TYPE_CHECKING:
    from local.pubsub.envelope import PushRequest
    from local.pubsub.message_queue import Lease, MessageQueue

# How many messages of one subscription are under way at once.
_WORKERS: Final = 8
# Loopback answers at once or not at all.
_CONNECT_TIMEOUT: Final = 0.5
_ACKNOWLEDGING: Final = frozenset({102, 200, 201, 202, 204})


class Pusher:
    """Delivers one subscription's messages to its endpoint for as long as it has one."""

    def __init__(self, queue: MessageQueue) -> None:
        self._queue = queue
        self._poster = _Poster()
        self._workers: list[threading.Thread] = []

    def start(self) -> None:
        """Begin when there is an endpoint; calling it again changes nothing."""
        if self._workers or not self._queue.is_push:
            return
        name = self._queue.subscription.name
        self._workers = [threading.Thread(target=self._work, name=f"push {name}", daemon=True) for _ in range(_WORKERS)]
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the deliveries of a closed queue at once, those under way included."""
        self._poster.cut()
        for worker in self._workers:
            worker.join()

    def _work(self) -> None:
        while self._queue.wait_for_push():
            # The timeout only bounds one wait; a change of the subscription ends it early.
            for lease in self._queue.take(1, 60.0, lambda: self._queue.is_push):
                self._deliver(lease)

    def _deliver(self, lease: Lease) -> None:
        """An answer that does not acknowledge, or none within the ack deadline, fails the delivery."""
        subscription = self._queue.subscription
        request = envelope.render(subscription, lease.pending.message, lease.attempt)
        status = self._poster.post(subscription.push_config.push_endpoint, request, subscription.ack_deadline_seconds)
        settle = self._queue.acknowledge if status in _ACKNOWLEDGING else self._queue.fail
        settle(lease.ack_id)


class _Poster:
    """Posts over HTTP, so that what is under way can be cut: stopping never waits for a slow function."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_cut = False

    def post(self, url: str, request: PushRequest, timeout: float) -> int:
        """Returns the status of the answer, or 0 if there was none."""
        try:
            where = endpoint.parse(url)
            with closing(HTTPConnection(where.host, where.port, timeout=_CONNECT_TIMEOUT)) as connection:
                connection.connect()
                connection.sock.settimeout(timeout)
                return self._exchange(connection, where.target, request)
        except (OSError, HTTPException, ValueError):
            # ValueError: the endpoint went away while the message was on its way to it.
            return 0

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _exchange(self, connection: HTTPConnection, target: str, request: PushRequest) -> int:
        wire = connection.sock
        with self._lock:
            if self._is_cut:
                return 0
            self._open.add(wire)
        try:
            connection.request("POST", target, request.body, request.headers)
            with connection.getresponse() as response:
                response.read()
                return response.status
        finally:
            with self._lock:
                self._open.discard(wire)
