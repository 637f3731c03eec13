"""The lock on a data folder: one run, or one reset, at a time."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from local.guard import HOST, StartRefused

NAME: Final = ".lock"
_RUN: Final = re.compile(r"(\d+) (\d+)\n")


@dataclass(frozen=True, slots=True)
class DataLock:
    """Held. `earlier_port` is that of a run which was killed, for a run that ends takes its name out of the file."""

    file: IO[str]
    earlier_port: int | None

    def name_run(self, port: int) -> None:
        """Names the run, so that who is refused learns by whom."""
        self._write(f"{os.getpid()} {port}\n")

    def forget_run(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.file.write(text)
        self.file.flush()


@contextmanager
def locked(folder: Path) -> Iterator[DataLock]:
    """Two runs on the same data would destroy it. Raises StartRefused if it is locked or can't be."""
    path = folder / NAME
    try:
        file = _open(path)
    except BlockingIOError as error:
        raise StartRefused(f"{folder} is in use by another run{_named(path)}: stop it, or choose DATA=...") from error
    except OSError as error:
        raise StartRefused(f"{path} can't be opened ({error.strerror}): choose another folder with DATA=...") from error
    with file:
        run = _RUN.fullmatch(file.read())
        yield DataLock(file, int(run[2]) if run else None)


def _open(path: Path) -> IO[str]:
    """Opens the file, and locks it. A reset may have deleted the file after it was opened: then it is another's, or
    nobody's.
    """
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.seek(0)
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _named(path: Path) -> str:
    run = _RUN.fullmatch(path.read_text(errors="replace"))
    return f" (process {run[1]} at http://{HOST}:{run[2]})" if run else ""
