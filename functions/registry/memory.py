"""Memory that is free goes back to the system: an instance is ended for what it holds, whether it uses that or not."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

# Of glibc's malloc.h.
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_LARGE_BYTES: Final = 256 << 10
_ARENAS: Final = 2


def give_back_memory() -> None:
    """From now on every block from 256 KiB is given back as soon as it is free, and threads share two heaps.

    Otherwise the C library raises that size with each such block, up to 32 MiB, and keeps what is free below it in as
    many heaps as there are threads.
    """
    with suppress(AttributeError):  # another C library than glibc
        set_option = ctypes.CDLL(None).mallopt
        set_option(_MMAP_THRESHOLD, _LARGE_BYTES)
        set_option(_ARENA_MAX, _ARENAS)
