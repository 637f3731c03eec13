"""Ports that are ours from the moment they are chosen.

A port that was only chosen, and is bound by a child seconds later, may be somebody else's by then. So the harness
itself listens, and its children take the sockets over.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Final

from local.guard import HOST, StartRefused

# Names the descriptor of the socket to a function that is started; without it the framework listens by itself.
LISTENER: Final = "SLIPWAY_LOCAL_LISTENER"
# Where systemd puts the first socket that it passes on.
_FIRST_DESCRIPTOR: Final = 3
_BACKLOG: Final = 1024
_LOOK_AGAIN_SECONDS: Final = 0.1


def listen(port: int, patience: float = 0) -> socket.socket:
    """Returns a socket that listens on `port`, on any free one for 0, for a child to take over. Raises StartRefused.

    What is taken is tried for `patience` seconds: what is left of a run that was killed may have it for a moment.
    """
    deadline = time.monotonic() + patience
    while True:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if time.monotonic() > deadline:
                reason = f"port {port} can't be used ({error.strerror})"
                raise StartRefused(f"{reason}: choose another with PORT=...") from error
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def reserve() -> socket.socket:
    """Returns a socket that keeps a free port, for a child that has to bind it by itself.

    The kernel gives the port to nobody as long as this one is open; who asks for it by number may listen on it.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind((HOST, 0))
    return keeper


def take_over() -> None:
    """Hands a socket over in a child: gunicorn, the framework's server, finds the socket where systemd would have
    put it.
    """
    descriptor = int(os.environ.pop(LISTENER, "-1"))
    if descriptor < 0:
        return
    if descriptor != _FIRST_DESCRIPTOR:
        os.dup2(descriptor, _FIRST_DESCRIPTOR)
        os.close(descriptor)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
