"""Requests to a store at a rate that it bears: half as many at once after a refusal, one more for each good second."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.blobs.objects import ObjectPage, StoredObject
from functions.registry.imports.places import Place

Answer = TypeVar("Answer")

AT_ONCE: Final = 32
_ATTEMPTS: Final = 8
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 10.0


class Throttled:
    """A place that is asked again where it refuses. Raises BlobStoreUnavailable once it has refused too often, and
    AccessRefused at once.
    """

    def __init__(self, place: Place, at_once: int = AT_ONCE) -> None:
        self._place = place
        self._most = at_once
        self._allowed = at_once
        self._under_way = 0
        self._changed_at = time.monotonic()
        self._turn = threading.Condition()

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        return self.ask(lambda: self._place.page(prefix, after, before))

    def find(self, name: str) -> StoredObject | None:
        return self.ask(lambda: self._place.find(name))

    def read(self, name: str, most: int) -> bytes:
        return self.ask(lambda: self._place.read(name, most))

    def folders(self, prefix: str) -> list[str]:
        return self.ask(lambda: self._place.folders(prefix))

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Returns what the request gives, once there is a turn for it."""
        for attempt in range(_ATTEMPTS):
            self._wait()
            try:
                answer = request()
            except AccessRefused:
                raise
            except BlobStoreUnavailable:
                self._slow_down()
                if attempt + 1 == _ATTEMPTS:
                    raise
            else:
                self._speed_up()
                return answer
            finally:
                self._end()
            longest = min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS)
            time.sleep(random.uniform(longest / 2, longest))  # noqa: S311  # jitter, not a secret
        raise AssertionError  # the last attempt returns or raises

    def _wait(self) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._under_way < self._allowed)
            self._under_way += 1

    def _end(self) -> None:
        with self._turn:
            self._under_way -= 1
            self._turn.notify()

    def _slow_down(self) -> None:
        with self._turn:
            self._allowed = max(1, self._allowed // 2)
            self._changed_at = time.monotonic()

    def _speed_up(self) -> None:
        with self._turn:
            if self._allowed < self._most and time.monotonic() - self._changed_at >= 1:
                self._allowed += 1
                self._changed_at = time.monotonic()
                self._turn.notify()
