"""One new object, written as its bytes come: in one request where they fit a chunk, through a session where not."""

from __future__ import annotations

from collections.abc import Callable

from functions.registry.blobs.part import PartWriter


class ObjectWriter:
    """`write` as bytes come, then `close`; or `cancel`. Holds at most a chunk and a piece in memory. Once it is closed,
    `checksum` is the CRC32C of the object.

    All three raise BlobStoreUnavailable; only `cancel` may follow. Nothing is sent before there is more than a chunk.
    """

    def __init__(
        self, chunk_bytes: int, open_session: Callable[[], PartWriter], write_whole: Callable[[bytes], int]
    ) -> None:
        self._chunk_bytes = chunk_bytes
        self._open_session = open_session
        self._write_whole = write_whole
        self._kept: list[bytes] = []
        self._session: PartWriter | None = None
        self.size = 0
        self.checksum = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self._session is not None:
            self._session.write(data)
            return
        self._kept.append(data)
        if self.size > self._chunk_bytes:
            self._session = self._open_session()
            while self._kept:
                self._session.write(self._kept.pop(0))

    def close(self) -> None:
        """Finishes the object with exactly what was written, and compares what the store says it holds."""
        if self._session is not None:
            self._session.close()
            self.checksum = self._session.checksum
            return
        content = self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)
        self._kept.clear()
        self.checksum = self._write_whole(content)

    def cancel(self) -> None:
        """Tells the store to forget the session, if there is one. A failure is of no account: sessions expire."""
        if self._session is not None:
            self._session.cancel()
