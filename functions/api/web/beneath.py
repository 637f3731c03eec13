"""What is set otherwise in the server beneath: how it refuses requests by itself, which would be with pages for people,
how much of a body it reads at once, for how long it writes, and how long a thread stays with a connection.
"""

from __future__ import annotations

import json
import select
from http import HTTPStatus
from typing import Any, Final

from gunicorn import util
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker

from functions.api.web.browsers import PROTECTION
from functions.registry.patience import send_all

# As much as functions/api/web/body.py takes at once, unless a setting says otherwise.
_PIECE_BYTES: Final = 64 << 10
# How long a thread waits for the next request of its connection.
_MOMENT_MS: Final = 5
_handle_one: Final = ThreadWorker.handle
_after_one: Final = ThreadWorker._keepalive_after  # noqa: SLF001


def read_in_pieces() -> None:
    """Reads bodies piece by piece from now on, in this process. The server would read a mebibyte of one whose length it
    knows, and copy the rest of that with each piece that is taken: ten times the work.
    """
    SocketUnreader.max_body_chunk = _PIECE_BYTES


def write_in_time() -> None:
    """An answer that is taken little by little ends with its connection from now on, in this process."""
    util.write = _write


def _write(sock: Any, data: bytes, chunked: bool = False) -> None:
    send_all(sock, b"%X\r\n%b\r\n" % (len(data), data) if chunked else data)


def refuse_in_json() -> None:
    """Requests that the server beneath refuses are answered with an OCI error from now on, in this process."""
    util.write_error = _write_error


def _write_error(sock: Any, status_int: int, reason: str, mesg: str) -> None:
    """Stands in for gunicorn's own: `mesg` has what the client sent, `reason` is the status' name."""
    code = "UNKNOWN" if status_int == HTTPStatus.INTERNAL_SERVER_ERROR else "UNSUPPORTED"
    body = json.dumps({"errors": [{"code": code, "message": mesg or reason}]})
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Docker-Distribution-Api-Version: registry/2.0\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in PROTECTION.items())
    util.write_nonblock(sock, (f"{head}\r\n{body}").encode("ascii", errors="replace"))


def stay_with_connections() -> None:
    """A thread that has answered waits a moment for the next request of its connection from now on, in this process,
    unless another one waits for a thread. The server would give the connection back to the thread that watches all of
    them: a third of what it takes for a request, and most clients ask for several things in a row.
    """
    ThreadWorker.handle = _handle_several
    ThreadWorker._keepalive_after = _keepalive_after  # noqa: SLF001  # no other way


def _handle_several(worker: Any, connection: Any) -> Any:
    """Returns what the server's own does: True if the connection stays open."""
    stays_open = _handle_one(worker, connection)
    while stays_open is True and _has_turn(worker, connection) and _asks_again(connection):
        stays_open = _handle_one(worker, connection)
    return stays_open


def _keepalive_after(worker: Any, connection: Any, keepalive: Any) -> bool:
    """Returns what the server's own does: whether the connection can be used again.

    The server looks twice for what is left of a request's body, and sets the socket's time five times for that. A body
    that has been read, and one that there never was, leaves nothing.
    """
    if not (keepalive and _is_read(connection.parser.mesg.body)):
        return bool(_after_one(worker, connection, keepalive))
    connection.parser.mesg = None
    return True


def _is_read(body: Any) -> bool:
    return isinstance(body.reader, LengthReader) and body.reader.length == 0 and not body.failed


def _has_turn(worker: Any, connection: Any) -> bool:
    return worker.alive and not connection.is_http2 and worker.tpool._work_queue.empty()  # noqa: SLF001  # no other way


def _asks_again(connection: Any) -> bool:
    if connection.parser.unreader.buf.getvalue():
        return True
    watched = select.poll()
    watched.register(connection.sock, select.POLLIN)
    return bool(watched.poll(_MOMENT_MS))
