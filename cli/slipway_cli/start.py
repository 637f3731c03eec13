"""Where the program begins, before anything that takes long to load."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Ends as any program does that Ctrl-C stops while its modules are loaded: at once, and without a word."""
    _open_closed_streams()
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from slipway_cli.main import main as run  # noqa: PLC0415  # here, so that Ctrl-C is seen to before

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _open_closed_streams() -> None:
    """What the caller has closed, as `>&-` does, is read as empty, and refuses to be written.

    Left closed, its number would be that of the next thing which is opened, such as a connection.
    """
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # open until the end
    sys.stdout = sys.stdout or open(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")  # noqa: PTH123, SIM115  # as above
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # as above
