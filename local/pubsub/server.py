"""The fake as a whole: a gRPC server on loopback with both services."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

import grpc

from local.pubsub.broker import Broker
from local.pubsub.publisher import Publisher
from local.pubsub.subscriber import Subscriber

if TYPE_CHECKING:
    from types import TracebackType

    from local.pubsub.delivery import Delivery

# Every stream and every waiting pull holds a thread.
_THREADS: Final = 64
_GRACE: Final = 0.1
_OPTIONS: Final = [
    # A second server on the same port must fail, not share its callers.
    ("grpc.so_reuseport", 0),
    # What the service takes in one request, and a little for its frame.
    ("grpc.max_receive_message_length", 11 * 1024 * 1024),
]


class FakePubSub:
    """A fake Pub/Sub, listening from its construction on and answering from `start` on.

    Port 0 lets the kernel choose one. Point clients at it with `PUBSUB_EMULATOR_HOST` set to `address`.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._broker = Broker()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="pubsub")
        self._server = grpc.server(self._threads, options=_OPTIONS)
        self._server.add_generic_rpc_handlers([Publisher(self._broker).handler(), Subscriber(self._broker).handler()])
        self.host = host
        self.port = self._server.add_insecure_port(f"{host}:{port}")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> Self:
        self._server.start()
        return self

    def stop(self) -> None:
        """End calls and deliveries under way, and every thread, within a second."""
        self._server.stop(_GRACE).wait()
        self._broker.close()
        self._threads.shutdown()

    def set_delivery(self, delivery: Delivery) -> None:
        """Turn the knobs for every message published from now on."""
        self._broker.set_delivery(delivery)

    def drain(self, timeout: float) -> bool:
        """Wait until no message is due, delayed or leased anywhere; False if one is by then.

        A pull subscription that nobody reads keeps its messages, and so keeps this from succeeding.
        """
        return self._broker.drain(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
