"""The stand-in for Cloud Scheduler: a job that publishes one message to a topic at every tick."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_log = logging.getLogger(__name__)


class Scheduler:
    """Publishes every `interval` seconds, first after one interval; a failure is logged and costs one tick."""

    def __init__(
        self,
        interval: float,
        publish: Callable[[bytes, Mapping[str, str]], object],
        data: bytes,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Raises ValueError if data is empty: functions are not given messages without any."""
        if not data:
            raise ValueError("a scheduled message needs data")
        self._interval = interval
        self._publish = publish
        self._data = data
        self._attributes = dict(attributes or {})
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="scheduler", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the ticking; a publish under way is waited for."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_now(self) -> None:
        """Publish once, in the caller's thread, beside the regular ticks."""
        try:
            self._publish(self._data, self._attributes)
        except Exception:  # noqa: BLE001 - whatever went wrong, the next tick may succeed
            _log.exception("a scheduled publish failed")

    def _tick(self) -> None:
        while not self._stopped.wait(self._interval):
            self.run_now()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
