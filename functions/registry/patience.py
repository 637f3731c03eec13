"""How long one read or write of a socket may take.

Of a socket that is given its time by `settimeout` Python asks, before each read and write, whether there is anything to
do, and lets go of the interpreter twice: among many threads that is what most of them wait for. Here the kernel keeps
the time (SO_RCVTIMEO and SO_SNDTIMEO of socket(7)), and there is nothing to ask.
"""

from __future__ import annotations

import io
import socket
import ssl
import struct
from typing import Any, Final

# The C library's timeval: seconds and microseconds.
_TIME: Final = struct.Struct("@ll")


def wait_at_most(connection: socket.socket, seconds: int) -> None:
    """Makes a read or write that takes longer raise OSError; where some of it was done in time, it goes on."""
    if isinstance(connection, ssl.SSLSocket):
        # TLS would ask the kernel again and again.
        connection.settimeout(seconds)
        return
    if connection.gettimeout() is not None:
        connection.settimeout(None)
    limit = _TIME.pack(seconds, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def send_all(connection: socket.socket, data: bytes) -> None:
    """Sends all of it in the connection's time, or raises OSError.

    What the kernel takes at once is sent by one call. For the rest Python keeps the time, of all of it together: by the
    kernel's, each part that is taken would have the whole time again, and whoever takes little by little would hold a
    thread for as long as they like.
    """
    if connection.gettimeout() is not None:
        connection.sendall(data)
        return
    try:
        sent = connection.send(data, socket.MSG_DONTWAIT)
    except BlockingIOError:
        sent = 0
    if sent < len(data):
        seconds, microseconds = _TIME.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIME.size))
        connection.settimeout(seconds + microseconds / 1_000_000 or None)
        connection.sendall(memoryview(data)[sent:])


def stream_of(connection: socket.socket) -> io.BufferedRWPair:
    """Returns a file of the connection whose reads raise TimeoutError where nothing comes in the connection's time.

    One by `makefile` would return None.
    """
    raw = _Raw(connection, "rw")
    connection._io_refs += 1  # type: ignore[attr-defined]  # noqa: SLF001  # as `makefile` does: the last one closes it
    return io.BufferedRWPair(raw, raw)


class _Raw(socket.SocketIO):
    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if count is None:
            raise TimeoutError("nothing came in time")
        return count
