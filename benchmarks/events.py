"""What events cost: a push with subscriptions and without, and how many webhooks the delivery sends in a second."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing import Process, Queue
from pathlib import Path
from typing import Any, Final

import requests

from benchmarks.measure import Report, percentile, table
from functions.deliver import parts, run
from functions.deliver.run import LINGER_SECONDS
from functions.registry.auth import webhook_secrets
from functions.registry.config import Settings
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from local.stack import Options, Stack
from tests.support import Image

SUBSCRIPTIONS: Final = (0, 1, 10)
REPOSITORIES: Final = 200
# So many pushes follow each other before it is another's turn.
_BLOCK: Final = 10
_SWITCH: Final = "UPDATE subscriptions SET state = CASE WHEN id <= :number THEN 'on' ELSE 'off' END"
_LINES: Final = """
    INSERT INTO events (kind, repository_id, repository, tag, digest, media_type, size, actor, cause)
    SELECT 'tag.moved', n % {repositories} + 1, 'team/r' || n % {repositories}, 'v1', '\\x01' || sha256(int4send(n)),
           'application/vnd.oci.image.manifest.v1+json', 1000, 'robot:ci', 'client'
      FROM generate_series(1, {events}) AS n
"""


def subscribe(database: Database, target: str, number: int) -> None:
    secret = webhook_secrets.sealed("", webhook_secrets.make())
    new = NewSubscription(name=str(number), repositories="team/**", target=target, created_by="x", secret=secret)
    subscriptions.add(database, new)


class Pushes:
    """One manifest after another by the same tag, over one connection."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}/v2/team/app"
        self._session = requests.Session()
        self._images = [Image() for _ in range(2)]
        self._number = 0
        for blob in (each for image in self._images for each in image.blobs):
            answer = self._session.post(f"{self._url}/blobs/uploads/?digest={Digest.of(blob)}", data=blob)
            answer.raise_for_status()

    def milliseconds(self) -> float:
        """Returns how long one push took that moves the tag."""
        self._number += 1
        image = self._images[self._number % 2]
        started = time.perf_counter()
        answer = self._session.put(
            f"{self._url}/manifests/v1", data=image.manifest, headers={"Content-Type": OCI_MANIFEST}
        )
        taken = (time.perf_counter() - started) * 1000
        answer.raise_for_status()
        return taken


def pushes(stack: Stack, count: int) -> str:
    """A push with each number of subscriptions, in turns, so that what else the machine does is shared out."""
    taken: dict[int, list[float]] = {number: [] for number in SUBSCRIPTIONS}
    url = stack.environment["SLIPWAY_DATABASE"]
    with closing(Database(url, 1)) as database, closing(Connection(url)) as connection:
        for number in range(max(SUBSCRIPTIONS)):
            subscribe(database, "poll", number)
        pushing = Pushes(stack.address)
        for turn in range(count // _BLOCK + 1):
            for number in SUBSCRIPTIONS:
                connection.run([(_SWITCH, {"number": number})])
                # Switching leaves rows behind that nobody makes otherwise.
                connection.simple("VACUUM subscriptions")
                spent = [pushing.milliseconds() for _ in range(_BLOCK)]
                if turn > 0:  # the first ones warm up
                    taken[number] += spent
        connection.simple("DELETE FROM subscriptions; DELETE FROM events")
    best, middle = percentile(taken[0], 25), percentile(taken[0], 50)
    rows = [
        [
            str(number),
            f"{percentile(each, 25):.2f}",
            f"{(percentile(each, 25) / best - 1) * 100:+.1f} %",
            f"{percentile(each, 50):.2f}",
            f"{(percentile(each, 50) / middle - 1) * 100:+.1f} %",
        ]
        for number, each in taken.items()
    ]
    return table(["subscriptions", "p25, ms", "against none", "p50, ms", "against none"], rows)


@contextmanager
def receiver() -> Iterator[str]:
    """In a process of its own, as receivers are."""
    addresses: Queue[str] = Queue()
    process = Process(target=_receive, args=(addresses,), daemon=True)
    process.start()
    try:
        yield addresses.get(timeout=30)
    finally:
        process.kill()
        process.join()


def _receive(addresses: Any) -> None:
    from tests.events.receiver import receiving  # noqa: PLC0415  # in the other process alone

    with receiving() as running:
        addresses.put(running.address)
        time.sleep(86_400)


def webhooks(stack: Stack, events: int) -> str:
    """Measures how those of 200 repositories reach two receivers, all of them due at once."""
    environment = {**stack.environment, "SLIPWAY_PRIVATE_RECEIVERS": "127.0.0.1", "SLIPWAY_EVENTS_TOPIC": ""}
    made = parts.build(Settings.from_environment(environment))
    rows = []
    with receiver() as first, receiver() as second:
        for number, address in enumerate((first, second)):
            secret = webhook_secrets.sealed(made.settings.pepper, webhook_secrets.make())
            new = NewSubscription(
                name=str(number), repositories="team/**", target=address, created_by="x", secret=secret
            )
            subscriptions.add(made.database, new)
        with closing(Connection(environment["SLIPWAY_DATABASE"])) as connection:
            connection.simple(_LINES.format(repositories=REPOSITORIES, events=events))
        started, used = time.perf_counter(), time.process_time()
        sent = run.run(made)
        taken, used = time.perf_counter() - started - LINGER_SECONDS, time.process_time() - used
        rows.append([f"{sent:,}", f"{taken:.1f}", f"{sent / taken:,.0f}", f"{used / sent * 1000:.2f}"])
    made.database.close()
    return table(["webhooks", "seconds", "a second", "CPU of the delivery, ms each"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=400)
    parser.add_argument("--events", type=int, default=5000)
    options = parser.parse_args()
    # The delivery of the stack is not woken: what this measures is not to wait for it.
    os.environ["SLIPWAY_EVENTS_TOPIC"] = ""
    report = Report("What events cost", "benchmarks.events")
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Options(port=0, data=Path(folder), ephemeral=True)) as stack,
    ):
        report.add(
            "## A push over HTTP",
            f"It moves a tag: two events. {options.pushes} of each, in turns; all subscriptions match, and nothing is"
            " sent or fanned out, for that is done elsewhere.",
            pushes(stack, options.pushes),
        )
        report.add(
            "## Webhooks",
            f"Signed, over http on this machine, to two receivers of Python on the same cores, from {REPOSITORIES}"
            " repositories; four at once to each.",
            webhooks(stack, options.events),
        )
    print(json.dumps({"written": str(report.write("events"))}))


if __name__ == "__main__":
    main()
