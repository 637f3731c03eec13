"""How long one read or write of a socket may take.

Of a socket that is given its time by `settimeout` Python asks, before each read and write, whether there is anything to
do, and lets go of the interpreter twice: among many threads that is what most of them wait for. Here the kernel keeps
the time (SO_RCVTIMEO and SO_SNDTIMEO of socket(7)), and there is nothing to ask.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

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
