"""A program that gives way to others does so with all it runs, and has its sessions of the database give way too.

A long statement is a process of PostgreSQL's that keeps a core busy, whatever the priority of the program that waits
for it. Deployed, a database has cores of its own.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pg8000.core import CoreConnection

# Less than the program itself: a session may hold what a push waits for.
_MOST: Final = 10
# Linux gives whoever waits a core when the turn of whoever has it is over, whatever their priorities: three thousandths
# of a second unless it is told otherwise, which is the time of two pulls. See sched_setattr(2).
_TURN_NANOSECONDS: Final = 100_000
_SET_ATTRIBUTES: Final = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES: Final = struct.Struct("IIQiIQQQII")


def give_way() -> None:
    """Has what this process runs, and every session that it opens from now on, take short turns and run at its
    priority, the sessions not below `_MOST`. Does nothing at the usual priority.
    """
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    if priority <= 0:
        return
    _run_at(0, priority)
    note = CoreConnection.handle_BACKEND_KEY_DATA

    def handle(self: Any, data: bytes, context: Any) -> None:
        note(self, data, context)
        (process_id,) = struct.unpack_from("!i", data)
        if _is_of_postgres(process_id):
            _run_at(process_id, min(_MOST, priority))

    CoreConnection.handle_BACKEND_KEY_DATA = handle


def _is_of_postgres(process_id: int) -> bool:
    """Is false for a server on another machine, whose number is another process's here."""
    try:
        return Path(f"/proc/{process_id}/comm").read_text().startswith("postgres")
    except OSError:
        return False


def _run_at(process_id: int, priority: int) -> None:
    """Sets priority and turns; where the kernel knows of no turns, the priority alone; nothing of another user's."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, priority)
    if (number := _SET_ATTRIBUTES.get(platform.machine())) is not None:
        attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, priority, 0, _TURN_NANOSECONDS, 0, 0, 0, 0)
        ctypes.CDLL(None).syscall(number, process_id, attributes, 0)
