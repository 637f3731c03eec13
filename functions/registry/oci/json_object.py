"""The one reader of JSON objects that others wrote: manifests, bodies, tokens, messages, answers of issuers.

It reads within bounds, because an object takes a multiple of its bytes to hold, and refuses what readers may differ in.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final

# Objects, lists and what they hold. Of 4 MiB of empty objects each would take fifteen times its bytes.
MOST_VALUES: Final = 200_000

_LARGE_BYTES: Final = 256 << 10
# A crowd of large documents waits instead of filling the memory.
_reading_large: Final = threading.BoundedSemaphore(1)


class Unreadable(ValueError):
    """The message says why."""


def read_object(content: bytes, *, may_have_doubles: bool = False) -> dict[str, Any]:
    """Returns the one JSON object that it is. Raises Unreadable."""
    if sum(map(content.count, (b"{", b"[", b","))) > MOST_VALUES:
        raise Unreadable(f"it has more than {MOST_VALUES} values")
    with _reading_large if len(content) > _LARGE_BYTES else nullcontext():
        document = _read(content, None if may_have_doubles else _without_doubles)
    if not isinstance(document, dict):
        raise Unreadable("it is JSON, but no object")
    return document


def read_stored(content: bytes) -> dict[str, Any]:
    """Returns what it says of itself, to be shown: nothing if it can't be read.

    It may have come before these bounds; and how deep can be read depends on the calls around it as well.
    """
    try:
        return read_object(content, may_have_doubles=True)
    except Unreadable:
        return {}


def _read(content: bytes, hook: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None) -> Any:
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=hook)
    except Unreadable:
        raise
    except UnicodeDecodeError as error:
        raise Unreadable("it is not in UTF-8") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON at character {error.pos}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deep: a few hundred levels can be read") from error
    except ValueError as error:  # the one that is left is Python's own limit
        raise Unreadable("it has a number of more than 4300 digits") from error


def _refuse_constant(name: str) -> None:
    """Refuses what Python reads and JSON does not have."""
    raise Unreadable(f"it is not JSON: {name}")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a name that stands twice: which of two values counts differs from reader to reader."""
    document = dict(pairs)
    if len(document) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise Unreadable(f"it has the name {times.most_common(1)[0][0][:50]!a} twice in one object")
    return document
