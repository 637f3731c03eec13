"""A few dozen repositories and tags with figures of all kinds, many of them alike; and what is known of each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Database
from functions.registry.metadata.usage import trends, untagged
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import put, query
from tests.support import encode

NAMESPACES: Final = ("ash", "beech", "cedar")
MANY_TAGS: Final = RepositoryName("ash/tags")
_LAYER_SIZES: Final = (0, 10, 10, 500)

_SET_REPOSITORY: Final = """
    UPDATE repository_usage
       SET pulls = :pulls, untagged = CAST(:untagged AS bigint), untagged_bytes = 10 * CAST(:untagged AS bigint),
           pushed_at = date '2026-01-01' + CAST(:pushed AS int),
           pulled_at = CASE WHEN CAST(:pulled AS int) = 0 THEN '-infinity' ELSE date '2026-01-01' + CAST(:pulled AS int)
                       END
     WHERE repository_id = (SELECT id FROM repositories WHERE name = :name)
"""
_SET_TAG: Final = """
    UPDATE tags
       SET pulls = :pulls, updated_at = date '2026-01-01' + CAST(:pushed AS int),
           pulled_at = CASE WHEN CAST(:pulled AS int) = 0 THEN '-infinity' ELSE date '2026-01-01' + CAST(:pulled AS int)
                       END
     WHERE name = :name
"""
_SETTLED: Final = """
    UPDATE namespace_usage AS usage
       SET tags = totals.tags, repositories = totals.repositories, manifest_bytes = totals.manifest_bytes,
           pushed_at = date '2026-01-01' + CAST(usage.namespace_id % 2 AS int), pulls = usage.namespace_id % 2
      FROM namespace_totals AS totals WHERE totals.namespace_id = usage.namespace_id
"""
_REPOSITORIES: Final = """
    SELECT repositories.name, id, bytes, pushed_at, pulled_at, pulls, tags, untagged_bytes
      FROM repositories JOIN repository_usage ON repository_id = id WHERE manifests > 0
"""
_NAMESPACES: Final = """
    SELECT name, id, bytes, pushed_at, pulled_at, pulls, tags, repositories
      FROM namespaces JOIN namespace_usage ON namespace_id = id
"""
_TAGS: Final = "SELECT name, name, size, updated_at, pulled_at, pulls FROM tags"
_ORDERS: Final = ("size", "pushed", "pulled", "pulls", "tags", "untagged")


@dataclass(frozen=True)
class Known:
    """What there is: each with its name, what breaks a tie, and what it is sorted by."""

    rows: list[tuple[str, Any, dict[str, Any]]]

    def sorted_by(self, order: str, *, descending: bool = False) -> list[str]:
        def key(row: tuple[str, Any, dict[str, Any]]) -> tuple[Any, Any]:
            name, tie, values = row
            return (name, tie) if order == "name" else (values[order], tie)

        return [row[0] for row in sorted(self.rows, key=key, reverse=descending)]


def manifest(number: int, layer: int = 0, **more: Any) -> bytes:
    """Without a blob that would have to be there."""
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    layers = [{"mediaType": foreign, "digest": f"sha256:{number:064x}", "size": layer}]
    return encode({"schemaVersion": 2, "annotations": {"number": f"{number:04}"}, "layers": layers, **more})


def fill_repositories(database: Database, count: int = 36) -> None:
    """In three namespaces, and some that are namespaces by themselves; one of them empty."""
    chance = random.Random(7)  # noqa: S311  # a test's chance, which can be repeated
    for number in range(count):
        name = RepositoryName(f"{NAMESPACES[number % 3]}/r{number:02}" if number % 9 else f"single{number:02}")
        for extra in range(1 + number % 3):
            put(database, name, manifest(100 * extra + number), *(f"v{tag}" for tag in range(number % 4)))
        query(database, _SET_REPOSITORY, name=name, **_figures(chance), untagged=chance.randrange(3))
    empty = "INSERT INTO repositories (namespace_id, name) SELECT id, 'ash/empty' FROM namespaces WHERE name = 'ash'"
    query(database, empty)
    query(database, _SETTLED)


def fill_tags(database: Database, count: int = 30) -> None:
    chance = random.Random(8)  # noqa: S311  # as above
    for number in range(count):
        tag = f"{'v' if number % 2 else 'release-'}{number:02}"
        put(database, MANY_TAGS, manifest(number, _LAYER_SIZES[number % 4]), tag)
        query(database, _SET_TAG, name=tag, **_figures(chance))


def collect(database: Database) -> None:
    """What a GC run does about figures that are not kept at once."""
    for (repository_id,) in query(
        database, "SELECT repository_id FROM repository_usage WHERE untagged_scan_due ORDER BY 1"
    ):
        untagged.scan(database, repository_id)
    while trends.add_up(database, 4):
        pass


def _figures(chance: random.Random) -> dict[str, int]:
    return {name: chance.randrange(4) for name in ("pulls", "pushed", "pulled")}


def known_repositories(database: Database) -> Known:
    return _known(database, _REPOSITORIES, _ORDERS)


def known_namespaces(database: Database) -> Known:
    return _known(database, _NAMESPACES, (*_ORDERS[:5], "repositories"))


def known_tags(database: Database) -> Known:
    return _known(database, _TAGS, _ORDERS[:4])


def _known(database: Database, sql: str, orders: tuple[str, ...]) -> Known:
    # Never pulled is a text where it is read; as one it sorts before all years.
    return Known(
        [
            (
                name,
                tie,
                {
                    order: str(value) if order in ("pushed", "pulled") else value
                    for order, value in zip(orders, values, strict=True)
                },
            )
            for name, tie, *values in query(database, sql)
        ]
    )
