"""A service of the platform, simulated: instances that come with the load, freeze between requests, and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tests.rehearsal.instance import START_SECONDS, Instance

# An instance has its CPU taken away this long after its last answer.
_IDLE_SECONDS: Final = 0.05
_DRAIN_SECONDS: Final = 60
# The share of its requests at once from which on another instance is started.
_BUSY: Final = 0.6


@dataclass(frozen=True, slots=True)
class Limits:
    """What the plan says of a service, and what the platform says of all of them (`request_bytes`)."""

    concurrency: int
    most_instances: int
    seconds: float
    request_bytes: int | None = None


class Service:
    """`make` makes an instance of the revision that takes the requests; `deploy` brings another revision."""

    def __init__(self, name: str, limits: Limits, *, speaks_http2: bool) -> None:
        self.name = name
        self.limits = limits
        self.speaks_http2 = speaks_http2
        self.frozen = 0
        self.unclean = 0
        self.peaks: dict[str, int] = {}
        self._make: Callable[[], Instance] | None = None
        self._instances: list[Instance] = []
        self._retired: list[Instance] = []
        self._starting: list[Future[None]] = []
        self._changed = threading.Condition()
        # They live as long as the service: a container ends with the thread that started it.
        self._threads = ThreadPoolExecutor(limits.most_instances + 2)

    def deploy(self, make: Callable[[], Instance], least: int = 1) -> None:
        """Once `least` instances of the new revision are ready, all requests go to them; then the old ones are stopped.

        Raises InstanceFailed, and then nothing has changed.
        """
        fresh = [self._threads.submit(_started, make) for _ in range(least)]
        ready = [future.result(START_SECONDS) for future in fresh]
        with self._changed:
            old, self._instances, self._make = self._instances, ready, make
            self._retired += old
            self._changed.notify_all()
        for instance in old:
            self._retire(instance)

    def scale_to_zero(self) -> None:
        """What is idle for long is stopped; the next request starts another."""
        with self._changed:
            idle, self._instances = self._instances, []
            self._retired += idle
        for instance in idle:
            self._retire(instance)

    @contextmanager
    def instance(self) -> Iterator[Instance]:
        """One that has room; it stays awake until the block ends. Raises TimeoutError if none comes."""
        instance = self._take()
        try:
            yield instance
        finally:
            self._give_back(instance)

    def running(self) -> list[Instance]:
        with self._changed:
            return [instance for instance in self._instances if instance.is_alive()]

    def kill(self, instance: Instance) -> None:
        with self._changed:
            self._instances.remove(instance)
            self._changed.notify_all()
        self._note_peaks(instance)
        instance.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            left, self._instances, self._make = self._instances, [], None
        for future in self._starting:
            future.cancel()
        list(self._threads.map(self._stop, left))
        for instance in self._retired:
            instance.kill()
        self._threads.shutdown()

    def _take(self) -> Instance:
        deadline = time.monotonic() + START_SECONDS
        with self._changed:
            while True:
                instance = self._pick()
                if instance is not None:
                    instance.in_flight += 1
                    if instance.is_frozen:
                        instance.thaw()
                    return instance
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{self.name}: no instance has room")

    def _pick(self) -> Instance | None:
        """The least busy one that has room; another is started meanwhile if all are busy."""
        self._instances = [instance for instance in self._instances if instance.is_alive()]
        least = min(self._instances, key=lambda instance: instance.in_flight, default=None)
        if least is None or least.in_flight >= _BUSY * self.limits.concurrency:
            self._start_another()
        return least if least is not None and least.in_flight < self.limits.concurrency else None

    def _start_another(self) -> None:
        self._starting = [future for future in self._starting if not future.done()]
        if self._make and len(self._instances) + len(self._starting) < self.limits.most_instances:
            self._starting.append(self._threads.submit(self._add, self._make))

    def _add(self, make: Callable[[], Instance]) -> None:
        instance = _started(make)
        with self._changed:
            if make is self._make:
                self._instances.append(instance)
                self._changed.notify_all()
                return
        instance.kill()

    def _give_back(self, instance: Instance) -> None:
        with self._changed:
            instance.in_flight -= 1
            self._changed.notify_all()
        timer = threading.Timer(_IDLE_SECONDS, self._freeze_if_idle, (instance,))
        timer.daemon = True
        timer.start()

    def _freeze_if_idle(self, instance: Instance) -> None:
        with self._changed:
            if instance in self._instances and instance.in_flight == 0 and not instance.is_frozen:
                instance.freeze()
                self.frozen += 1

    def _retire(self, instance: Instance) -> None:
        """Its requests end first, as far as one waits for them."""
        with self._changed:
            self._changed.wait_for(lambda: instance.in_flight == 0, _DRAIN_SECONDS)
        self._stop(instance)
        self._retired.remove(instance)

    def _stop(self, instance: Instance) -> None:
        self._note_peaks(instance)
        self.unclean += not instance.stop()

    def _note_peaks(self, instance: Instance) -> None:
        for name, peak in instance.peaks.items():
            self.peaks[name] = max(self.peaks.get(name, 0), peak)


def _started(make: Callable[[], Instance]) -> Instance:
    instance = make()
    try:
        instance.start()
    except BaseException:
        instance.kill()
        raise
    return instance
