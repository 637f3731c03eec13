"""Contents on disk: one file per generation, and the parts of uploads that are not finished."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PARKED_SECONDS: Final = 60.0


class Files:
    """The folders of one fake.

    Dropped contents are parked for a minute before they are unlinked: a download or a copy that just looked the
    object up has still to open its file. `Upkeep` looks after them.
    """

    def __init__(self, root: Path) -> None:
        self._contents = root / "contents"
        self._parts = root / "parts"
        self._parked: deque[tuple[float, str]] = deque()
        for folder in (self._contents, self._parts):
            folder.mkdir(parents=True, exist_ok=True)

    def content(self, generation: str) -> Path:
        """Returns the file that holds one generation of an object."""
        return self._contents / generation

    def part(self, upload_id: str) -> Path:
        """Returns the file that holds what arrived so far of a resumable upload."""
        return self._parts / upload_id

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Returns a path to write to; what is still there afterwards is removed."""
        path = self._parts / f"scratch-{uuid.uuid4().hex}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def park(self, generation: str) -> None:
        """Have a content unlinked in a minute, should it still be unwanted then."""
        self._parked.append((time.monotonic() + _PARKED_SECONDS, generation))

    def unlink_parked(self, is_kept: Callable[[str], bool]) -> None:
        """Unlink what has been parked long enough, except what is kept after all."""
        while self._parked and self._parked[0][0] <= time.monotonic():
            _, generation = self._parked.popleft()
            if not is_kept(generation):
                self.content(generation).unlink(missing_ok=True)

    def sweep(self, is_kept: Callable[[str], bool], is_open: Callable[[str], bool]) -> None:
        """Remove what a process that stopped left behind: contents and parts that nothing names."""
        for path in self._contents.iterdir():
            if not is_kept(path.name):
                path.unlink()
        for path in self._parts.iterdir():
            if not is_open(path.name):
                path.unlink()
