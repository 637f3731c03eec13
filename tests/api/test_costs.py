"""What each route costs, in what no machine changes: round trips to the database, transactions that write, requests to
the bucket, pages that are read, memory.

Times are recorded by `make bench`; these are held.
"""

from __future__ import annotations

import http.client
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

import pytest

from functions.registry.metadata.driver import Connection, Outcome
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.support import Image, Registry

_TAGS: Final = 300
_WRITER: Final = "SELECT CAST(pg_current_xact_id_if_assigned() AS text)"
_TABLES: Final = (
    "namespaces",
    "repositories",
    "tags",
    "manifests",
    "manifest_reviews",
    "blobs",
    "repository_blobs",
    "link_reviews",
)
Statements = Sequence[tuple[str, Mapping[str, Any]]]


@dataclass
class Spent:
    """`writes` are the transactions that wrote something, by their numbers."""

    trips: int = 0
    writes: set[str] = field(default_factory=set)
    requests: int = 0
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    @property
    def counted(self) -> tuple[int, int, int]:
        return self.trips, len(self.writes), self.requests


@contextmanager
def metered(registry: Registry) -> Iterator[Spent]:
    """Every batch is asked, in its own trip and transaction, whether it has written."""
    run, simple, ask_store = Connection.run, Connection.simple, http.client.HTTPConnection.getresponse
    spent = Spent()

    def watched_run(self: Connection, statements: Statements, *kept: Any) -> list[Outcome]:
        spent.trips += 1
        spent.asked += statements
        *outcomes, told = run(self, [*statements, (_WRITER, {})], *kept)
        spent.writes |= {row[0] for row in told.rows if row[0] is not None}
        return outcomes

    def watched_simple(self: Connection, sql: str) -> None:
        spent.trips += 1
        simple(self, sql)

    def watched_store(self: http.client.HTTPConnection) -> http.client.HTTPResponse:
        spent.requests += 1
        return ask_store(self)

    registry.services.schema.require()  # asked once for each process
    registry.services.imports.sources.known()  # and this twice a minute
    with (
        mock.patch.object(Connection, "run", watched_run),
        mock.patch.object(Connection, "simple", watched_simple),
        mock.patch.object(http.client.HTTPConnection, "getresponse", watched_store),
    ):
        yield spent


@pytest.fixture
def image(registry: Registry) -> Image:
    """One image, under many tags."""
    image = registry.push_image("a/b", "v0", Image(layers=(b"layer",)))
    tags = [f"v{number}" for number in range(1, _TAGS)]
    for first in range(0, len(tags), 10):
        query = "&".join(f"tag={tag}" for tag in tags[first : first + 10])
        answer = registry.request(
            "PUT", f"/v2/a/b/manifests/{image.digest}?{query}", data=image.manifest, content_type=OCI_MANIFEST
        )
        assert answer.status_code == 201, answer.text
    return image


# Pages of tables and indexes that its statement looks at, at most: those of a few descents, whatever the repository
# holds.
READS: Final = {
    ("GET", "/v2/"): 0,
    ("GET", "/v2/a/b/manifests/v7"): 10,
    ("HEAD", "/v2/a/b/manifests/v7"): 10,
    ("GET", "/v2/a/b/manifests/{manifest}"): 7,
    ("HEAD", "/v2/a/b/manifests/{manifest}"): 11,
    ("GET", "/v2/a/b/blobs/{blob}"): 9,
    ("HEAD", "/v2/a/b/blobs/{blob}"): 13,
    ("GET", "/v2/a/b/tags/list?n=100"): 9,
    ("GET", "/v2/_catalog?n=100"): 7,
    ("GET", "/v2/a/b/referrers/{manifest}"): 7,
}


@pytest.mark.parametrize("route", READS, ids=" ".join)
def test_a_read_is_one_trip_that_writes_nothing(registry: Registry, image: Image, route: tuple[str, str]) -> None:
    method, path = route
    path = path.format(manifest=image.digest, blob=Digest.of(b"layer"))
    with metered(registry) as spent:
        assert registry.request(method, path).status_code < 400
    assert spent.counted == (0 if path == "/v2/" else 1, 0, 0)
    assert pages(registry, spent.asked) <= READS[route]


def pages(registry: Registry, asked: Statements) -> int:
    """Returns how many pages of the database all statements look at, with the plan that sessions of requests make."""
    total = 0
    with closing(Connection(registry.services.settings.database)) as connection:
        # What tests before this one have deleted is in the way of index scans until then; the second one notes which
        # pages all transactions can see.
        for options in ("FULL", "ANALYZE"):
            connection.simple(f"VACUUM ({options}) {', '.join(_TABLES)}")
        for sql, values in asked:
            explained = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}"
            connection.run([(explained, values)])  # what the session reads once, it has read then
            found = connection.run([(explained, values)])[0].rows[0][0]
            plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
            total += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return total


def test_a_blob_in_two_requests(registry: Registry, image: Image) -> None:
    content = os.urandom(100_000)
    with metered(registry) as spent:
        registry.push_blob("a/b", content)
    assert image.layers
    assert spent.counted == (3, 3, 1)


def test_a_blob_in_three_requests(registry: Registry, image: Image) -> None:
    content = os.urandom(100_000)
    with metered(registry) as spent:
        location = registry.start_upload("a/b")
        location = registry.request("PATCH", location, data=content).headers["Location"]
        answer = registry.request("PUT", f"{location}?digest={Digest.of(content)}")
    assert (answer.status_code, bool(image.layers)) == (201, True)
    assert spent.counted == (5, 4, 1)


def test_a_blob_of_several_chunks(registry: Registry, image: Image) -> None:
    size = 2 * registry.services.settings.upload_chunk_bytes + 1
    with metered(registry) as spent:
        registry.push_blob("a/b", os.urandom(size))
    assert image.layers
    # A session, and as many requests as there are chunks.
    assert spent.counted == (3, 3, 4)


@pytest.mark.parametrize(
    ("method", "path", "counted"),
    [
        ("PUT", "/v2/a/b/manifests/moving", (1, 1, 0)),
        ("DELETE", "/v2/a/b/manifests/v7", (1, 1, 0)),
        ("POST", "/v2/a/b/blobs/uploads/?mount={blob}&from=a/b", (1, 1, 0)),
    ],
)
def test_a_change_is_one_trip(
    registry: Registry, image: Image, method: str, path: str, counted: tuple[int, int, int]
) -> None:
    path = path.format(blob=Digest.of(b"layer"))
    body = {"data": image.manifest, "content_type": OCI_MANIFEST} if method == "PUT" else {}
    with metered(registry) as spent:
        assert registry.request(method, path, **body).status_code < 300
    assert spent.counted == counted


def peak_of(work: Callable[[], object]) -> int:
    """Returns how many bytes Python took for it at most; what is loaded at the first time has been."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["/v2/", "/v2/a/b/manifests/v7", "/v2/a/b/blobs/{blob}", "/v2/a/b/tags/list?n=100"])
def test_a_read_takes_little_memory(registry: Registry, image: Image, path: str) -> None:
    path = path.format(blob=Digest.of(b"layer"))
    assert image.layers
    assert peak_of(lambda: registry.get(path)) < 128 << 10
