"""What is set otherwise in the server beneath: how it refuses requests by itself, which would be with pages for people,
and how much of a body it reads at once.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from gunicorn import util
from gunicorn.http.unreader import SocketUnreader

from functions.api.web.browsers import PROTECTION

# As much as functions/api/web/body.py takes at once, unless a setting says otherwise.
_PIECE_BYTES: Final = 64 << 10


def read_in_pieces() -> None:
    """Reads bodies piece by piece from now on, in this process. The server would read a mebibyte of one whose length it
    knows, and copy the rest of that with each piece that is taken: ten times the work.
    """
    SocketUnreader.max_body_chunk = _PIECE_BYTES


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
