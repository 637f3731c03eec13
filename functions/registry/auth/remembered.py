"""What was found out about a token, for as long as it holds. The token itself is not kept: only its hash."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

_MOST: Final = 4096


class Remembered(Generic[Value]):
    """It holds a few thousand at most: the least recently added are forgotten first."""

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, tuple[float, Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: bytes, now: float) -> Value | None:
        found = self._found.get(key)
        return found[1] if found and now < found[0] else None

    def put(self, key: bytes, value: Value, until: float) -> None:
        with self._lock:
            self._found[key] = (until, value)
            self._found.move_to_end(key)
            if len(self._found) > _MOST:
                self._found.popitem(last=False)


def key_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
