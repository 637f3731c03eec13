"""Which buckets and objects there are: the rows behind them."""

import json
from typing import Final

from local.storage.calls import Document
from local.storage.database import Database

LIVE_PAGE: Final = """
    SELECT name, resource
      FROM objects
     WHERE bucket = ? AND is_live = 1 AND name >= ?
     ORDER BY name
     LIMIT ?"""


class Catalog:
    """Buckets and objects as documents. Rules are the store's; this only keeps rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def buckets(self) -> list[Document]:
        return [json.loads(text) for (text,) in self._database.rows("SELECT resource FROM buckets ORDER BY name")]

    def bucket(self, name: str) -> Document | None:
        return _document(self._database.first("SELECT resource FROM buckets WHERE name = ?", name))

    def add_bucket(self, bucket: Document) -> bool:
        """Returns False when the name is taken."""
        statement = "INSERT INTO buckets VALUES (?, ?) ON CONFLICT DO NOTHING"
        return self._database.change(statement, bucket["name"], json.dumps(bucket)) == 1

    def update_bucket(self, bucket: Document) -> None:
        self._database.change("UPDATE buckets SET resource = ? WHERE name = ?", json.dumps(bucket), bucket["name"])

    def remove_bucket(self, name: str) -> None:
        """The bucket goes, and with it what was soft-deleted in it."""
        self._database.change("DELETE FROM objects WHERE bucket = ?", name)
        self._database.change("DELETE FROM buckets WHERE name = ?", name)

    def is_empty(self, bucket: str) -> bool:
        statement = "SELECT 1 FROM objects WHERE bucket = ? AND is_live = 1 LIMIT 1"
        return self._database.first(statement, bucket) is None

    def live(self, bucket: str, name: str) -> Document | None:
        """Returns the object as a read would find it now."""
        statement = "SELECT resource FROM objects WHERE bucket = ? AND name = ? AND is_live = 1"
        return _document(self._database.first(statement, bucket, name))

    def soft_deleted(self, bucket: str, name: str, generation: int) -> Document | None:
        statement = """
            SELECT resource FROM objects
             WHERE bucket = ? AND name = ? AND generation = ? AND is_live = 0"""
        return _document(self._database.first(statement, bucket, name, generation))

    def add(self, resource: Document) -> None:
        """Insert a live object; its name must be free."""
        self._database.change(
            "INSERT INTO objects VALUES (?, ?, ?, 1, ?)",
            int(resource["generation"]),
            resource["bucket"],
            resource["name"],
            json.dumps(resource),
        )

    def update(self, resource: Document, *, is_live: bool) -> None:
        self._database.change(
            "UPDATE objects SET resource = ?, is_live = ? WHERE generation = ?",
            json.dumps(resource),
            is_live,
            int(resource["generation"]),
        )

    def remove(self, resource: Document) -> None:
        self._database.change("DELETE FROM objects WHERE generation = ?", int(resource["generation"]))

    def has_generation(self, generation: str) -> bool:
        """Says whether an object, live or soft-deleted, has this generation."""
        statement = "SELECT 1 FROM objects WHERE generation = CAST(? AS INTEGER)"
        return self._database.first(statement, generation) is not None

    def newest_generation(self) -> int:
        return int(self._database.first("SELECT coalesce(max(generation), 0) FROM objects")[0])

    def live_page(self, bucket: str, start: str, count: int) -> list[tuple[str, str]]:
        """Returns up to `count` names from `start` on, in byte order, with their resources as JSON text."""
        return self._database.rows(LIVE_PAGE, bucket, start, count)

    def all_soft_deleted(self, bucket: str, start: str) -> list[tuple[str, str]]:
        statement = """
            SELECT name, resource FROM objects
             WHERE bucket = ? AND is_live = 0 AND name >= ?
             ORDER BY name, generation"""
        return self._database.rows(statement, bucket, start)


def _document(row: tuple[str] | None) -> Document | None:
    if row is None:
        return None
    document: Document = json.loads(row[0])
    return document
