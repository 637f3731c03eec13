"""Objects of a list, copied from one store to another: only those that are not there yet, many at once."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

from functions.migrate.backups.layout import Entry
from functions.migrate.backups.stores import AT_ONCE, BucketStore, Store, walk
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.objects import StoredObject

_WAITING: Final = 4 * AT_ONCE
NOTE_SECONDS: Final = 10.0
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.25

Item = TypeVar("Item")
Result = TypeVar("Result")
# copied; missing: the source has none; damaged: what it has is not the blob; occupied: the target has another object of
# that name, which is never written over; stopped: time was over in the middle
Outcome = Literal["copied", "there", "missing", "damaged", "occupied", "stopped"]


@dataclass(frozen=True, slots=True)
class Side:
    """Where the objects of a list lie: in the store, behind the prefix."""

    store: Store
    prefix: str = ""

    def find(self, entry: Entry) -> StoredObject | None:
        return self.store.find(self.prefix + entry.name)


@dataclass(slots=True)
class Progress:
    """How far a list was gone through: up to and with `cursor`. `tokens` are of copies that were stopped."""

    cursor: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def add(self, **counts: int) -> None:
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number


class InOrder(Generic[Item, Result]):
    """Work that is done at once, and whose results come in the order in which it was given."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._line: deque[tuple[Item, Future[Result] | Result]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._line) >= _WAITING

    def give(self, item: Item, work: Callable[[], Result]) -> None:
        self._line.append((item, self._pool.submit(work)))

    def give_done(self, item: Item, result: Result) -> None:
        self._line.append((item, result))

    def take(self, seconds: float) -> Iterator[tuple[Item, Result]]:
        """Returns those that are done, waiting so long for the first. Raises what the work has raised."""
        while self._line:
            item, given = self._line[0]
            if isinstance(given, Future):
                wait([given], seconds)
                if not given.done():
                    return
            result = given.result() if isinstance(given, Future) else given
            self._line.popleft()
            seconds = 0.0
            yield item, result

    def __bool__(self) -> bool:
        return bool(self._line)


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Gives threads; whatever they have not begun at the end of the block is not begun any more."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def beside(entries: Iterable[Entry], side: Side, after: str = "") -> Iterator[tuple[Entry, StoredObject | None]]:
    """Each entry behind `after` with what lies there under its name: two sorted streams, merged."""
    found = walk(side.store, side.prefix, f"{side.prefix}{after}" if after else "")
    stored = next(found, None)
    for entry in entries:
        if entry.name <= after:
            continue
        while stored is not None and stored.name.encode() < (side.prefix + entry.name).encode():
            stored = next(found, None)
        is_it = stored is not None and stored.name == side.prefix + entry.name
        yield entry, stored if is_it else None


def is_whole(entry: Entry, found: StoredObject | None) -> bool:
    return found is not None and found.size == entry.size


class Copier:
    """`is_over` says when to stop: what is being copied then ends where that can be gone on with."""

    def __init__(
        self, source: Side, target: Side, progress: Progress, is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._is_over = is_over

    def run(self, entries: Iterable[Entry], note: Callable[[], None], lost: Callable[[Entry, Outcome], None]) -> bool:
        """Says whether all of the list was gone through. `note` is called every few seconds, with the progress up to
        date, and at the end; `lost` for each that the source lacks. Raises BlobStoreUnavailable.
        """
        self._lost, self._noted_at, self._is_stopped = lost, time.monotonic(), False
        with workers() as pool:
            line = InOrder[Entry, Outcome](pool)
            is_whole_list = self._give_all(line, entries, note)
            while line and self._take(line, note, NOTE_SECONDS):
                pass
        note()
        return is_whole_list and not self._is_stopped

    def _give_all(self, line: InOrder[Entry, Outcome], entries: Iterable[Entry], note: Callable[[], None]) -> bool:
        for entry, found in beside(entries, self._target, self._progress.cursor):
            while self._take(line, note, NOTE_SECONDS if line.is_full else 0.0) and line.is_full:
                pass
            if self._is_stopped or self._is_over():
                return False
            self._give(line, entry, found)
        return True

    def _give(self, line: InOrder[Entry, Outcome], entry: Entry, found: StoredObject | None) -> None:
        if entry.is_damaged:
            line.give_done(entry, "missing")
        elif is_whole(entry, found):
            line.give_done(entry, "there")
        elif found is not None and isinstance(self._target.store, BucketStore):
            line.give_done(entry, "occupied")
        else:
            line.give(entry, lambda: self._copy(entry))

    def _take(self, line: InOrder[Entry, Outcome], note: Callable[[], None], seconds: float) -> bool:
        """Returns False where the line has stopped: behind what was stopped nothing is counted."""
        for entry, outcome in line.take(seconds):
            self._is_stopped = self._is_stopped or outcome == "stopped"
            if self._is_stopped:
                return False
            self._count(entry, outcome)
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            note()
            self._noted_at = time.monotonic()
        return True

    def _count(self, entry: Entry, outcome: Outcome) -> None:
        self._progress.cursor = entry.name
        self._progress.add(seen=1, seen_bytes=entry.size)
        self._progress.tokens.pop(entry.name, None)
        if outcome == "copied":
            self._progress.add(copied=1, copied_bytes=entry.size)
        elif outcome != "there":
            self._lost(entry, outcome)

    def _copy(self, entry: Entry) -> Outcome:
        if self._is_over():
            return "stopped"
        for attempt in range(_TRIES):
            try:
                return self._try(entry)
            except AccessRefused:
                raise
            except BlobStoreUnavailable:
                # It may be the token that isn't known any more.
                self._progress.tokens.pop(entry.name, None)
                if attempt + 1 == _TRIES:
                    raise
                time.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError  # the last attempt returns or raises

    def _try(self, entry: Entry) -> Outcome:
        source, target = self._source.store, self._target.store
        try:
            if isinstance(source, BucketStore) and isinstance(target, BucketStore):
                return self._rewrite(source, target, entry)
            return self._stream(entry)
        except ObjectMissing:
            return "missing"

    def _rewrite(self, source: BucketStore, target: BucketStore, entry: Entry) -> Outcome:
        """Within the store, which reads and writes nothing here."""
        name, read = target.prefix + self._target.prefix + entry.name, source.prefix + self._source.prefix + entry.name
        token = self._progress.tokens.get(entry.name)
        while (step := target.written.copy_on(name, source.bucket, read, token)).token is not None:
            token = self._progress.tokens[entry.name] = step.token
            if self._is_over():
                return "stopped"
        found = self._target.find(entry)
        if not is_whole(entry, found):
            return "damaged" if step.is_done else "occupied"
        return "copied"

    def _stream(self, entry: Entry) -> Outcome:
        """Its bytes pass through here, and are hashed."""
        hashed = hashlib.new(entry.digest.algorithm)
        pieces = self._source.store.read(self._source.prefix + entry.name)
        first = next(pieces, b"")
        writer = self._target.store.create(self._target.prefix + entry.name)
        try:
            for piece in _chained(first, pieces):
                hashed.update(piece)
                writer.write(piece)
            if hashed.hexdigest() != entry.digest.hex:
                writer.cancel()
                return "damaged"
            writer.close()
        except BaseException:
            writer.cancel()
            raise
        return "copied"


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
