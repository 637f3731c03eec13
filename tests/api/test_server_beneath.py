"""What the function sets otherwise in the server beneath."""

from __future__ import annotations

import socket
import threading
import tracemalloc

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader
from werkzeug.test import Client

from functions.registry.config import MEBIBYTE


def test_a_body_with_a_length_is_read_by_pieces(api_function: Client) -> None:
    """What is held of it is a piece or two, and not the mebibyte that the server would copy with each of them."""
    assert api_function is not None
    near, far = socket.socketpair()
    size, piece = 8 * MEBIBYTE, 64 << 10
    sender = threading.Thread(target=far.sendall, args=(bytes(size),))
    with near, far:
        sender.start()
        body = Body(LengthReader(SocketUnreader(near), size))
        tracemalloc.start()
        received = 0
        while data := body.read(piece):
            received += len(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        sender.join()
    assert received == size
    assert peak < 6 * piece
