"""Ending the Python programs that tests start."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Final

# Before `-m`: with it, a program that is aborted says what each of its threads was at.
PYTHON: Final = (sys.executable, "-X", "faulthandler")


def ended(process: subprocess.Popen[str], number: signal.Signals, *, seconds: float) -> str:
    """What the program still said after the signal. One that does not end is aborted, and is an AssertionError."""
    process.send_signal(number)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        output, _ = process.communicate(timeout=seconds)
        raise AssertionError(f"it did not end within {seconds} s of {number.name}:\n{output}") from None
    return output
