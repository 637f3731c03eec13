"""Something happens between two steps of a request or of a GC run: its process dies, or another comes in between.

The steps are what crosses a boundary: each statement, by its name, and each call of the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.part import PartWriter
from functions.registry.metadata.db import Session

_STORE: Final[tuple[tuple[type, str], ...]] = (
    (Bucket, "_open_session"),
    (Bucket, "_write_whole"),
    (PartWriter, "close"),
    (Bucket, "create_empty"),
    (Bucket, "compose"),
    (Bucket, "delete_all"),
)
PUSH_STEPS: Final = (
    "blobs_look",
    "uploads_start",
    "uploads_get_with_parts",
    "uploads_name_object",
    "_open_session",
    "_write_whole",
    "close",
    "uploads_advance",
    "create_empty",
    "compose",
    "uploads_commit",
    "manifests_put",
)
GC_STEPS: Final = (
    "reviews_claim_manifests",
    "reviews_delete_manifests",
    "reviews_complete_manifests",
    "reviews_claim_links",
    "reviews_delete_links",
    "reviews_complete_links",
    "reviews_claim_blobs",
    "reviews_delete_blobs",
    "reviews_complete_blobs",
    "totals_add",
    "uploads_expire",
    "deletions_claim",
    "delete_all",
    "deletions_done",
)


class Crash(BaseException):
    """The process is gone: nothing catches this on its way out."""


def crash() -> None:
    raise Crash


@dataclass(frozen=True)
class Point:
    """Just before or just after a step, the `nth` time that it comes."""

    step: str
    is_after: bool
    nth: int = 1


@contextmanager
def interrupted(point: Point, act: Callable[[], None]) -> Iterator[None]:
    """In this block `act` is done once, at the point, by the thread that comes there first."""
    lock, left = threading.Lock(), point.nth

    def reach(steps: set[str], *, is_after: bool) -> None:
        nonlocal left
        if point.step in steps and is_after == point.is_after:
            with lock:
                left -= 1
                is_now = left == 0
            if is_now:
                act()

    def around(original: Callable[..., Any], name_of: Callable[[Any], set[str]]) -> Callable[..., Any]:
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            steps = name_of(arguments)
            reach(steps, is_after=False)
            result = original(self, *arguments, **options)
            reach(steps, is_after=True)
            return result

        return call

    with ExitStack() as patches:
        statements = around(Session.batch, lambda arguments: {call.statement.name for call in arguments[0]})
        patches.enter_context(mock.patch.object(Session, "batch", statements))
        for kind, method in _STORE:
            patched = around(getattr(kind, method), lambda _, method=method: {method})  # type: ignore[misc]
            patches.enter_context(mock.patch.object(kind, method, patched))
        yield
