"""A layout that is made up as it is asked for, in a store that takes 30 ms for each answer.

A repository has ten tags, each an image of its own with two layers of its own and three of its namespace's twelve.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.objects import PAGE_SIZE, ObjectPage, StoredObject
from functions.registry.imports import links, names
from functions.registry.oci.digest import Digest

ROOT: Final = "docker/registry/v2/"
TAGS: Final = 10
NEIGHBOURS: Final = 40
BASES: Final = 12
LATENCY_SECONDS: Final = 0.03
_BEGAN: Final = datetime(2021, 1, 1, tzinfo=UTC)


def repository_name(number: int) -> str:
    return f"team-{number // NEIGHBOURS:04}/app-{number:06}"


def _blob(text: str) -> Digest:
    return Digest.of(text.encode())


@lru_cache(maxsize=256)
def _images(number: int) -> tuple[tuple[Digest, bytes, tuple[Digest, ...]], ...]:
    """Gives of each tag the digest, the payload and the blobs."""
    bases = [_blob(f"base {number // NEIGHBOURS} {(number + each) % BASES}") for each in range(3)]
    made = []
    for tag in range(TAGS):
        blobs = [_blob(f"config {number} {tag}"), *(_blob(f"layer {number} {tag} {each}") for each in range(2)), *bases]
        config, *layers = [
            {"mediaType": f"application/vnd.oci.image.{kind}", "digest": str(digest), "size": 1000}
            for kind, digest in zip(("config.v1+json", *["layer.v1.tar"] * 5), blobs, strict=True)
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers,
            "annotations": {"org.opencontainers.image.title": "x" * 400},
        }
        payload = json.dumps(document).encode()
        made.append((Digest.of(payload), payload, tuple(blobs)))
    return tuple(made)


def _stored(name: str, size: int, md5: bytes | None = None) -> StoredObject:
    return StoredObject(ROOT + name, size, md5, None, _BEGAN + timedelta(hours=1), 1)


def _objects(number: int) -> list[StoredObject]:
    """What lies in the repository's folders, in order."""
    name = repository_name(number)
    found = []
    for tag, (digest, _, blobs) in enumerate(_images(number)):
        found += [_stored(names.layer_link_name(name, blob), 71, links.sum_of(blob)) for blob in blobs]
        named = (
            names.revision_link_name(name, digest),
            names.current_link_name(name, f"v{tag}"),
            names.history_link_name(name, f"v{tag}", digest),
        )
        found += [_stored(link, 71, links.sum_of(digest)) for link in named]
    return sorted({each.name: each for each in found}.values(), key=lambda each: each.name)


class Store:
    """So many repositories, made up as they are asked for; each answer takes a while."""

    def __init__(self, repositories: int) -> None:
        self._repositories = repositories
        self._names = [f"{ROOT}{names.REPOSITORIES}{repository_name(number)}" for number in range(repositories)]
        blobs: dict[Digest, int] = {}
        self._payloads: dict[Digest, int] = {}
        for number in range(repositories):
            for digest, payload, layers in _images(number):
                blobs[digest] = len(payload)
                self._payloads[digest] = number
                blobs.update(dict.fromkeys(layers, 1000))
        self._blobs = sorted((ROOT + names.blob_name(digest), size) for digest, size in blobs.items())
        self.requests = 0
        self.reads = 0

    def _wait(self) -> None:
        self.requests += 1
        time.sleep(LATENCY_SECONDS)

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        self._wait()
        found = self._below(prefix, after, before)
        objects = list(islice(found, PAGE_SIZE))
        return ObjectPage(objects, is_last=len(objects) < PAGE_SIZE)

    def _below(self, prefix: str, after: str, before: str) -> Iterator[StoredObject]:
        if prefix.startswith(ROOT + names.BLOBS):
            first = bisect_right(self._blobs, (max(after, prefix), 1 << 62))
            for name, size in islice(self._blobs, first, None):
                if before and name >= before:
                    return
                yield StoredObject(name, size, None, None, _BEGAN, 1)
            return
        first = max(0, bisect_right(self._names, max(after, prefix)) - 1)
        for number in range(first, self._repositories):
            if before and self._names[number] >= before:
                return
            found = [each for each in _objects(number) if each.name > after and each.name.startswith(prefix)]
            if not found and self._names[number] > prefix + "~":
                return
            yield from (each for each in found if not before or each.name < before)

    def find(self, name: str) -> StoredObject | None:
        self._wait()
        place = bisect_right(self._blobs, (name, -1))
        return StoredObject(name, self._blobs[place][1], None, None, _BEGAN, 1) if self._has(place, name) else None

    def _has(self, place: int, name: str) -> bool:
        return place < len(self._blobs) and self._blobs[place][0] == name

    def read(self, name: str, most: int) -> bytes:
        self._wait()
        self.reads += 1
        digest = Digest.parse(f"sha256:{name.split('/')[-2]}")
        for found, payload, _ in _images(self._payloads[digest]):
            if found == digest:
                return payload[:most]
        raise ObjectMissing(name)

    def folders(self, prefix: str) -> list[str]:
        self._wait()
        found = {f"{prefix}{name.removeprefix(prefix).partition('/')[0]}/" for name in self._names}
        return sorted(found)
