"""`python -m local.pubsub --port N` serves until it is told to end."""

from __future__ import annotations

import argparse
import signal
import threading

from local.pubsub.server import FakePubSub


def main() -> None:
    """Prints one line, `ready HOST:PORT`, when calls are answered; SIGTERM or SIGINT ends it."""
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description="A fake Pub/Sub on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0, the default, lets the kernel choose")
    arguments = parser.parse_args()
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    with FakePubSub(port=arguments.port) as fake:
        print(f"ready {fake.address}", flush=True)
        # A signal that comes at the moment in which the wait begins does not end it: it is seen after the next one.
        while not told_to_end.wait(1):
            pass


if __name__ == "__main__":
    main()
