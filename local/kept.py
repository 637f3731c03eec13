"""Files that are there whole or not at all, whenever the program that writes them is ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from local.guard import StartRefused


def write_whole(path: Path, text: str) -> None:
    """Writes for the owner's eyes only: written beside and renamed, so that nobody ever finds half of it."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def kept(path: Path, names: Sequence[str], make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Returns what the file holds, all `names` among it; made at the first start. Raises StartRefused.

    An empty file is none: an earlier release left it so when it was ended in between.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            write_whole(path, json.dumps(make()))
    except OSError as error:
        raise StartRefused(f"{path} can't be written ({error.strerror})") from error
    return read_kept(path, names)


def read_kept(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Raises StartRefused."""
    try:
        found = json.loads(path.read_text())
        return {**found, **{name: str(found[name]) for name in names}}
    except OSError as error:
        raise StartRefused(f"{path} can't be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise StartRefused(
            f"{path} is damaged: put a copy of it back; or delete it, and the next start makes new secrets, "
            "which refuses who was let in by the old ones"
        ) from error
