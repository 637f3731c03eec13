"""A rehearsal of the deployment on this machine: `make rehearsal`.

The archives that Terraform makes are unpacked and run with their locked requirements and the planned environment,
behind nginx with the planned configuration and a simulated platform. Layers are pushed, an instance is killed, what the
platform does to a service is done to it, a release with a migration goes through under load. Prints what came of it;
exit code 1 if anything is not as promised.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.rehearsal.archives import Release, Tree, copied_tree, environment_with
from tests.rehearsal.client import Client, Failed, Pulls
from tests.rehearsal.cloud import log_lines
from tests.rehearsal.faults import Faults, shorten
from tests.rehearsal.images import Pusher, pusher, write_image
from tests.rehearsal.nginx import MISSING, find_nginx, version_of
from tests.rehearsal.release import MIGRATION, is_next, make_next, release_next
from tests.rehearsal.stage import Stage, memory_of, set_stage

_MEBIBYTE: Final = 1 << 20
_MOST_SECONDS: Final = 3600
_REPOSITORY: Final = "rehearsal/app"
# Of the push whose instance is killed.
_KILLED_MIB: Final = 128
# What goes to the function, which takes 32 MiB. Without a length it says no at 28, for the platform has counted what is
# still under way: on this machine's loopback that may be more than those four.
_ALMOST_TOO_LARGE_MIB: Final = 31
_TOO_LARGE_MIB: Final = 48
_UNITS: Final = {"Mi": _MEBIBYTE, "Gi": _MEBIBYTE << 10}


@dataclass
class Rehearsal:
    stage: Stage
    release: Release
    folder: Path
    started: float = field(default_factory=time.monotonic)
    broken: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.started:5.0f} s  {line}\n")
        sys.stdout.flush()

    def promise(self, is_kept: bool, line: str) -> None:
        self.say(line if is_kept else f"{line}   <-- not as promised")
        if not is_kept:
            self.broken.append(line)

    def push(self, pusher: Pusher, tag: str, mebibytes: int) -> None:
        """And pulled again, byte for byte."""
        name = f"{self.stage.address}/{_REPOSITORY}:{tag}"
        # Of another content each: a layer that is there already is not pushed.
        archive = write_image(self.folder / tag, name, mebibytes * _MEBIBYTE, salt=zlib.crc32(tag.encode()))
        before = len(self._layers())
        pusher.push(archive, name)
        archive.unlink()
        pushed = [size for size in self._layers()[before:] if size >= mebibytes * _MEBIBYTE]
        pulled = self._client().pull_image(tag)
        self.promise(
            len(pushed) == 1 and pulled >= mebibytes * _MEBIBYTE,
            f"layers pushed over HTTP/2: {len(pushed)} ({sum(pushed)} bytes) by {pusher.name}, and pulled again",
        )

    def push_through_a_kill(self, pusher: Pusher) -> None:
        front = self.stage.fronts["registry"]
        front.kill_after = _KILLED_MIB * _MEBIBYTE // 3
        self.push(pusher, "killed", _KILLED_MIB)
        self.promise(front.kills == 1, f"instances killed during that push: {front.kills}")

    def meet_the_limit(self) -> None:
        """Asks the function: it says no itself, while the platform lets it, and then the platform does."""
        client = self.stage.client(_REPOSITORY, "api")
        host = self.release.deployment.outputs["registry_host"]
        piece = os.urandom(_MEBIBYTE)
        answer = client.stream(client.start_upload(), [piece] * _ALMOST_TOO_LARGE_MIB)
        is_told = answer.status_code == 413 and host in answer.text
        message = answer.json()["errors"][0]["message"] if is_told else answer.text
        self.promise(is_told, f"413 with a helpful message over HTTP/1: {message}")
        try:
            client.request("PATCH", client.start_upload(), data=piece * _TOO_LARGE_MIB, hoped=413)
        except Failed as failed:
            self.promise(False, f"the platform's own limit: {failed}")
        refused = self.stage.fronts["api"].own_answers.get(413, 0)
        self.promise(refused == 1, f"413 by the platform, before the function, for an announced length: {refused}")

    def meet_faults(self, tree: Tree) -> None:
        def apply(variable: str) -> Release:
            tree.variables = [variable]
            self.release = tree.apply()
            return self.release

        faults = Faults(self.stage, _REPOSITORY, self.promise, self.say)
        faults.prepare()
        faults.idle_connections(self.release)
        faults.first_minute(self.release)
        faults.throttled()
        faults.changed_keys(apply)
        faults.burst_from_zero()

    def release_under_load(self, tree: Tree) -> None:
        make_next(tree)
        self._client().push_image("small")
        old = self.stage.registry.running()
        with Pulls(self.stage.address, self.stage.cloud.administrator, _REPOSITORY, "small", threads=3) as pulls:
            applied = release_next(self.stage, tree)
        for failure in pulls.failures[:10]:
            self.say(failure)
        self.promise(MIGRATION in applied, f"migrated during the release: {', '.join(applied)}")
        self.promise(is_next(self.stage), f"all requests go to the next release; {len(old)} old instances are stopped")
        self.promise(not pulls.failures and pulls.count > 0, f"failed pulls: {len(pulls.failures)} of {pulls.count}")

    def collect(self) -> None:
        self.stage.cloud.publish(self.release.deployment.environment("registry")["SLIPWAY_TOPIC"])
        deadline = time.monotonic() + 30
        while not (runs := self._collections()) and time.monotonic() < deadline:
            time.sleep(0.2)
        self.promise(bool(runs), f"GC runs that Pub/Sub woke: {len(runs)}")

    def weigh(self) -> None:
        for name, peak in sorted(memory_of(self.stage.services).items()):
            limit = _bytes(self.release.deployment.container(name)["resources"][0]["limits"]["memory"])
            line = f"memory peak of {name}: {peak // _MEBIBYTE} MiB of {limit // _MEBIBYTE}"
            self.promise(peak < limit / 2, line)

    def count_stops(self) -> None:
        """Once everything has stopped."""
        frozen = sum(service.frozen for service in self.stage.services.values())
        unclean = sum(service.unclean for service in self.stage.services.values())
        self.promise(
            unclean == 0, f"instances that had to be killed at their stop: {unclean}; frozen when idle: {frozen}"
        )

    def _collections(self) -> list[dict[str, Any]]:
        logs = self.stage.programs.folder.glob("gc-*/app.log")
        return [line for log in logs for line in log_lines(log, "gc run")]

    def _layers(self) -> list[int]:
        return self.stage.fronts["registry"].layers

    def _client(self) -> Client:
        return self.stage.client(_REPOSITORY)


def _bytes(text: str) -> int:
    return int(text[:-2]) * _UNITS[text[-2:]]


def rehearse(folder: Path, nginx: Path, mebibytes: int, *, is_whole: bool = True) -> list[str]:
    """What was not as promised."""
    started = time.monotonic()
    with copied_tree(folder / "tree") as tree:
        shorten(tree.functions)
        release = tree.apply()
        packages = environment_with(release.folders["api"] / "requirements.txt")
        (folder / "stage").mkdir()
        with set_stage(release, packages, nginx, folder / "stage") as stage:
            rehearsal = Rehearsal(stage, release, folder, started)
            version = ".".join(map(str, version_of(nginx)))
            rehearsal.say(f"applied, migrated and serving: {stage.address}, nginx {version}")
            if is_whole:
                with pusher(folder, stage.cloud.administrator, stage.address) as client:
                    rehearsal.push(client, "large", mebibytes)
                    rehearsal.push_through_a_kill(client)
                rehearsal.meet_the_limit()
            rehearsal.meet_faults(tree)
            if is_whole:
                rehearsal.release_under_load(tree)
                rehearsal.collect()
            rehearsal.weigh()
        rehearsal.count_stops()
    return rehearsal.broken


def _too_long(*_: object) -> None:
    raise TimeoutError(f"not done after {_MOST_SECONDS} s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal", description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024, help="the large layer, a multiple of 4 (default 1024)")
    parser.add_argument("--faults", action="store_true", help="the platform's faults alone: no client, no release")
    arguments = parser.parse_args()
    nginx = find_nginx()
    if nginx is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_MOST_SECONDS)
    with tempfile.TemporaryDirectory(prefix="slipway-rehearsal-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "tree").mkdir()
        try:
            broken = rehearse(Path(folder), nginx, arguments.mebibytes, is_whole=not arguments.faults)
        except LookupError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write("everything is as promised\n" if not broken else f"not as promised: {len(broken)}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
