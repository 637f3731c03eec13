"""`python -m tests.soak.moving`: Debian's docker-registry is moved in while both it and this registry are written to,
without any grace, with an unreliable Pub/Sub and processes that are killed. After the last comparison and the seal no
tag may be wrong, and nothing lost. Exits 1 if something was. Figures are printed each minute.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from functions.registry.metadata.driver import Connection
from functions.registry.metadata.imports.vocabulary import LAYOUT_ROOT
from local import programs, stack
from local.programs import BUCKET
from local.stack import Options, Stack
from tests.imports import debian, demo
from tests.soak.__main__ import GC_SCHEDULE_SECONDS, SETTINGS, kill_worker, say, summary, unreliable_pubsub
from tests.soak.audit import Audit
from tests.soak.figures import Figures
from tests.soak.ledger import Ledger
from tests.soak.two_sides import SHARED, Here, Looking, Mirror, There

_SECONDS_BETWEEN_KILLS: Final = 20
_SECONDS_BETWEEN_PASSES: Final = 10
_NO_GRACE: Final = "UPDATE gc_settings SET grace = '0'"
# What those had claimed that were killed would be free again in five minutes.
_PASS_LEASES: Final = """
    UPDATE import_repositories SET lease_until = now(), due_at = now() WHERE lease_until > now();
    UPDATE import_ranges SET lease_until = now() WHERE lease_until > now();
    UPDATE import_places SET lease_until = now() WHERE lease_until > now();
"""
_PATIENCE_SECONDS: Final = 600
_HALF: Final = len(SHARED) // 2


class Import:
    """The import as an administrator sees it."""

    def __init__(self, address: str) -> None:
        self.address = address
        fields = {"address": f"gs://{BUCKET}", "workers": 4, "every_seconds": 60}
        self.number = demo._asked("POST", address, "/api/v1/imports", json=fields).json()["id"]

    def act(self, what: str) -> None:
        """Again and again, while processes are killed."""
        for _ in range(100):
            try:
                demo.act(self.address, self.number, what)
            except (OSError, ValueError):
                time.sleep(0.2)
            else:
                return

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = demo._asked("GET", self.address, f"/api/v1/imports/{self.number}").json()
        return shown

    def wait(self, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so(shown := self.shown()):
            if time.monotonic() > deadline:
                raise SystemExit(f"it takes too long: {shown}")
            time.sleep(0.5)
        return shown


def soak(running: Stack, folder: Path, figures: Figures, seconds: float) -> None:
    ledger = Ledger()
    storage = running.environment["STORAGE_EMULATOR_HOST"]
    connection = Connection(running.environment["SLIPWAY_DATABASE"])
    audit = Audit(running.environment["SLIPWAY_DATABASE"], storage, figures)
    audit.set_graces()
    connection.simple(_NO_GRACE)
    old = folder / "old"
    old.mkdir()
    mirror = Mirror(old, storage, BUCKET, figures)
    with debian.serve(old) as theirs:
        there = [There(theirs, figures, ledger, part) for part in (SHARED[:_HALF], SHARED[_HALF:])]
        for worker in there:
            for _ in range(40):
                worker.push((worker.chance.choice(SHARED), "old-0"))
                worker.push_cold(("", ""))
        mirror.catch_up()
        moving = Import(running.address)
        moving.act("lead")
        moving.act("start")
        here = [Here(running.address, figures, ledger, part) for part in (SHARED[:_HALF], SHARED[_HALF:])]
        looking = [Looking(running.address, figures, ledger, number) for number in range(2)]
        with _acting([*there, *here, *looking, mirror], figures):
            disturb(running, moving, figures, seconds)
        mirror.catch_up()
    connection.simple(_PASS_LEASES)
    finish(running, moving, figures, ledger, audit)
    audit.close()
    connection.close()


@contextmanager
def _acting(workers: list[Any], figures: Figures) -> Iterator[None]:
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        figures.is_over.set()
        for worker in workers:
            worker.join()


def disturb(running: Stack, moving: Import, figures: Figures, seconds: float) -> None:
    """Kills, and asks for passes, for so long; tells how it goes each minute."""
    started = time.monotonic()
    kills = itertools.cycle(("work", "gc", "work", "api"))
    kill_at, pass_at, tell_at = started + _SECONDS_BETWEEN_KILLS, started, started + 60
    while (now := time.monotonic()) < started + seconds:
        if now >= kill_at:
            kill_worker(running, next(kills))
            figures.count("kills")
            kill_at = now + _SECONDS_BETWEEN_KILLS
        if now >= pass_at:
            moving.act("start")
            figures.count("passes")
            pass_at = now + _SECONDS_BETWEEN_PASSES
        if now >= tell_at:
            tell(moving, figures, (now - started) / 60)
            tell_at += 60
        time.sleep(0.5)


def tell(moving: Import, figures: Figures, minutes: float) -> None:
    try:
        shown = moving.shown()
    except (OSError, ValueError):
        shown = {}
    known = {name: shown.get(name) for name in ("state", "reason", "repositories", "due", "problems")}
    say(f"{minutes:4.0f} min: {summary(figures)}; {known}; load average {os.getloadavg()[0]:.1f}")
    for finding in figures.findings[-3:]:
        say(f"  {finding}")


def finish(running: Stack, moving: Import, figures: Figures, ledger: Ledger, audit: Audit) -> None:
    """The last comparison, the seal, and a look at every tag after each; then what nothing needs must be gone."""
    moving.wait(lambda shown: not shown["due"])
    moving.act("start")
    shown = moving.wait(lambda shown: not shown["due"])
    figures.count("repositories", sum(shown["repositories"].values()))
    look_at_all(running, figures, ledger)
    moving.act("verify")
    shown = moving.wait(lambda shown: shown["counts"].get("verification", {}).get("ended_at") is not None)
    # Manifests without a tag are missed there, too: without grace a collection has taken them.
    for difference in shown["counts"]["verification"]["differences"]:
        if " manifest " not in difference:
            figures.find("wrong", f"verification: {difference}")
    moving.act("seal")
    shown = moving.wait(lambda shown: shown["state"] == "sealed" or shown["reason"])
    if shown["state"] != "sealed":
        figures.find("wrong", f"it can't be sealed: {shown['reason']}")
    audit.wait_until_quiet()
    figures.is_quiet.set()
    look_at_all(running, figures, ledger)
    # What the older registry wrote to tell what is where is nobody's now.
    audit.compare(LAYOUT_ROOT.removesuffix("v2/"))


def look_at_all(running: Stack, figures: Figures, ledger: Ledger) -> None:
    last = Looking(running.address, figures, ledger, 99)
    for key in ledger.all_keys():
        last.look(key, is_final=True)
        figures.count("tags looked at")
    last.client.close()


def report(figures: Figures, minutes: float) -> int:
    for finding in figures.findings[:50]:
        say(f"  {finding}")
    counts = figures.counts
    say(
        f"{minutes:g} minutes: tags wrong: {counts['wrong']}, lost: {counts['lost']}, leaked: {counts['leaked']}, "
        f"miscounted: {counts['miscounted']}, unexpected: {counts['unexpected']}"
    )
    say(f"({summary(figures)}; load average {os.getloadavg()[0]:.1f})")
    return 1 if figures.findings else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.moving", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args()
    debian.require()
    os.environ.update(SETTINGS)
    figures = Figures()
    with (
        tempfile.TemporaryDirectory(prefix="slipway-moving-", ignore_cleanup_errors=True) as folder,
        mock.patch.object(programs, "pubsub", unreliable_pubsub),
        mock.patch.object(stack, "GC_SCHEDULE_SECONDS", GC_SCHEDULE_SECONDS),
        Stack(Options(port=0, data=Path(folder) / "data", ephemeral=True, access="open")) as running,
    ):
        soak(running, Path(folder), figures, arguments.minutes * 60)
    return report(figures, arguments.minutes)


if __name__ == "__main__":
    sys.exit(main())
