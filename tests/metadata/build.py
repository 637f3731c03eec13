"""What the tests of the metadata stand on: rows made as the registry makes them, and other clients in the way."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar

from functions.registry.metadata.content import commits, pushes, upload_parts, uploads
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.content.upload_parts import Part
from functions.registry.metadata.content.uploads import Upload
from functions.registry.metadata.db import Call, Database, Session
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from tests.support import Image, descriptor, encode, index_of

Answer = TypeVar("Answer")

APP: Final = RepositoryName("team/app")
OTHER: Final = RepositoryName("team/other")
HOUR: Final = 3600
_objects: Final = itertools.count(1)
_parts: Final[dict[uuid.UUID, list[str]]] = {}
_PATIENCE_SECONDS: Final = 60


class Overtaken(AssertionError):
    """Another client moved the repository, or deleted it, in the middle of a push."""


def query(database: Database, sql: str, **values: Any) -> list[list[Any]]:
    """Rows as they lie in the tables, for what no function of the registry tells."""
    with database._pool.connection(may_block=False) as connection:
        return connection.run([(sql, values)])[0].rows


def value(database: Database, sql: str, **values: Any) -> Any:
    """The only value of the only row."""
    ((only,),) = query(database, sql, **values)
    return only


def deadlocks(database: Database) -> int:
    """Returns how many the server has ended in this database; sessions tell of theirs as soon as they are idle."""
    query(database, "SELECT pg_stat_force_next_flush()")
    return int(value(database, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))


def set_grace(database: Database, **hours: float) -> None:
    for event, grace in hours.items():
        query(
            database,
            "UPDATE gc_settings SET grace = make_interval(secs => :seconds) WHERE event = :event",
            seconds=grace * HOUR,
            event=event,
        )


def pass_time(database: Database, hours: float) -> None:
    """Everything that waits has waited for so much longer."""
    for table, column in (
        ("manifest_reviews", "review_after"),
        ("tag_reviews", "review_after"),
        ("link_reviews", "review_after"),
        ("blob_reviews", "review_after"),
        ("deletions", "not_before"),
        ("uploads", "expires_at"),
        ("withdrawn_manifests", "until"),
        ("repositories", "deleted_until"),
    ):
        query(database, f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s)", s=hours * HOUR)  # noqa: S608


def new_object() -> str:
    return f"objects/{next(_objects)}"


def start_upload(database: Database, repository: RepositoryName = APP) -> Upload:
    upload_id = uploads.start(database, repository, "sha256", HOUR)
    upload = uploads.get(database, repository, upload_id)
    if upload is None:
        raise Overtaken
    return upload


def write_part(database: Database, upload: Upload, size: int = 10) -> Upload:
    """The upload with one more object of `size` bytes."""
    part = Part(new_object(), size, "sha256", b"state")
    if not upload_parts.name_object(database, upload, part.object_name):
        raise Overtaken
    advanced = upload_parts.advance(database, upload, part, HOUR)
    if advanced is None:
        raise Overtaken
    _parts.setdefault(upload.id, []).append(part.object_name)
    return advanced


def parts_of(upload: Upload) -> list[str]:
    """The objects that `write_part` has written for it, in order."""
    return _parts.get(upload.id, [])


def push_blob(database: Database, repository: RepositoryName, content: bytes) -> Digest:
    upload = write_part(database, start_upload(database, repository), len(content))
    digest = Digest.of(content)
    if not commit_part(database, repository, upload, digest):
        raise Overtaken
    return digest


def commit_part(database: Database, repository: RepositoryName, upload: Upload, digest: Digest) -> bool:
    """Commits an upload of one part as the registry does, in a bucket from which nothing is ever lost."""
    (object_name,) = parts_of(upload)
    committed = commits.commit(database, repository, upload, digest, object_name)
    if not committed.is_done and committed.object_name is not None:
        committed = commits.commit(database, repository, upload, digest, object_name, committed.object_name)
    return committed.is_done


def put(database: Database, repository: RepositoryName, payload: bytes, *tags: str, rank: int = 0) -> Digest:
    """The manifest alone; its blobs and children must be there."""
    digest = Digest.of(payload)
    push = Push(repository, digest, parse_manifest(payload, None), payload, [Tag(tag) for tag in tags], rank=rank)
    pushes.put(database, push)
    return digest


def push_image(database: Database, repository: RepositoryName, *tags: str, image: Image | None = None) -> Image:
    image = image or Image()
    for content in image.blobs:
        push_blob(database, repository, content)
    put(database, repository, image.manifest, *tags)
    return image


def push_index(database: Database, repository: RepositoryName, *tags: str, of: list[Image]) -> Digest:
    return put(database, repository, index_of(*(image.manifest for image in of)), *tags)


def signature_of(subject: bytes, artifact_type: str = "application/vnd.example.signature", **more: Any) -> Image:
    """An image that refers to `subject`."""
    return Image(more={"artifactType": artifact_type, "subject": descriptor(subject), **more})


def artifact_of(subject: bytes, **more: Any) -> bytes:
    """A manifest without blobs that refers to `subject`."""
    return encode({"schemaVersion": 2, "subject": descriptor(subject), **more})


_END_OTHERS: Final = f"""
    SELECT pg_terminate_backend(pid, {1000 * _PATIENCE_SECONDS}) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
"""  # noqa: S608  # a number


@contextmanager
def setting(url: str, name: str, to: str) -> Iterator[None]:
    """Holds for the sessions on that database in the block: those before it are ended, and so are those in it."""
    database = url.partition("@/")[2].partition("?")[0]
    connection = Connection(url)
    connection.simple(f"ALTER DATABASE {database} SET {name} = '{to}'; {_END_OTHERS}")
    try:
        yield
    finally:
        connection.simple(f"ALTER DATABASE {database} RESET {name}; {_END_OTHERS}")
        connection.close()


class OpenTransaction(Database):
    """Another client, in the middle of a transaction that ends with `commit`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, size=1)
        self._held = Connection(url)

    def __enter__(self) -> Self:
        self._held.simple("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _run(self, work: Callable[[Session], Answer], calls: Sequence[Call[Any]] = ()) -> Answer:  # noqa: ARG002  # it has its connection
        return work(Session(self._held))

    def run(self, sql: str, **values: Any) -> None:
        self._held.run([(sql, values)])

    def commit(self) -> None:
        self._held.simple("COMMIT")

    def rollback(self) -> None:
        self._held.simple("ROLLBACK")


def wait_until_blocked(database: Database, sessions: int = 1) -> None:
    """Waits until so many sessions of clients wait for a lock."""
    waiting = """SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'"""
    wait_until(lambda: value(database, waiting) == sessions)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
