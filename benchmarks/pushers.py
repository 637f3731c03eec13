"""Clients that push one manifest after the other, and databases for them, with an api in front of each."""

from __future__ import annotations

import functools
import hashlib
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from functions.migrate.schema import upgrade
from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from local import programs
from local.guard import HOST, choose_port
from local.postgres import Postgres
from local.processes import Children
from local.programs import Data

LAYERS: Final = 8
_START_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 120

# All that counts or describes, and the indexes that lists are sorted by.
_WITHOUT: Final = """
    DO $$ DECLARE it record; BEGIN
        FOR it IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger
                   WHERE NOT tgisinternal AND tgname ~ '^(count|describe|untagged)' LOOP
            EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.relation);
        END LOOP;
        FOR it IN SELECT indexrelid::regclass AS index FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                   WHERE relname ~ '^(tags_(size|updated|pulled|pulls)|(repository|namespace)_usage_\\w+)$'
                     AND NOT indisprimary LOOP
            EXECUTE format('DROP INDEX %s', it.index);
        END LOOP;
    END $$
"""
_BLOBS: Final = """
    INSERT INTO blobs (digest, size, object_name) SELECT '\\x01' || sha256(int4send(n)), 1000, 'bench/' || n
      FROM generate_series(0, 8) AS n;
"""
_LINKS: Final = """
    INSERT INTO namespaces (name) VALUES ('{namespace}') ON CONFLICT DO NOTHING;
    INSERT INTO repositories (namespace_id, name) SELECT id, '{name}' FROM namespaces WHERE name = '{namespace}';
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repositories.id, digest, size FROM blobs, repositories WHERE repositories.name = '{name}'
"""


def blob(number: int) -> dict[str, Any]:
    digest = hashlib.sha256(number.to_bytes(4, "big")).hexdigest()
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{digest}", "size": 1000}


@dataclass
class Pusher:
    """Pushes one new image after the other, each with a tag of its own, into one repository. Its blobs are there."""

    database: Database
    repository: RepositoryName
    pushed: int = 0
    seconds: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        sql = _LINKS.format(namespace=self.repository.namespace, name=self.repository)
        with self.database._pool.connection(may_block=False) as connection:  # noqa: SLF001  # nothing of the registry links so fast
            connection.simple(sql)

    def push(self) -> None:
        self.pushed += 1
        payload = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {**blob(0), "mediaType": "application/vnd.oci.image.config.v1+json"},
                "layers": [blob(number) for number in range(1, LAYERS + 1)],
                "annotations": {"number": f"{self.repository} {self.pushed}"},
            }
        ).encode()
        started = time.perf_counter()
        self.put(payload, f"t{self.pushed}")
        self.seconds.append(time.perf_counter() - started)

    def put(self, payload: bytes, tag: str) -> None:
        """Into the metadata, without the api in front."""
        push = Push(self.repository, Digest.of(payload), parse_manifest(payload, None), payload, [Tag(tag)])
        pushes.put(self.database, push)


class HttpPusher(Pusher):
    """Through the api, over a connection that is kept."""

    def __init__(self, database: Database, repository: RepositoryName, port: int) -> None:
        super().__init__(database, repository)
        self._connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)

    def put(self, payload: bytes, tag: str) -> None:
        path = f"/v2/{self.repository}/manifests/{tag}"
        self._connection.request("PUT", path, payload, {"Content-Type": OCI_MANIFEST})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != http.HTTPStatus.CREATED:
            raise RuntimeError(f"a push was answered {answer.status}")


@dataclass(frozen=True)
class Place:
    """A database, and the port of an api in front of it."""

    url: str
    port: int


@contextmanager
def places(folder: Path) -> Iterator[dict[str, Place]]:
    """Two on one server, with all counting and without any."""
    server = Postgres(folder / "data")
    children = Children()
    try:
        child = children.start(server.prepare())
        children.wait_until(child, server.is_ready, _START_SECONDS)
        urls = {name: server.url(name) for name in ("with", "without")}
        for name, url in urls.items():
            _simple(server.url(), f'CREATE DATABASE "{name}"')
            upgrade(url)
            _simple(url, _BLOBS)
        _simple(urls["without"], _WITHOUT)
        made = {name: Place(url, choose_port(0)) for name, url in urls.items()}
        for name, place in made.items():
            data = Data(folder / name)
            data.folder.mkdir()
            api = children.start(programs.function("api", data, place.port, _environment(place.url)))
            children.wait_until(api, functools.partial(_answers, place.port), _START_SECONDS)
        yield made
    finally:
        children.stop()


def _environment(url: str) -> dict[str, str]:
    signer = {"SLIPWAY_SIGNER": "hmac", "SLIPWAY_SIGNER_IDENTITY": "nobody", "SLIPWAY_SIGNER_SECRET": "none"}
    return {
        **programs.base_environment(),
        "SLIPWAY_ACCESS": "open",
        "SLIPWAY_DATABASE": url,
        "SLIPWAY_BUCKET": "none",
        **signer,
    }


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PATIENCE_SECONDS)
    with suppress(OSError):
        connection.request("GET", "/v2/")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def _simple(url: str, sql: str) -> None:
    connection = Connection(url)
    connection.simple(sql)
    connection.close()
