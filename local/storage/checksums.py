"""crc32c and md5 of contents, taken while they stream by."""

import base64
import hashlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import google_crc32c

from local.storage.calls import BLOCK

# The library carries no types.
_Crc32c: Any = google_crc32c.Checksum

# md5 runs at a fraction of the speed of all else an upload takes, so it gets threads of its own.
_HASHERS: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="md5")
_BACKLOG: Final = 8 << 20


@dataclass(frozen=True)
class Checksums:
    """As the JSON API shows them: base64. A composite object has no md5."""

    crc32c: str
    md5: str | None


class RunningChecksums:
    """Checksums of the bytes seen so far.

    md5 is taken behind the caller's back, up to 8 MiB behind: the next bytes can be received meanwhile. One thread at
    a time may call `update`.
    """

    def __init__(self) -> None:
        self._crc32c = _Crc32c()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._waiting: deque[bytes] = deque()
        self._backlog = 0
        self._is_hashing = False
        self._changed = threading.Condition()

    def update(self, block: bytes) -> None:
        self._crc32c.update(block)
        with self._changed:
            self._changed.wait_for(lambda: self._backlog < _BACKLOG)
            self._waiting.append(block)
            self._backlog += len(block)
            if not self._is_hashing:
                self._is_hashing = True
                _HASHERS.submit(self._hash_waiting)

    def _hash_waiting(self) -> None:
        while True:
            with self._changed:
                self._changed.notify_all()
                if not self._waiting:
                    self._is_hashing = False
                    return
                block = self._waiting.popleft()
            self._md5.update(block)
            with self._changed:
                self._backlog -= len(block)

    def result(self) -> Checksums:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_hashing)
        return Checksums(crc32c=_base64(self._crc32c.digest()), md5=_base64(self._md5.digest()))


def running_over(path: Path) -> RunningChecksums:
    """Checksums that have seen what a file holds already, ready to see more."""
    running = RunningChecksums()
    for block in file_blocks(path):
        running.update(block)
    return running


def store(blocks: Iterable[bytes], path: Path) -> Checksums:
    """Write blocks to a new file and give their checksums."""
    running = RunningChecksums()
    with path.open("wb", buffering=0) as file:
        for block in blocks:
            file.write(block)
            running.update(block)
    return running.result()


def crc32c_of(pieces: Iterable[bytes]) -> str:
    checksum = _Crc32c()
    for piece in pieces:
        checksum.update(piece)
    return _base64(checksum.digest())


def file_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            yield block


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
