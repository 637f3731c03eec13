"""Resumable upload sessions: what arrived so far, and whose turn it is to add to it."""

import json
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

from local.storage import conditions
from local.storage.calls import Document
from local.storage.checksums import RunningChecksums, running_over
from local.storage.errors import StorageError, invalid, try_again
from local.storage.store import Content, Store

QUANTUM: Final = 256 * 1024
"""All but the last bytes of an upload are kept in multiples of this; a client must count on losing the rest."""

# A week in Cloud Storage; here the space is wanted back, and the registry's own uploads end after a day.
SESSION_SECONDS: Final = 24 * 3600


class Session:
    """One open upload: its part file, how much of it counts, and the checksums of that much.

    Each request on the session takes a turn. A later turn ends an earlier one, whose connection may hang without
    either side knowing: what the later request was told is stored stays true.
    """

    def __init__(self, upload_id: str, part: Path) -> None:
        self.upload_id = upload_id
        self.part = part
        self.finished: Document | None = None
        self.lock = threading.RLock()
        self.size = part.stat().st_size
        self._turn = 0
        # Bytes of an earlier process were hashed by nobody: they are read again when the upload ends.
        self._checksums = RunningChecksums() if self.size == 0 else None

    def take_turn(self) -> int:
        with self.lock:
            self._turn += 1
            self.settle(self._turn)
            return self._turn

    def settle(self, turn: int) -> int:
        """Forget what is beyond the last whole quantum, and say how much is stored."""
        with self.lock:
            self.check_turn(turn)
            excess = self.size % QUANTUM
            if excess and self.finished is None:
                self.size -= excess
                self._checksums = None
                with self.part.open("r+b") as file:
                    file.truncate(self.size)
            return self.size

    def append(self, turn: int, offset: int, blocks: Iterable[bytes]) -> None:
        """Add what is new of the bytes from `offset` on; what is stored already is skipped.

        Blocks are waited for without the lock.
        """
        if offset > self.size:
            raise try_again("Invalid request. Bytes are missing before this chunk.")
        with self.part.open("ab", buffering=0) as file:
            for block in blocks:
                with self.lock:
                    self.check_turn(turn)
                    fresh = block[self.size - offset :] if offset < self.size else block
                    offset += len(block)
                    file.write(fresh)
                    self.size += len(fresh)
                    if self._checksums is not None:
                        self._checksums.update(fresh)

    def end(self) -> None:
        """Let no turn that is under way add anything more."""
        with self.lock:
            self._turn += 1

    def content(self) -> Content:
        if self._checksums is None:
            self._checksums = running_over(self.part)
        return Content(path=self.part, checksums=self._checksums.result())

    def check_turn(self, turn: int) -> None:
        if turn != self._turn:
            raise try_again("A later request on this upload took over.")


class Sessions:
    """All uploads that were started and not cancelled; the finished ones still answer with their object."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def start(self, bucket: str, name: str, metadata: Document, query: dict[str, str]) -> str:
        """Open a session and give its id. Conditions are checked now, and again when the upload ends."""
        self._store.require_bucket(bucket)
        conditions.check(self._store.catalog.live(bucket, name), query)
        upload_id = uuid.uuid4().hex
        self._store.files.part(upload_id).touch()
        self._database.change(
            "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, NULL)",
            upload_id,
            bucket,
            name,
            json.dumps(metadata),
            json.dumps(query),
            time.time(),
        )
        return upload_id

    def require(self, upload_id: str) -> Session | Document:
        """Returns the open session, or the object if it is finished; 404 for any other id."""
        with self._lock:
            row = self._database.first("SELECT resource FROM sessions WHERE upload_id = ?", upload_id)
            if row is None:
                raise _no_such_session()
            if row[0] is not None:
                resource: Document = json.loads(row[0])
                return resource
            if upload_id not in self._open:
                self._open[upload_id] = Session(upload_id, self._store.files.part(upload_id))
            return self._open[upload_id]

    def finish(self, session: Session, turn: int) -> Document:
        """Make the object of what has arrived."""
        with session.lock:
            session.check_turn(turn)
            content = session.content()
            with self._database.transaction():
                row = self._database.first(
                    "SELECT bucket, name, metadata, conditions FROM sessions WHERE upload_id = ?",
                    session.upload_id,
                )
                if row is None:
                    raise _no_such_session()
                bucket, name, metadata, query = row
                resource = self._store.commit(bucket, name, content, json.loads(metadata), json.loads(query))
                self._database.change(
                    "UPDATE sessions SET resource = ? WHERE upload_id = ?",
                    json.dumps(resource),
                    session.upload_id,
                )
            session.finished = resource
        with self._lock:
            self._open.pop(session.upload_id, None)
        return resource

    def cancel(self, upload_id: str) -> None:
        """Drop a session and what it holds. A finished one is merely forgotten; its object stays."""
        with self._lock:
            if self._database.change("DELETE FROM sessions WHERE upload_id = ?", upload_id) == 0:
                raise _no_such_session()
            session = self._open.pop(upload_id, None)
            if session is not None:
                session.end()
            self._store.files.part(upload_id).unlink(missing_ok=True)

    def is_open(self, upload_id: str) -> bool:
        statement = "SELECT 1 FROM sessions WHERE upload_id = ? AND resource IS NULL"
        return self._database.first(statement, upload_id) is not None

    def expire(self) -> None:
        """Drops the sessions whose time is over, with what they hold."""
        started_before = time.time() - SESSION_SECONDS
        for (upload_id,) in self._database.rows("SELECT upload_id FROM sessions WHERE started_at < ?", started_before):
            with suppress(StorageError):  # another request was faster
                self.cancel(upload_id)


def _no_such_session() -> StorageError:
    return StorageError(HTTPStatus.NOT_FOUND, "No such upload session.", reason="notFound", code="NoSuchUpload")


def object_name(query: dict[str, str], metadata: Document) -> str:
    """Returns the name of an object to be, from the query or the metadata."""
    name = query.get("name") or metadata.get("name")
    if not name:
        raise invalid("Required parameter: name")
    return str(name)
