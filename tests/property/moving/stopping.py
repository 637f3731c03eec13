"""A process that stops between two of its steps: it dies there, or others act before it goes on.

A step is what crosses a boundary: a batch of statements, the beginning and the end of a transaction, a request to the
store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.objects import StoredObjects
from functions.registry.blobs.written import WrittenObjects
from functions.registry.metadata.driver import Connection

_STEPS: Final[tuple[tuple[type, str], ...]] = (
    (Connection, "run"),
    (Connection, "simple"),
    (StoredObjects, "_get"),
    (WrittenObjects, "_ask"),
    (Bucket, "create"),
    (Bucket, "copy"),
    (Bucket, "remove"),
    (Bucket, "delete_all"),
)
_others = threading.local()


class Killed(BaseException):
    """The process is gone: nothing catches this on its way out."""


@dataclass(frozen=True)
class Moment:
    """Just before or just after the step of that number; the first has 1."""

    number: int
    is_after: bool


@contextmanager
def being_others() -> Iterator[None]:
    """What this thread does in the block belongs to another process."""
    _others.is_so = True
    try:
        yield
    finally:
        _others.is_so = False


@contextmanager
def stopped(moment: Moment, act: Callable[[], None]) -> Iterator[None]:
    """In this block `act` is done once, at the moment, by the thread that comes there."""
    with _watched(_Steps(moment, act)):
        yield


@contextmanager
def killed(moment: Moment) -> Iterator[None]:
    """In this block the process dies at the moment, with all its threads and connections. It raises Killed."""
    with _watched(_Steps(moment, None)):
        yield


class _Steps:
    """Without `act` the process dies."""

    def __init__(self, moment: Moment, act: Callable[[], None] | None) -> None:
        self._moment = moment
        self._act = act
        self._left = moment.number
        self._lock = threading.Lock()
        self._is_dead = False

    def reach(self, *, is_after: bool) -> None:
        """Raises Killed."""
        with self._lock:
            self._left -= is_after == self._moment.is_after
            is_now = self._left == 0 and is_after == self._moment.is_after
        if is_now and self._act is not None:
            self._act()
        self._is_dead |= is_now and self._act is None
        if self._is_dead:
            raise Killed

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(this: Any, *arguments: Any, **options: Any) -> Any:
            if getattr(_others, "is_so", False):
                return original(this, *arguments, **options)
            try:
                self.reach(is_after=False)
                result = original(this, *arguments, **options)
                self.reach(is_after=True)
            except Killed:
                # The server notices: what was not committed is undone.
                if isinstance(this, Connection):
                    this.close()
                raise
            return result

        return call


@contextmanager
def _watched(steps: _Steps) -> Iterator[None]:
    with ExitStack() as patches:
        for kind, method in _STEPS:
            patches.enter_context(mock.patch.object(kind, method, steps.around(getattr(kind, method))))
        yield
