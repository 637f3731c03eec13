"""Damages a registry behind its back: objects in the bucket, and rows past all triggers and foreign keys."""

from __future__ import annotations

import os
import uuid
from contextlib import closing
from typing import Any
from urllib.parse import quote

import requests

from functions.migrate import work
from functions.registry.blobs.gcs import new_object_name
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.checks import Check
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services
from tests.metadata.build import query, value
from tests.support import Registry


class Vandal:
    def __init__(self, registry: Registry, storage_address: str) -> None:
        self.registry = registry
        self._bucket = f"{storage_address}/storage/v1/b/{registry.services.settings.bucket}/o"
        self._upload = f"{storage_address}/upload/storage/v1/b/{registry.services.settings.bucket}/o"
        self._session = requests.Session()

    # Objects.

    def object_of(self, digest: Digest) -> str:
        sql = "SELECT object_name FROM blobs WHERE digest = :digest"
        return str(value(self.registry.services.database, sql, digest=digest.to_bytes()))

    def content(self, name: str) -> bytes:
        answer = self._session.get(f"{self._bucket}/{quote(name, safe='')}?alt=media", timeout=30)
        answer.raise_for_status()
        return answer.content

    def take(self, name: str) -> None:
        self._session.delete(f"{self._bucket}/{quote(name, safe='')}", timeout=30).raise_for_status()

    def put(self, name: str, content: bytes) -> None:
        query = f"uploadType=media&name={quote(name, safe='')}"
        self._session.post(f"{self._upload}?{query}", data=content, timeout=30).raise_for_status()

    def cut(self, name: str) -> None:
        """The object has a byte less."""
        self.put(name, self.content(name)[:-1])

    def swap(self, name: str) -> None:
        """The object has as many other bytes."""
        self.put(name, bytes(byte ^ 1 for byte in self.content(name)))

    def litter(self, content: bytes = b"nobody's") -> str:
        """An object that no row names."""
        name = new_object_name(uuid.UUID(bytes=os.urandom(16)))
        self.put(name, content)
        return name

    # Rows.

    def run(self, sql: str, **values: int | str) -> None:
        """Past all triggers and foreign keys, with `{name}` filled."""
        with closing(Connection(self.registry.services.settings.database)) as connection:
            connection.simple(f"SET session_replication_role = replica; {sql.format(**values)}")

    def manifest_id(self, digest: Digest) -> int:
        sql = "SELECT id FROM manifests WHERE digest = :digest"
        return int(value(self.registry.services.database, sql, digest=digest.to_bytes()))

    def query(self, sql: str, **values: Any) -> list[Any]:
        return list(query(self.registry.services.database, sql, **values))

    # What is found.

    def check(self, **options: Any) -> Check:
        """A check from its beginning to its end."""
        return check(self.registry.services, **options)

    def found(self) -> set[tuple[str, str]]:
        """Kind and subject of all that is open."""
        return {
            (each.kind, each.subject) for each in findings.list_open(self.registry.services.database, None, 0, 10**6)
        }


def check(services: Services, **options: Any) -> Check:
    started = checks.start(services.database, "tester", options)
    while work.run(services):
        pass
    ended = checks.get(services.database, started.id)
    assert ended is not None
    assert ended.state != "running"
    return ended
