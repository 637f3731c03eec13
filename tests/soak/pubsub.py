"""`python -m tests.soak.pubsub --port N`: the fake Pub/Sub at its least reliable; else as `python -m local.pubsub`."""

from __future__ import annotations

from unittest import mock

from local.pubsub import Delivery, FakePubSub
from local.pubsub import __main__ as program

UNRELIABLE = Delivery(duplicate=0.3, reorder=0.3, drop=0.3, hold=2.0)


class Unreliable(FakePubSub):
    """Messages come twice, late, out of order, or never."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self.set_delivery(UNRELIABLE)


if __name__ == "__main__":
    with mock.patch.object(program, "FakePubSub", Unreliable):
        program.main()
