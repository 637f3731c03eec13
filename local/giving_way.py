"""A program that gives way to others has its sessions of the database give way too.

A long statement is a process of PostgreSQL's that keeps a core busy, whatever the priority of the program that waits
for it. Deployed, a database has cores of its own.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pg8000.core import CoreConnection

# Less than the program itself: a session may hold what a push waits for.
_MOST: Final = 10


def give_way() -> None:
    """Has every session that this process opens from now on run as it does: at its priority, but not below `_MOST`, or
    in the kernel's idle class if that is the process's (sched(7)).
    """
    priority = min(_MOST, os.getpriority(os.PRIO_PROCESS, 0))
    is_idle = hasattr(os, "SCHED_IDLE") and os.sched_getscheduler(0) == os.SCHED_IDLE
    if priority <= 0 and not is_idle:
        return
    note = CoreConnection.handle_BACKEND_KEY_DATA

    def handle(self: Any, data: bytes, context: Any) -> None:
        note(self, data, context)
        (process_id,) = struct.unpack_from("!i", data)
        if not _is_of_postgres(process_id):
            return
        with suppress(OSError):  # it is over already, or another user's
            if is_idle:
                os.sched_setscheduler(process_id, os.SCHED_IDLE, os.sched_param(0))
            else:
                os.setpriority(os.PRIO_PROCESS, process_id, priority)

    CoreConnection.handle_BACKEND_KEY_DATA = handle


def _is_of_postgres(process_id: int) -> bool:
    """Is false for a server on another machine, whose number is another process's here."""
    try:
        return Path(f"/proc/{process_id}/comm").read_text().startswith("postgres")
    except OSError:
        return False
