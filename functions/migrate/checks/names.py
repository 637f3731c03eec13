"""Names of objects: which are this registry's own making, and where in a bucket its blobs lie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from functions.registry.metadata.checks import objects
from functions.registry.metadata.db import Database

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# As blobs/gcs.py names what is uploaded, and imports/origin.py what is copied.
_OURS: Final = re.compile(rf"blobs/{_UUID}/[0-9a-f]{{12}}|imported/[0-9]+/{_UUID}")
_FOLDER: Final = "blobs/"


def is_ours(name: str) -> bool:
    """Says whether this registry can have made the name: only then may an object that nothing names be its garbage."""
    return _OURS.fullmatch(name) is not None


def roots(database: Database) -> Iterator[tuple[str, str]]:
    """The parts of the bucket in which blobs lie, each as the name before the first one and the last that it can have.

    They are read from the rows, one look for each part: what else is in the bucket is not even listed.
    """
    found = {_FOLDER}
    start: str | None = ""
    while start is not None and (name := objects.first_from(database, start)) is not None:
        root = _root(name)
        found.add(root)
        start = _past(root)
    for root in sorted(found):
        yield root[:-1], _past(root)


def _root(name: str) -> str:
    """Returns the name up to its folder `blobs/`, or its first folder; a name without any is all of it."""
    before, folder, _ = name.partition(_FOLDER)
    if folder and (not before or before.endswith("/")):
        return before + folder
    first, slash, _ = name.partition("/")
    return first + slash


def _past(root: str) -> str:
    """The first name behind all that begin with `root`."""
    return root[:-1] + chr(ord(root[-1]) + 1)
