"""What the platform does to a service that its programs can't prevent, while people pull. Minutes are shortened.

A network forgets idle connections after ten minutes, and `idle.TRUSTED_SECONDS` is half of that: both are a hundredth
here. A new instance's way to the database takes up to a minute: here it takes a tenth of one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from functions.registry import idle
from slipway_cli.operator.rotation import KINDS
from tests.rehearsal.archives import Release
from tests.rehearsal.client import Client, Failed, Pulls
from tests.rehearsal.cloud import TOKEN_KEYS
from tests.rehearsal.stage import INSTANCES, Stage

_SHORTENED: Final = 100
FORGOTTEN_SECONDS: Final = 600 / _SHORTENED
CLOSED_SECONDS: Final = 60 / 10
# Whoever waits for an answer on a forgotten connection waits twice as long.
_SLOW_SECONDS: Final = 20
_TAG: Final = "fault"
_BURST: Final = 24
_QUIET_ROUNDS: Final = 2
_PAUSED_SECONDS: Final = 5
_PAUSE_SECONDS: Final = 0.3
# A burst that finds nothing running waits for instances whose way is closed at first.
_BURST_CLOSED_SECONDS: Final = 2
Promise = Callable[[bool, str], None]


def shorten(functions: Path) -> None:
    """In a copy of what is deployed: a connection is trusted for a hundredth of the time."""
    module = functions / "registry" / "idle.py"
    planned, shortened = str(idle.TRUSTED_SECONDS), str(idle.TRUSTED_SECONDS / _SHORTENED)
    assert module.read_text().count(planned) == 1
    module.write_text(module.read_text().replace(planned, shortened))


@dataclass
class Burst:
    """Pulls that all begin at once."""

    count: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0


def burst(clients: list[Client], *, signs_in: bool = False) -> Burst:
    found, lock, together = Burst(), threading.Lock(), threading.Barrier(len(clients))

    def pull(client: Client) -> None:
        together.wait()
        began, failure = time.monotonic(), ""
        try:
            if signs_in:
                client.sign_in()
            client.pull_image(_TAG)
        except Failed as failed:
            failure = str(failed)
        with lock:
            found.count += 1
            found.failures += [failure] * bool(failure)
            found.slowest_seconds = max(found.slowest_seconds, time.monotonic() - began)

    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(pull, clients))
    return found


@dataclass(frozen=True)
class Faults:
    """Each is met while an image is pulled, and promises that no pull fails."""

    stage: Stage
    repository: str
    promise: Promise
    say: Callable[[str], None]

    def prepare(self) -> None:
        self.stage.client(self.repository).push_image(_TAG)

    def idle_connections(self, release: Release) -> None:
        """The burst after ten quiet minutes: as many connections as an instance has are forgotten by then."""
        network = self.stage.cloud.network
        network.idle_seconds = FORGOTTEN_SECONDS
        self.stage.deploy(release, "registry", INSTANCES)
        clients = [self.stage.client(self.repository) for _ in range(_BURST)]
        total = burst(clients)
        for _ in range(_QUIET_ROUNDS):
            time.sleep(FORGOTTEN_SECONDS + 1)
            again = burst(clients)
            total.count += again.count
            total.failures += again.failures
            total.slowest_seconds = max(total.slowest_seconds, again.slowest_seconds)
        forgotten = sum(way.forgotten for way in network.opened)
        self._told(
            f"connections forgotten in silence: {forgotten}; the slowest pull took {total.slowest_seconds:.1f} s",
            total.failures,
            total.count,
            also=forgotten > 0 and total.slowest_seconds < _SLOW_SECONDS,
        )

    def first_minute(self, release: Release) -> None:
        """New instances can't reach the database at first: they get no requests until they can."""
        with self._closed(CLOSED_SECONDS), self._pulling() as pulls:
            began = time.monotonic()
            self.stage.deploy(release, "registry", INSTANCES)
            took = time.monotonic() - began
        line = f"new instances without the database for {CLOSED_SECONDS:.0f} s: ready after {took:.1f} s"
        self._told(line, pulls.failures, pulls.count, also=took >= CLOSED_SECONDS)

    def throttled(self) -> None:
        """Between requests there is no CPU, not for a thread and not for a timer."""
        before = self.stage.registry.frozen
        with self._pulling(pause_seconds=_PAUSE_SECONDS) as pulls:
            time.sleep(_PAUSED_SECONDS)
        frozen = self.stage.registry.frozen - before
        self._told(f"instances frozen between requests: {frozen}", pulls.failures, pulls.count, also=frozen > 0)

    def changed_keys(self, apply: Callable[[str], Release]) -> None:
        """Changes the signing key as docs/operations.md does; a version is read by the instances that start with it."""
        secrets, kind = self.stage.cloud.secrets, KINDS["signing-key"]
        read = []
        with self._pulling() as pulls:
            for step in ("add", "promote"):
                keys = kind.split(secrets.access(TOKEN_KEYS, str(secrets.newest(TOKEN_KEYS))))
                keys = [*keys, kind.make()] if step == "add" else keys[::-1]
                version = str(secrets.add(TOKEN_KEYS, "\n".join(keys) + "\n"))
                release = apply(f"-var={kind.terraform}={version}")
                read.append(release.deployment.secret_versions("registry")[kind.variable][1])
                self.stage.deploy(release, "registry", INSTANCES)
        line = f"signing keys read at an instance's start: versions 1, {', '.join(read)}"
        self._told(line, pulls.failures, pulls.count, also=read == ["2", "3"])

    def burst_from_zero(self) -> None:
        """Nobody pulled for a while, and then everybody does: instances come with the requests."""
        self.stage.registry.scale_to_zero()
        left = len(self.stage.registry.running())
        address, credentials = self.stage.address, self.stage.cloud.administrator
        clients = [Client(address, credentials, self.repository) for _ in range(_BURST)]
        with self._closed(_BURST_CLOSED_SECONDS):
            found = burst(clients, signs_in=True)
        started = len(self.stage.registry.running())
        line = f"a burst of {_BURST} that found {left} instances: {started} started; the slowest pull took "
        self._told(f"{line}{found.slowest_seconds:.1f} s", found.failures, found.count, also=left == 0 < started)

    def _told(self, line: str, failures: list[str], count: int, *, also: bool) -> None:
        for failure in failures[:10]:
            self.say(failure)
        self.promise(not failures and count > 0 and also, f"{line}; failed pulls: {len(failures)} of {count}")

    @contextmanager
    def _closed(self, seconds: float) -> Iterator[None]:
        network = self.stage.cloud.network
        network.closed_seconds = seconds
        try:
            yield
        finally:
            network.closed_seconds = 0

    def _pulling(self, pause_seconds: float = 0.0) -> Pulls:
        address, credentials = self.stage.address, self.stage.cloud.administrator
        return Pulls(address, credentials, self.repository, _TAG, threads=2, pause_seconds=pause_seconds)
