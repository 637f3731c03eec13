"""`python -m tests.soak`: the whole registry under full load for a while, with seconds of grace, an unreliable Pub/Sub
and processes that are killed; with `--faults`, all that tests/faults/kinds.py does to the parts of a registry. Nothing
may be lost, nothing may leak. Exits 1 if something was or did.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest import mock

from local import programs, stack
from local.processes import Child
from local.programs import Data, Ports
from local.stack import Options, Stack
from tests.faults.kinds import FAULTS
from tests.soak.audit import Audit
from tests.soak.clients import Puller, Pusher
from tests.soak.figures import MOVING_TAGS, REPOSITORIES, Figures

GC_SCHEDULE_SECONDS: Final = 4
SECONDS_BETWEEN_KILLS: Final = 15
SECONDS_BETWEEN_FAULTS: Final = 5
SETTINGS: Final = {"SLIPWAY_GC_TRIGGER_INTERVAL_SECONDS": "1", "SLIPWAY_UPLOAD_EXPIRY_SECONDS": "60"}


def unreliable_pubsub(data: Data, ports: Ports) -> Child:
    child = reliable_pubsub(data, ports)
    return replace(child, command=["tests.soak.pubsub" if part == "local.pubsub" else part for part in child.command])


reliable_pubsub: Final = programs.pubsub


def kill_worker(running: Stack, name: str) -> None:
    """The process that does the work, outright; its server starts another."""
    [child] = [child for child in running.children._children if child.name == name]
    assert child.process is not None
    pid = child.process.pid
    for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(worker), signal.SIGKILL)


def disturb(running: Stack, figures: Figures, seconds: float) -> None:
    """Disturbs for so long, every now and then."""
    deadline = time.monotonic() + seconds
    for name in itertools.cycle(("gc", "gc", "api")):
        if time.monotonic() + SECONDS_BETWEEN_KILLS > deadline:
            break
        time.sleep(SECONDS_BETWEEN_KILLS)
        kill_worker(running, name)
        figures.count("kills")
        say(f"{deadline - time.monotonic():4.0f} s left: {summary(figures)}")
    time.sleep(max(0, deadline - time.monotonic()))


def disturb_in_every_way(running: Stack, figures: Figures, seconds: float) -> None:
    """Disturbs with every kind of fault in turn, in an order that chance shuffles."""
    deadline, chance = time.monotonic() + seconds, random.Random(0)  # noqa: S311  # chance, not secrecy
    while time.monotonic() + SECONDS_BETWEEN_FAULTS < deadline:
        for name in chance.sample(sorted(FAULTS), len(FAULTS)):
            if time.monotonic() + SECONDS_BETWEEN_FAULTS > deadline:
                break
            time.sleep(chance.uniform(1, SECONDS_BETWEEN_FAULTS))
            FAULTS[name](running, chance)
            figures.count(f"fault: {name}")
            figures.count("faults")
        say(f"{deadline - time.monotonic():4.0f} s left: {summary(figures)}")
    time.sleep(max(0, deadline - time.monotonic()))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def summary(figures: Figures) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(figures.counts.items()))


def soak(running: Stack, figures: Figures, seconds: float, arguments: argparse.Namespace) -> None:
    where = (running.environment["SLIPWAY_DATABASE"], running.environment["STORAGE_EMULATOR_HOST"], figures)
    before = Audit(*where)
    before.set_graces()
    before.close()
    preparing = Pusher(running.address, figures, "first")
    for repository in REPOSITORIES:
        preparing.push_what_is_held(repository)
    pushing = [Pusher(running.address, figures, f"pusher {number}") for number in range(arguments.pushers)]
    pulling = [Puller(running.address, figures, f"puller {number}") for number in range(arguments.pullers)]
    for worker in (*pushing, *pulling):
        worker.start()
    (disturb_in_every_way if arguments.faults else disturb)(running, figures, seconds)
    figures.is_over.set()
    for pusher in pushing:
        pusher.join()
    audit = Audit(*where)
    audit.wait_until_quiet()
    figures.is_quiet.set()
    for puller in pulling:
        puller.join()
    audit.compare()
    for repository, tag in itertools.product(REPOSITORIES, MOVING_TAGS):
        Puller(running.address, figures, "last").pull(repository, tag)
    for level, count in audit.collected().items():
        figures.count(f"collected {level}s", count)
    audit.close()


def report(figures: Figures) -> int:
    for finding in figures.findings[:50]:
        say(f"  {finding}")
    counts = figures.counts
    say(
        f"pulls {counts['pulls']}, pushes {counts['pushes']}, deletes {counts['deletes']}, kills {counts['kills']}, "
        f"faults {counts['faults']}, "
        f"collected {counts['collected manifests']} manifests and {counts['collected objects']} objects; "
        f"lost = {counts['lost']}, leaked = {counts['leaked']}, miscounted = {counts['miscounted']}"
    )
    say(f"({summary(figures)}; load average {os.getloadavg()[0]:.1f})")
    return 1 if figures.findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pushers", type=int, default=6)
    parser.add_argument("--pullers", type=int, default=4)
    parser.add_argument("--faults", action="store_true", help="every kind of fault, not only kills of workers")
    arguments = parser.parse_args()
    os.environ.update(SETTINGS)
    figures = Figures()
    with (
        tempfile.TemporaryDirectory(prefix="slipway-soak-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(programs, "pubsub", unreliable_pubsub),
        mock.patch.object(stack, "GC_SCHEDULE_SECONDS", GC_SCHEDULE_SECONDS),
        # A backend that is killed makes the server recover as after a crash. What is fast would lose commits that were
        # answered already, such as the name of an object that was then written: nothing would know of that any more.
        Stack(Options(port=0, data=Path(folder), ephemeral=not arguments.faults)) as running,
    ):
        soak(running, figures, arguments.minutes * 60, arguments)
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
