"""Fills a registry fast: objects straight into the bucket, rows in a few statements that set off all triggers."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, TypeVar

from functions.registry.blobs.gcs import new_object_name
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from tests.checks.vandal import Vandal
from tests.support import Image

_AT_ONCE: Final = 8
_LAYERS: Final = 2
_TOGETHER: Final = 500
Item = TypeVar("Item")


@dataclass
class Stock:
    """`images` are tagged, `untagged` wait for their review, and `loose` blobs are linked and named by nothing.

    `names` are those of the objects, by digest.
    """

    images: list[Image] = field(default_factory=list)
    untagged: list[Image] = field(default_factory=list)
    loose: list[bytes] = field(default_factory=list)
    names: dict[Digest, str] = field(default_factory=dict)


def fill(vandal: Vandal, images: int, untagged: int, loose: int, repositories: int) -> Stock:
    """Nothing of it is collected for a year, whatever the registry's graces are."""
    stock = Stock(
        [_image() for _ in range(images)],
        [_image() for _ in range(untagged)],
        [os.urandom(40) for _ in range(loose)],
    )
    blobs = [*(blob for image in (*stock.images, *stock.untagged) for blob in image.blobs), *stock.loose]
    stock.names = {Digest.of(blob): new_object_name(uuid.UUID(bytes=os.urandom(16))) for blob in blobs}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda blob: vandal.put(stock.names[Digest.of(blob)], blob), blobs))
    with closing(Connection(vandal.registry.services.settings.database)) as connection:
        for number, part in enumerate(_parts(stock, repositories)):
            _write(connection, f"kept/r{number}", part, stock.names)
    return stock


def _image() -> Image:
    return Image(config=os.urandom(20), layers=tuple(os.urandom(60) for _ in range(_LAYERS)))


def _parts(stock: Stock, count: int) -> Iterator[Stock]:
    """Makes as many stocks, one for each repository."""
    for number in range(count):
        yield Stock(stock.images[number::count], stock.untagged[number::count], stock.loose[number::count])


def _write(connection: Connection, repository: str, stock: Stock, names: dict[Digest, str]) -> None:
    namespace = repository.partition("/")[0]
    connection.run(
        [
            ("INSERT INTO namespaces (name) VALUES (:name) ON CONFLICT DO NOTHING", {"name": namespace}),
            (_REPOSITORY, {"name": namespace, "repository": repository}),
        ]
    )
    images = [*stock.images, *stock.untagged]
    blobs = [*((blob, image) for image in images for blob in image.blobs), *((blob, None) for blob in stock.loose)]
    for chunk in _chunks(blobs):
        contents = [blob for blob, _ in chunk]
        digests = [Digest.of(content) for content in contents]
        asked = {
            "digests": [digest.to_bytes() for digest in digests],
            "sizes": [len(content) for content in contents],
            "names": [names[digest] for digest in digests],
        }
        connection.run([(_BLOBS, asked), (_LINKS, {**asked, "repository": repository})])
    for some in _chunks(images):
        manifests = {
            "repository": repository,
            "digests": [image.digest.to_bytes() for image in some],
            "payloads": [image.manifest for image in some],
            "type": OCI_MANIFEST,
        }
        pairs = [(image.digest, digest) for image in some for digest in image.blob_digests]
        named = {
            "repository": repository,
            "manifests": [manifest.to_bytes() for manifest, _ in pairs],
            "digests": [digest.to_bytes() for _, digest in pairs],
        }
        connection.run([(_MANIFESTS, manifests), (_NAMED, named)])
    for tagged in _chunks(stock.images):
        tags = {
            "repository": repository,
            "digests": [image.digest.to_bytes() for image in tagged],
            "tags": [image.digest.hex[:20] for image in tagged],
        }
        connection.run([(_TAGS, tags)])


def _chunks(items: Sequence[Item]) -> Iterator[list[Item]]:
    source = iter(items)
    while chunk := list(itertools.islice(source, _TOGETHER)):
        yield chunk


_REPOSITORY: Final = """
    INSERT INTO repositories (namespace_id, name, grace)
    SELECT id, :repository, interval '1 year' FROM namespaces WHERE name = :name
"""
_BLOBS: Final = """
    INSERT INTO blobs (digest, size, object_name)
    SELECT * FROM unnest(CAST(:digests AS bytea[]), CAST(:sizes AS bigint[]), CAST(:names AS text[]))
"""
_LINKS: Final = """
    INSERT INTO repository_blobs (repository_id, digest, size)
    SELECT repositories.id, blob.digest, blob.size
      FROM repositories, unnest(CAST(:digests AS bytea[]), CAST(:sizes AS bigint[])) AS blob (digest, size)
     WHERE repositories.name = :repository AND CAST(:names AS text[]) IS NOT NULL
"""
_MANIFESTS: Final = """
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT repositories.id, manifest.digest, :type, manifest.payload
      FROM repositories, unnest(CAST(:digests AS bytea[]), CAST(:payloads AS bytea[])) AS manifest (digest, payload)
     WHERE repositories.name = :repository
"""
_NAMED: Final = """
    INSERT INTO manifest_blobs (manifest_id, repository_id, digest)
    SELECT manifests.id, repositories.id, named.digest
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
      JOIN unnest(CAST(:manifests AS bytea[]), CAST(:digests AS bytea[])) AS named (manifest, digest)
        ON named.manifest = manifests.digest
     WHERE repositories.name = :repository
"""
_TAGS: Final = """
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT repositories.id, pushed.tag, manifests.id
      FROM repositories
      JOIN manifests ON manifests.repository_id = repositories.id
      JOIN unnest(CAST(:digests AS bytea[]), CAST(:tags AS text[])) AS pushed (digest, tag)
        ON pushed.digest = manifests.digest
     WHERE repositories.name = :repository
"""
