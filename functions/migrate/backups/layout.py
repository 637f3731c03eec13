"""How a backup lies at its destination.

    objects/NAME                    an object of the registry, under the name that it has there; all backups share them
    backups/BACKUP/rows/TABLE.gz    the rows of a table, as PostgreSQL's COPY writes them
    backups/BACKUP/objects.gz       the objects that it needs, in the order of their names
    backups/BACKUP/backup.json      the seal, written last: what has none is no backup

Each attempt has a name of its own, so nothing is ever written over: a destination may have a retention that forbids it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from functions.migrate.backups.stores import Store, Writer
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.oci.digest import Digest

FORMAT: Final = 1
BACKUPS: Final = "backups/"
OBJECTS: Final = "objects/"
_PIECE_BYTES: Final = 1 << 20
# Gzip's own format.
_GZIP: Final = 31


class BackupInvalid(Exception):
    """There is no such backup, or it is not what it was; the message says which part."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a backup: how many rows and bytes it has, packed, and their SHA-256. `columns` are those of a table."""

    rows: int
    bytes: int
    sha256: str
    columns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seal:
    """What a backup is: `snapshot_at` is the moment that it is of, `missing` what the registry had lost by then."""

    name: str
    snapshot_at: datetime
    sealed_at: datetime
    revisions: list[str]
    sequences: dict[str, int]
    tables: dict[str, Part]
    objects: Part
    object_bytes: int
    missing: list[str]
    format: int = FORMAT

    def encode(self) -> bytes:
        times = {"snapshot_at": self.snapshot_at.isoformat(), "sealed_at": self.sealed_at.isoformat()}
        return json.dumps({**asdict(self), **times}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that a backup needs. One that was marked as damaged is not copied."""

    name: str
    size: int
    digest: Digest
    is_damaged: bool


def new_name(now: datetime | None = None) -> str:
    """Makes a name by the clock, so that they sort: by the second, and behind it by the microsecond and by chance."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{moment.microsecond:05x}{secrets.randbelow(16):x}"


def time_of(name: str) -> datetime:
    """Returns when the attempt of that name began. Raises ValueError if no backup has such a name."""
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def rows_name(backup: str, table: str) -> str:
    return f"{BACKUPS}{backup}/rows/{table}.gz"


def objects_name(backup: str) -> str:
    return f"{BACKUPS}{backup}/objects.gz"


def seal_name(backup: str) -> str:
    return f"{BACKUPS}{backup}/backup.json"


class Packing:
    """A sink for rows, which packs them into an object. Raises what the object's writer does."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        self._hash = hashlib.sha256()
        self._kept: list[bytes] = []
        self._kept_bytes = self._rows = self._bytes = 0

    def write(self, row: bytes) -> None:
        self._kept.append(row)
        self._kept_bytes += len(row)
        self._rows += 1
        if self._kept_bytes >= _PIECE_BYTES:
            self._pack()

    def _pack(self) -> None:
        self._put(self._packer.compress(b"".join(self._kept)))
        self._kept, self._kept_bytes = [], 0

    def _put(self, packed: bytes) -> None:
        self._hash.update(packed)
        self._bytes += len(packed)
        if packed:
            self._writer.write(packed)

    def end(self, columns: list[str] | None = None) -> Part:
        self._pack()
        self._put(self._packer.flush())
        self._writer.close()
        return Part(self._rows, self._bytes, self._hash.hexdigest(), columns or [])


def pack(store: Store, name: str, copy: Callable[[Packing], None], columns: list[str] | None = None) -> Part:
    """Writes what `copy` puts into the sink as an object of that name."""
    writer = store.create(name)
    try:
        packing = Packing(writer)
        copy(packing)
        return packing.end(columns)
    except BaseException:
        writer.cancel()
        raise


def unpack(store: Store, name: str, part: Part | None = None) -> Iterator[bytes]:
    """Gives what a part holds. Raises BackupInvalid, at its end at the latest, if it isn't what it was."""
    unpacker, found = zlib.decompressobj(_GZIP), hashlib.sha256()
    try:
        for piece in store.read(name):
            found.update(piece)
            if unpacked := unpacker.decompress(piece):
                yield unpacked
    except ObjectMissing as error:
        raise BackupInvalid(f"{name} is not there") from error
    except zlib.error as error:
        raise BackupInvalid(f"{name} can't be unpacked: {error}") from error
    if not unpacker.eof or (part is not None and found.hexdigest() != part.sha256):
        raise BackupInvalid(f"{name} is not what it was when the backup was sealed")


def entries(store: Store, backup: str, part: Part | None = None) -> Iterator[Entry]:
    """The objects that a backup needs, in the order of their names. Raises BackupInvalid."""
    rest = b""
    for piece in unpack(store, objects_name(backup), part):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(entry_of, lines)


def entry_of(line: bytes) -> Entry:
    """Reads a line of the list, as COPY writes it."""
    name, size, digest, is_damaged = line.decode().split("\t")
    return Entry(name, int(size), Digest.from_bytes(bytes.fromhex(digest)), is_damaged == "t")


def read_seal(store: Store, backup: str) -> Seal:
    """Raises BackupInvalid where there is none, or none that this release knows."""
    try:
        document: dict[str, Any] = json.loads(b"".join(store.read(seal_name(backup))))
        if document["format"] != FORMAT:
            raise BackupInvalid(f"{backup} is of format {document['format']}, which a later release writes")
        return Seal(
            **{
                **document,
                "snapshot_at": datetime.fromisoformat(document["snapshot_at"]),
                "sealed_at": datetime.fromisoformat(document["sealed_at"]),
                "tables": {table: Part(**part) for table, part in document["tables"].items()},
                "objects": Part(**document["objects"]),
            }
        )
    except ObjectMissing as error:
        raise BackupInvalid(f"{backup} has no seal: it was cut short, or is not there") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupInvalid(f"the seal of {backup} can't be read: {error}") from error


def write(store: Store, name: str, content: bytes) -> None:
    writer = store.create(name)
    try:
        writer.write(content)
        writer.close()
    except BaseException:
        writer.cancel()
        raise


def names(store: Store) -> list[str]:
    """Returns the names of all attempts there, sealed or not, the eldest first."""
    found = (each.removeprefix(BACKUPS).rstrip("/") for each in store.folders(BACKUPS))
    return sorted(name for name in found if _is_name(name))


def is_sealed(store: Store, backup: str) -> bool:
    return store.find(seal_name(backup)) is not None


def _is_name(name: str) -> bool:
    try:
        time_of(name)
    except ValueError:
        return False
    return True
