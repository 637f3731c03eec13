"""Fills a database with a registry of any size, to try lists, figures and GC runs on: a million tags in minutes.

Rows are copied in past triggers and foreign keys; they are what pushes would have left, down to the last counter. The
manifests can be pulled; their blobs are known, but lie in no bucket.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.driver import Connection
from local import seed_figures
from local.seed_content import TABLES, Content, Repository

# How much is gathered before it is sent.
_BUFFER_BYTES: Final = 16 << 20
_PROGRESS_SECONDS: Final = 5
_REPOSITORIES_PER_NAMESPACE: Final = 40
_DEPARTMENTS: Final = (
    "orders", "billing", "warehouse", "mobile", "search", "ledger", "support", "analytics", "media", "logistics",
    "pricing", "messaging",
)  # fmt: skip
_WORDS: Final = ("api", "web", "worker", "jobs", "tools", "proxy", "batch", "search", "sync", "report")

_BEGIN: Final = """
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    BEGIN;
    SET LOCAL session_replication_role = replica
"""

# Objects of runs are told apart by it.
_NEXT_RUN: Final = """
    SELECT coalesce(max(CAST(split_part(object_name, '/', 2) AS int)), 0) + 1 FROM blobs
     WHERE object_name >= 'seed/' AND object_name < 'seed0'
"""

_TAKEN: Final = "SELECT name FROM namespaces WHERE name = ANY (CAST(:names AS text[]))"

_ADD_NAMESPACES: Final = "INSERT INTO namespaces (name) SELECT unnest(CAST(:names AS text[])) RETURNING id"

_ADD_REPOSITORIES: Final = """
    INSERT INTO repositories (namespace_id, name, created_at)
    SELECT namespace, name, now() - interval '701 days'
      FROM unnest(CAST(:namespaces AS bigint[]), CAST(:names AS text[])) AS new (namespace, name)
    RETURNING id
"""

# Whoever pushes meanwhile is given the numbers behind.
_RESERVE: Final = """
    SELECT first, setval(pg_get_serial_sequence('manifests', 'id'), first + :count)
      FROM (SELECT nextval(pg_get_serial_sequence('manifests', 'id')) AS first) AS reserved
"""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was added; `largest` is the name of the repository with the most tags."""

    namespaces: int
    repositories: int
    tags: int
    manifests: int
    largest: str
    seconds: float


class _Copying:
    """Rows on their way, table by table."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[str, list[str]] = defaultdict(list)
        self._size = 0

    def write(self, table: str, row: str) -> None:
        self._rows[table].append(row)
        self._size += len(row)
        if self._size > _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        for table, rows in self._rows.items():
            copy = f"COPY {table} ({TABLES[table]}) FROM STDIN"
            self._connection._driver.run(copy, stream=iter(["".join(rows)]))  # noqa: SLF001  # nothing else copies
        self._rows.clear()
        self._size = 0


def seed(url: str, tags: int, repositories: int, largest: int, progress: Callable[[str], object] = print) -> Seeded:
    """Adds so many tags in so many repositories, one of which has `largest` of them.

    All in one transaction: broken off, it leaves nothing. Raises ValueError if the numbers don't fit together, and
    what a connection raises.
    """
    shares = _shares(tags, repositories, largest)
    started = time.monotonic()
    connection = Connection(url)
    with closing(connection), connection.patient():
        connection.simple(_BEGIN)
        seeded = _fill(connection, shares, progress)
        connection.simple("COMMIT")
        progress("taking statistics …")
        connection.simple(seed_figures.ANALYZE)
    return Seeded(*seeded, seconds=time.monotonic() - started)


def _shares(tags: int, repositories: int, largest: int) -> list[int]:
    """Returns the tags of each repository, the largest first: a few have many, most have few."""
    rest = repositories - 1
    if rest < 0 or largest < 1 or tags - largest < rest or (rest == 0 and tags != largest):
        raise ValueError("every repository has a tag, and the largest has no more than there are")
    weights = [number**-0.7 for number in range(1, repositories)]
    total = sum(weights)
    shares = [1 + int((tags - largest - rest) * weight / total) for weight in weights]
    for number in range(tags - largest - sum(shares)):
        shares[number % rest] += 1
    return [largest, *shares]


def _fill(
    connection: Connection, shares: Sequence[int], progress: Callable[[str], object]
) -> tuple[int, int, int, int, str]:
    run = _rows(connection, _NEXT_RUN)[0][0]
    namespaces = _free_namespaces(connection, -(-len(shares) // _REPOSITORIES_PER_NAMESPACE))
    namespace_ids = [row[0] for row in _rows(connection, _ADD_NAMESPACES, names=namespaces)]
    owners = [number % len(namespaces) for number in range(len(shares))]
    names = [_name(namespaces[owner], number) for number, owner in enumerate(owners)]
    ids = _rows(connection, _ADD_REPOSITORIES, namespaces=[namespace_ids[owner] for owner in owners], names=names)
    first = _rows(connection, _RESERVE, count=4 * sum(shares) + 1000)[0][0]
    copying = _Copying(connection)
    content = Content(run, first, time.time(), copying.write)
    said = time.monotonic()
    done = 0
    for share, owner, (repository_id,) in zip(shares, owners, ids, strict=True):
        for count in content.add(Repository(repository_id, namespace_ids[owner], share)):
            if time.monotonic() - said > _PROGRESS_SECONDS:
                said = time.monotonic()
                progress(f"{done + count:,} of {sum(shares):,} tags")
        done += share
    copying.flush()
    progress("adding up …")
    for statement in seed_figures.STATEMENTS:
        _rows(connection, statement, namespaces=namespace_ids, objects=f"seed/{run}/")
    return len(namespaces), len(shares), sum(shares), content.next_manifest - first, names[0]


def _free_namespaces(connection: Connection, count: int) -> list[str]:
    """Returns as many names as are needed, that no namespace has yet."""
    found: list[str] = []
    series = 1
    while len(found) < count:
        names = [name if series == 1 else f"{name}-{series}" for name in _DEPARTMENTS]
        taken = {row[0] for row in _rows(connection, _TAKEN, names=names)}
        found += [name for name in names if name not in taken]
        series += 1
    return found[:count]


def _name(namespace: str, number: int) -> str:
    word = _WORDS[number % len(_WORDS)]
    group = f"team-{number % 7}/" if number % 3 == 0 else ""
    return f"{namespace}/{group}{word}-{number:05d}"


def _rows(connection: Connection, sql: str, **values: Any) -> list[list[Any]]:
    used = {name: value for name, value in values.items() if f":{name}" in sql}
    return connection.run([(sql, used)])[0].rows
