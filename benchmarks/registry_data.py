"""Registries of any size, written straight into the tables, where a manifest costs a tenth of a millisecond.

Triggers and foreign keys are off meanwhile; what a GC run looks at is as the registry would have left it.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from functions.registry.metadata.driver import Connection
from local.guard import HOST
from local.programs import BUCKET, Data
from local.storage import checksums, resources
from local.storage.store import Content, Store

REPOSITORIES: Final = 64
TAGS: Final = 1000
# A statement may take half a minute.
_AT_ONCE: Final = 50_000
_UPLOADS_AT_ONCE: Final = 8
# Of one file: a file can't have any number of names.
_OBJECTS_AT_ONCE: Final = 10_000

_REPOSITORIES: Final = f"""
    INSERT INTO namespaces (name) VALUES ('bench');
    INSERT INTO repositories (namespace_id, name)
    SELECT namespaces.id, 'bench/' || number FROM namespaces, generate_series(0, {REPOSITORIES - 1}) AS number;
    CREATE FUNCTION bench_digest(kind "char", number bigint) RETURNS bytea IMMUTABLE LANGUAGE sql
        AS $$ SELECT '\\x01'::bytea || sha256(int8send(number) || charsend(kind)) $$;
    CREATE TABLE bench_repositories AS
        SELECT CAST(row_number() OVER (ORDER BY id) - 1 AS bigint) AS ordinal, id, namespace_id FROM repositories;
"""  # noqa: S608  # our own numbers

# Manifest n is in repository n % 64 and names one blob, which it shares with the four before or after it there.
_FILL: Final = """
    SET session_replication_role = replica;
    INSERT INTO blobs (digest, size, object_name)
    SELECT bench_digest('b', blob), 1000, 'bench/' || blob FROM generate_series({first_blob}, {last_blob}) AS blob;
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repository.id, bench_digest('b', blob), 1000
      FROM generate_series({first_blob}, {last_blob}) AS blob
      JOIN bench_repositories AS repository ON repository.ordinal = blob % 64;
    INSERT INTO namespace_blobs (namespace_id, digest, size, links)
    SELECT repository.namespace_id, bench_digest('b', blob), 1000, 1
      FROM generate_series({first_blob}, {last_blob}) AS blob
      JOIN bench_repositories AS repository ON repository.ordinal = blob % 64;
    INSERT INTO manifests (id, repository_id, digest, media_type, payload) OVERRIDING SYSTEM VALUE
    SELECT number + 1, repository.id, bench_digest('m', number), 'application/vnd.oci.image.manifest.v1+json', '\\x7b7d'
      FROM generate_series({first}, {last}) AS number
      JOIN bench_repositories AS repository ON repository.ordinal = number % 64;
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT number + 1, repository.id, bench_digest('b', number / 320 * 64 + number % 64)
      FROM generate_series({first}, {last}) AS number
      JOIN bench_repositories AS repository ON repository.ordinal = number % 64;
    SET session_replication_role = origin;
"""

_TAG: Final = """
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT repository_id, 'tag-' || row_number() OVER (ORDER BY id), id
      FROM manifests
     WHERE repository_id = (SELECT id FROM bench_repositories WHERE ordinal = 0)
     ORDER BY id LIMIT {count}
"""

# As pushes leave them: triggers queue the links; then a day passes.
_DANGLING: Final = """
    INSERT INTO blobs (digest, size, object_name)
    SELECT bench_digest('d', number), 1000, 'dangling/' || number
      FROM generate_series({first}, {last}) AS number;
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repository.id, bench_digest('d', number), 1000
      FROM generate_series({first}, {last}) AS number
      JOIN bench_repositories AS repository ON repository.ordinal = number % 64;
    UPDATE link_reviews SET review_after = now() - interval '1 hour';
"""


# What triggers would have counted.
_SETTLED: Final = """
    UPDATE repository_usage AS usage
       SET manifests = held.manifests, manifest_bytes = held.bytes, blobs = linked.blobs, blob_bytes = linked.bytes
      FROM (SELECT repository_id, count(*) AS manifests, sum(length(payload)) AS bytes
              FROM manifests GROUP BY 1) AS held
      JOIN (SELECT repository_id, count(*) AS blobs, sum(size) AS bytes FROM repository_blobs GROUP BY 1) AS linked
           USING (repository_id)
     WHERE usage.repository_id = held.repository_id
"""


def put_objects(data: Path, names: Sequence[str], bucket: str = BUCKET) -> None:
    """Objects of a byte each, written as the store keeps them, before it is started: a hundred thousand in seconds."""
    store = Store(Data(data).storage)
    store.catalog.add_bucket(resources.new_bucket({"name": bucket}))
    for first in range(0, len(names), _OBJECTS_AT_ONCE):
        with store.files.scratch() as path, store.database.transaction():
            content = Content(path, checksums.store(iter([b"x"]), path), is_shared=True)
            for name in names[first : first + _OBJECTS_AT_ONCE]:
                store.commit(bucket, name, content, {}, {})
    store.database.close()


class Registry:
    """What lies in one database and its bucket."""

    def __init__(self, database: str, storage_port: int) -> None:
        self._connection = Connection(database)
        self._storage_port = storage_port
        self._manifests = 0
        self._dangling = 0
        self.execute(_REPOSITORIES)

    def execute(self, sql: str) -> None:
        self._connection.simple(sql)

    def close(self) -> None:
        self._connection.close()

    def grow(self, manifests: int) -> None:
        """Grows the registry to so many, a multiple of 320."""
        while self._manifests < manifests:
            first, last = self._manifests, min(self._manifests + _AT_ONCE // 320 * 320, manifests) - 1
            blobs = {"first_blob": first // 320 * 64, "last_blob": (last // 320 + 1) * 64 - 1}
            self.execute(_FILL.format(first=first, last=last, **blobs))
            self._manifests = last + 1
        self.execute(_SETTLED)
        for table in ("blobs", "repository_blobs", "namespace_blobs", "manifests", "manifest_blobs"):
            self.execute(f"VACUUM (ANALYZE) {table}")
        self.execute("CHECKPOINT")

    def tag(self) -> None:
        """Some manifests of the first repository, to be pulled."""
        self.execute(_TAG.format(count=TAGS))

    def dangle(self, count: int, *, with_objects: bool) -> None:
        """So many blobs that nothing names any more, all due."""
        first, last = self._dangling, self._dangling + count - 1
        self._dangling += count
        if with_objects:
            self._upload(first, last)
        self.execute(_DANGLING.format(first=first, last=last))

    def _upload(self, first: int, last: int) -> None:
        own = threading.local()

        def put(number: int) -> None:
            if not hasattr(own, "connection"):
                own.connection = http.client.HTTPConnection(HOST, self._storage_port, timeout=60)
            path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=dangling/{number}"
            own.connection.request("POST", path, b"x", {"Content-Type": "application/octet-stream"})
            answer = own.connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"the store answered {answer.status}")

        with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
            for _ in pool.map(put, range(first, last + 1)):
                pass
