"""Changes from many writers while the delivery is killed again and again: `python -m tests.events.soak`.

Writers' sessions are ended too. The receiver refuses a fifth of what comes, and says nothing to a twentieth. At the end
every event that was committed has come, of each repository in order, and what came twice is the same.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final
from unittest import mock

from functions.deliver import parts, run, sending
from functions.migrate.schema import upgrade
from functions.registry.auth import webhook_secrets
from functions.registry.config import Settings
from functions.registry.metadata.content import manifests, removal
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.oci.name import RepositoryName, Tag
from local.postgres import Postgres
from local.processes import Children
from tests.events.receiver import HOST, Answer, Received, Receiver, receiving
from tests.metadata.build import push_image, query
from tests.support import Image

WRITERS: Final = 4
TAGS: Final = "abcde"
# As the product's own, and a hundred times as fast.
_WAITS: Final = (0.05, 0.3, 1.2, 3.0)
_LONGEST_WAIT: Final = 5.0
_LEASE_SECONDS: Final = 16.0
# For so long a delivery lives once it has sent something, from and to.
_LIVES: Final = (0.0, 1.0)
_PATIENCE_SECONDS: Final = 60
_LEFT: Final = """
    SELECT (SELECT count(*) FROM events WHERE position IS NULL) + coalesce(sum(waiting), 0) FROM lanes
"""
_END_SESSION: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
     ORDER BY random() LIMIT 1
"""


def deliver(url: str) -> None:
    """What is killed: it delivers for ever."""
    told = {"SLIPWAY_DATABASE": url, "SLIPWAY_BUCKET": "none", "SLIPWAY_PRIVATE_RECEIVERS": HOST}
    made = parts.build(Settings.from_environment(told))
    hasty = mock.patch.multiple(sending, _WAITS=_WAITS, _HOUR=_LONGEST_WAIT, LEASE_SECONDS=_LEASE_SECONDS)
    with hasty, mock.patch.object(run, "LEASE_SECONDS", _LEASE_SECONDS):
        while True:
            try:
                run.run(made, 30)
            except MetadataUnavailable:
                time.sleep(0.1)


class Soak:
    def __init__(self, url: str, changes: int, repositories: int) -> None:
        self._url = url
        self._left = changes
        self._repositories = [RepositoryName(f"team/r{number}") for number in range(repositories)]
        self._images = [Image(layers=(bytes([number]),)) for number in range(6)]
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0

    @property
    def is_over(self) -> bool:
        return self._left < 0

    def write(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311  # no secret
        with closing(Database(self._url, 1, wait_seconds=30, lock_seconds=10)) as database:
            while self.take():
                repository = chance.choice(self._repositories)
                choice = chance.random()
                try:
                    if choice < 0.75:
                        push_image(database, repository, chance.choice(TAGS), image=chance.choice(self._images))
                    elif choice < 0.9:
                        removal.delete_tags(database, repository, [Tag(chance.choice(TAGS))])
                    else:
                        manifests.delete(database, repository, chance.choice(self._images).digest)
                except MetadataUnavailable:
                    continue  # its session was ended: it is committed or it isn't, and the triggers know


def faults(accepted: list[Received], database: Database) -> dict[str, int]:
    """What is missing, out of order, or twice and not the same; and how much came."""
    bodies: dict[str, bytes] = {}
    order: dict[str, list[int]] = defaultdict(list)
    found = {"accepted": len(accepted), "missing": 0, "out_of_order": 0, "differing": 0, "left": 0}
    for each in accepted:
        event = each.headers["webhook-id"]
        found["differing"] += bodies.setdefault(event, each.body) != each.body
        known = order[each.document["partitionkey"]]
        if int(event) not in known[-200:]:
            known.append(int(event))
    found["out_of_order"] = sum(a > b for lane in order.values() for a, b in pairwise(lane))
    committed = {str(event) for (event,) in query(database, "SELECT id FROM events")}
    found["events"] = len(committed)
    found["missing"] = len(committed - bodies.keys())
    [[found["left"]]] = query(database, "SELECT coalesce(sum(waiting), 0)::bigint FROM lanes")
    return found


def wait_for_life(receiver: Receiver) -> None:
    """Waits until something comes, or long enough for nothing to be left."""
    seen, patience = len(receiver.received), time.monotonic() + _PATIENCE_SECONDS
    while len(receiver.received) == seen and time.monotonic() < patience:
        time.sleep(0.01)


def wait_for_the_rest(database: Database) -> None:
    """Waits until nothing is left, or nothing more has come for long: how long all of it takes is the machine's."""
    least, since = None, time.monotonic()
    while time.monotonic() - since < _PATIENCE_SECONDS:
        [[left]] = query(database, _LEFT)
        if not left:
            return
        if least is None or left < least:
            least, since = left, time.monotonic()
        time.sleep(0.5)


def soak(url: str, changes: int, kills: int, repositories: int) -> dict[str, int]:
    upgrade(url)
    chance = random.Random(7)  # noqa: S311  # no secret
    accepted: list[Received] = []
    with receiving() as receiver, closing(Database(url, 4, wait_seconds=30, lock_seconds=10)) as database:

        def mood(received: Received) -> Answer:
            what = chance.random()
            if what < 0.2:
                return Answer(500)
            if what < 0.25:
                return Answer(is_silent=True)
            accepted.append(received)
            return Answer()

        receiver.mood = mood
        secret = webhook_secrets.sealed("", webhook_secrets.make())
        subscriptions.add(
            database,
            NewSubscription(
                name="soak", repositories="**", target=receiver.address, created_by="user:admin", secret=secret
            ),
        )
        work = Soak(url, changes, repositories)
        writers = [threading.Thread(target=work.write, args=(seed,)) for seed in range(WRITERS)]
        for writer in writers:
            writer.start()
        killed = 0
        while not work.is_over or killed < kills:
            process = subprocess.Popen([sys.executable, "-m", "tests.events.soak", "--deliver", url])
            wait_for_life(receiver)
            time.sleep(chance.uniform(*_LIVES))
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            if not work.is_over:
                query(database, _END_SESSION)
        for writer in writers:
            writer.join()
        process = subprocess.Popen([sys.executable, "-m", "tests.events.soak", "--deliver", url])
        wait_for_the_rest(database)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return {"changes": changes, "kills": killed, **faults(accepted, database)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--repositories", type=int, default=200)
    parser.add_argument("--deliver", metavar="DATABASE", help="Be the delivery that is killed.")
    options = parser.parse_args()
    if options.deliver:
        deliver(options.deliver)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server, children = Postgres(Path(folder) / "data", ephemeral=True), Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=60)
            found = soak(server.url(), options.changes, options.kills, options.repositories)
        finally:
            children.stop()
    sys.stdout.write(json.dumps({**found, "seconds": round(time.monotonic() - started)}) + "\n")
    return int(any(found[name] for name in ("missing", "out_of_order", "differing", "left")))


if __name__ == "__main__":
    sys.exit(main())
