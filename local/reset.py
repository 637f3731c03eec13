"""Empties a data folder: of what the harness made, and of nothing else."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from local import data_lock
from local.data_lock import locked
from local.guard import StartRefused

# The lock goes last: as long as anything is left, the folder is one that can be reset again.
_MADE: Final = (
    "postgres",
    "postgres.*.new",
    "postgres.log",
    "storage",
    "storage-keys.json*",
    "access.json*",
    "run.json*",
    "logs",
    data_lock.NAME,
)
_MOST_NAMED: Final = 3


def reset(folder: Path) -> str:
    """Returns what there is to say afterwards. Raises StartRefused if a run has it, if it is no data folder, or if
    something could not be deleted.
    """
    if folder.exists() and not (folder / data_lock.NAME).exists():
        raise StartRefused(f"{folder} does not look like a data folder of Slipway: nothing was deleted")
    if folder.exists():
        with locked(folder):
            _delete(folder)
    return _left_in(folder)


def _delete(folder: Path) -> None:
    failures: list[str] = []
    for pattern in _MADE:
        for path in folder.glob(pattern):
            if failures and path.name == data_lock.NAME:
                break
            _delete_one(path, failures)
    if failures:
        more = f", and {len(failures) - _MOST_NAMED} more" if len(failures) > _MOST_NAMED else ""
        raise StartRefused(f"these could not be deleted: {', '.join(failures[:_MOST_NAMED])}{more}")


def _delete_one(path: Path, failures: list[str]) -> None:
    def note(_: object, name: str, error: tuple[object, BaseException, object]) -> None:
        reason = error[1].strerror if isinstance(error[1], OSError) else error[1]
        failures.append(f"{name} ({reason})")

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=note)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        failures.append(f"{path} ({error.strerror})")


def _left_in(folder: Path) -> str:
    """Whatever else is there is somebody's own."""
    with suppress(OSError):
        folder.rmdir()
    left = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    if not left:
        return f"{folder} is empty"
    more = ", …" if len(left) > _MOST_NAMED else ""
    return f"{folder} is empty but for what Slipway did not make: {', '.join(left[:_MOST_NAMED])}{more}"
