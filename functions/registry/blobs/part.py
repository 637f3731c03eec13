"""One object written through a resumable session, of any length, over a network that fails.

Cloud Storage may acknowledge less than it was sent, or not answer at all, so every byte is kept until it has been
acknowledged. Bytes go out in chunks; after a failure the session is asked how far it came.
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import google_crc32c

from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.wire import Answer, ask

_RETRIABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
_INCOMPLETE: Final = 308
_ATTEMPTS_WITHOUT_PROGRESS: Final = 9
_FIRST_WAIT_SECONDS: Final = 0.05
_LONGEST_WAIT_SECONDS: Final = 8.0


def written(checksum: int) -> str:
    """Returns a CRC32C as the store writes it."""
    return base64.b64encode(checksum.to_bytes(4, "big")).decode()


class PartWriter:
    """It takes `write` as bytes come, then `close`; or `cancel`. It holds about one chunk in memory.
    `checksum` is the CRC32C of what was written so far.

    All three raise BlobStoreUnavailable once the session is lost or the store stays down; only `cancel` may follow.
    """

    def __init__(self, session_url: str, chunk_bytes: int, timeout_seconds: float) -> None:
        self._session_url = session_url
        self._chunk_bytes = chunk_bytes
        self._timeout_seconds = timeout_seconds
        self._kept: deque[bytes | memoryview] = deque()  # not yet acknowledged
        self._kept_bytes = 0
        self._acknowledged = 0
        self.checksum = 0
        self._object: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Returns how many bytes were written so far."""
        return self._acknowledged + self._kept_bytes

    def write(self, data: bytes) -> None:
        self._kept.append(data)
        self._kept_bytes += len(data)
        self.checksum = google_crc32c.extend(self.checksum, data)
        # Longer than a chunk, not equal: so the last request always has bytes to send.
        while self._kept_bytes > self._chunk_bytes:
            self._send_until(self._acknowledged + self._chunk_bytes)

    def close(self) -> None:
        """Finishes the object with exactly what was written, and compares what the store says it holds."""
        self._send_until(self.size, is_last=True)
        stored = self._object or {}
        if int(stored["size"]) != self.size or stored["crc32c"] != written(self.checksum):
            raise BlobStoreUnavailable("the stored object differs from what was sent")

    def cancel(self) -> None:
        """Tells the store to forget the session. A failure is of no account: sessions expire."""
        try:
            self._request("DELETE", "", ())
        except (OSError, http.client.HTTPException):
            return

    def _send_until(self, end: int, *, is_last: bool = False) -> None:
        failures = 0
        must_ask = False
        total = str(end) if is_last else "*"
        while not self._is_done(end, is_last=is_last):
            before, has_asked = self._acknowledged, must_ask
            answer = self._ask(total) if must_ask else self._send(end, total)
            must_ask = self._take(answer)
            if self._object is not None or self._acknowledged > before:
                failures = 0
                continue
            if has_asked and not must_ask:
                continue  # the session is alive, and what failed before is counted: send again at once
            failures += 1
            if failures >= _ATTEMPTS_WITHOUT_PROGRESS:
                raise BlobStoreUnavailable(f"no progress after {failures} attempts")
            longest = min(_FIRST_WAIT_SECONDS * 2**failures, _LONGEST_WAIT_SECONDS)
            time.sleep(random.uniform(0, longest))  # noqa: S311  # jitter, not a secret

    def _is_done(self, end: int, *, is_last: bool) -> bool:
        return self._object is not None or (not is_last and self._acknowledged >= end)

    def _send(self, end: int, total: str) -> Answer | None:
        if end == self._acknowledged:
            return self._ask(total)
        content_range = f"bytes {self._acknowledged}-{end - 1}/{total}"
        return self._try("PUT", content_range, list(self._slice(end - self._acknowledged)))

    def _ask(self, total: str) -> Answer | None:
        """Asks how far it has come. With the total known, this also closes a session that has all of it."""
        return self._try("PUT", f"bytes */{total}", ())

    def _take(self, answer: Answer | None) -> bool:
        """Notes what was acknowledged; True if the session must be asked before anything else is sent."""
        if answer is None or answer.status in _RETRIABLE:
            return True
        if answer.status in (http.HTTPStatus.OK, http.HTTPStatus.CREATED):
            self._object = json.loads(answer.body)
            self._acknowledge(int(self._object["size"]))
        elif answer.status == _INCOMPLETE:
            last = answer.headers.get("Range")
            self._acknowledge(int(last.rsplit("-", 1)[1]) + 1 if last else 0)
        else:
            raise BlobStoreUnavailable(f"the upload session ended with {answer.status}")
        return False

    def _acknowledge(self, upto: int) -> None:
        count = upto - self._acknowledged
        if not 0 <= count <= self._kept_bytes:
            raise BlobStoreUnavailable(f"the store acknowledged {upto} bytes after {self._acknowledged}")
        self._acknowledged = upto
        self._kept_bytes -= count
        while count:
            first = self._kept[0]
            if len(first) <= count:
                self._kept.popleft()
                count -= len(first)
            else:
                self._kept[0] = memoryview(first)[count:]
                count = 0

    def _slice(self, count: int) -> Iterator[bytes | memoryview]:
        for data in self._kept:
            if count <= 0:
                return
            yield data if len(data) <= count else memoryview(data)[:count]
            count -= len(data)

    def _try(self, method: str, content_range: str, body: Sequence[bytes | memoryview]) -> Answer | None:
        """Returns the answer; None if none came."""
        try:
            return self._request(method, content_range, body)
        except (OSError, http.client.HTTPException):
            return None

    def _request(self, method: str, content_range: str, body: Sequence[bytes | memoryview]) -> Answer:
        headers = {"Content-Range": content_range} if content_range else {}
        return ask(method, self._session_url, headers, body, self._timeout_seconds)
