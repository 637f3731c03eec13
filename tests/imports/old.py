"""An older registry, as far as it concerns whoever imports it: what it writes into a bucket, in the order in which it
does.

It makes content as `tests.support.Image` has it, and keeps what it would answer, to be compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from functions.registry.imports import names
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from tests.imports.truth import ROOT
from tests.metadata.build import query
from tests.support import Image


@dataclass
class OldRegistry:
    """Writes into the bucket at `address`. `tags` has what each repository's tags name, `written` the names of all
    objects that are there.
    """

    address: str
    bucket: str
    tags: dict[str, dict[str, Digest]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    _session: requests.Session = field(default_factory=requests.Session)

    def write(self, name: str, content: bytes) -> None:
        """An object of the layout; `name` begins behind its root."""
        answer = self._session.post(
            f"{self.address}/upload/storage/v1/b/{self.bucket}/o",
            params={"uploadType": "media", "name": ROOT + name},
            data=content,
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        self.written.add(name)

    def remove(self, name: str) -> None:
        self.written.discard(name)
        answer = self._session.delete(self._object(name), timeout=10)
        assert answer.status_code in (204, 404), answer.text

    def has(self, name: str) -> bool:
        return self._session.get(self._object(name), timeout=10).status_code == 200

    def push(self, repository: str, image: Image, *tags: str) -> Digest:
        for blob in image.blobs:
            self.push_layer(repository, blob)
        return self.push_manifest(repository, image.manifest, *tags)

    def push_layer(self, repository: str, content: bytes) -> Digest:
        digest = Digest.of(content)
        self.write(names.blob_name(digest), content)
        self.write(names.layer_link_name(repository, digest), str(digest).encode())
        return digest

    def push_manifest(self, repository: str, payload: bytes, *tags: str) -> Digest:
        digest = Digest.of(payload)
        self.write(names.blob_name(digest), payload)
        self.write(names.revision_link_name(repository, digest), str(digest).encode())
        for tag in tags:
            self.tag(repository, tag, digest)
        return digest

    def tag(self, repository: str, tag: str, digest: Digest) -> None:
        self.write(names.history_link_name(repository, tag, digest), str(digest).encode())
        self.write(names.current_link_name(repository, tag), str(digest).encode())
        self.tags.setdefault(repository, {})[tag] = digest

    def untag(self, repository: str, tag: str) -> None:
        """Removes the folder of the tag, in the order of a folder's removal: the last name first."""
        folder = names.current_link_name(repository, tag).removesuffix("current/link")
        for name in sorted((name for name in self.written if name.startswith(folder)), reverse=True):
            self.remove(name)
        self.tags[repository].pop(tag)

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Deletes it as a client does by its digest: its link goes, then the tags that name it."""
        self.remove(names.revision_link_name(repository, digest))
        for tag in [tag for tag, named in self.tags.get(repository, {}).items() if named == digest]:
            self.untag(repository, tag)

    def _object(self, name: str) -> str:
        return f"{self.address}/storage/v1/b/{self.bucket}/o/{quote(ROOT + name, safe='')}"


def open_source(database: Database, mode: Any = "lead") -> int:
    """A source in this registry's bucket, of which nothing is listed yet."""
    source = sources.add(database, NewSource("layout", "gs://old", ROOT))
    sources.set_mode(database, source.id, mode)
    assert sources.open_up(database, source.id)
    assert sources.begin_listing(database, source.id)
    return source.id


def end_listing(database: Database) -> None:
    query(database, "UPDATE import_sources SET state = 'open', listed_at = now()")
