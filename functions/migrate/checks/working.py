"""What the steps of a check share: the database, the store, how long they may go on, and how a step is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable
from functions.registry.blobs.gcs import Bucket
from functions.registry.imports.places import Place
from functions.registry.metadata.checks import pieces
from functions.registry.metadata.checks.checks import Check
from functions.registry.metadata.checks.pieces import Piece
from functions.registry.metadata.db import Call, Database, Session

Answer = TypeVar("Answer")
_PAUSES: Final = (0.2, 1.0, 4.0)


class PieceLost(Exception):
    """Another worker has it by now, or the check is over."""


@dataclass(frozen=True, slots=True)
class Work:
    """`store` lists and looks, `bucket` reads. An object that nothing names is garbage once it is older than
    `unknown_age`, and then some.
    """

    check: Check
    database: Database
    store: Place
    bucket: Bucket
    pool: Executor
    unknown_age: timedelta
    deadline: float

    def is_late(self) -> bool:
        return time.monotonic() > self.deadline

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Asks the store again after a while, three times. Raises BlobStoreUnavailable; AccessRefused at once."""
        for pause in _PAUSES:
            try:
                return ask()
            except AccessRefused:
                raise
            except BlobStoreUnavailable:
                time.sleep(pause)
        return ask()


def advance(work: Work, piece: Piece, cursor: str | None, calls: Sequence[Call[Any]]) -> None:
    """Writes what a step found, and how far it came, in one transaction. Raises PieceLost."""

    def write(session: Session) -> None:
        if not session.count(pieces.advancing(piece, cursor)):
            raise PieceLost
        session.batch(list(calls))

    work.database.transaction(write)
