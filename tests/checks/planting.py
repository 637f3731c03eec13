"""Plants findings of all kinds at random, each on something of its own, and knows what has to be found."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

from functions.registry.oci.digest import Digest
from tests.checks.stock import Stock
from tests.checks.vandal import Vandal
from tests.support import Image

Found = set[tuple[str, str]]


class Planting:
    """Objects and manifests are damaged each by itself, so an image may have several findings."""

    def __init__(self, vandal: Vandal, stock: Stock, rng: random.Random) -> None:
        self._vandal = vandal
        self._stock = stock
        self._blobs = [digest for image in stock.images for digest in image.blob_digests]
        self._images, self._untagged, self._loose = [*stock.images], [*stock.untagged], [*stock.loose]
        for each in (self._blobs, self._images, self._untagged, self._loose):
            rng.shuffle(each)
        self._ids = dict(vandal.query("SELECT digest, id FROM manifests"))
        self._links = dict(vandal.query("SELECT digest, repository_id FROM repository_blobs"))
        self.planted: Found = set()

    def plant(self, kind: str) -> None:
        ways: dict[str, Callable[[], tuple[str, str]]] = {
            "missing": lambda: self._object("missing", self._vandal.take),
            "size": lambda: self._object("size", self._vandal.cut),
            "checksum": lambda: self._object("checksum", self._vandal.swap),
            "digest": self._digest,
            "unknown": lambda: ("unknown", self._vandal.litter()),
            "manifest": lambda: self._manifest("manifest", _SPOIL),
            "references": lambda: self._manifest("references", _FORGET),
            "leaked_manifest": self._leaked_manifest,
            "leaked_link": self._leaked_link,
            "leaked_blob": self._leaked_blob,
        }
        self.planted.add(ways[kind]())

    def _object(self, kind: str, damage: Callable[[str], None]) -> tuple[str, str]:
        name = self._stock.names[self._blobs.pop()]
        damage(name)
        return kind, name

    def _digest(self) -> tuple[str, str]:
        """Written anew before its checksum was ever seen."""
        digest = self._blobs.pop()
        name = self._stock.names[digest]
        self._vandal.swap(name)
        self._vandal.run("UPDATE blobs SET crc32c = NULL WHERE object_name = '{name}'", name=name)
        return "digest", name

    def _manifest(self, kind: str, sql: str) -> tuple[str, str]:
        id_ = self._id(self._images.pop())
        self._vandal.run(sql, id=id_)
        return kind, str(id_)

    def _leaked_manifest(self) -> tuple[str, str]:
        id_ = self._id(self._untagged.pop())
        self._vandal.run("DELETE FROM manifest_reviews WHERE manifest_id = {id}", id=id_)
        return "leaked_manifest", str(id_)

    def _leaked_link(self) -> tuple[str, str]:
        digest = Digest.of(self._loose.pop())
        self._vandal.run("DELETE FROM link_reviews WHERE digest = '\\x{digest}'", digest=digest.to_bytes().hex())
        return "leaked_link", f"{self._links[digest.to_bytes()]}/{digest}"

    def _leaked_blob(self) -> tuple[str, str]:
        """Its row is counted, as any other."""
        content = os.urandom(30)
        name, digest = self._vandal.litter(content), Digest.of(content)
        self._vandal.run(_ALONE, digest=digest.to_bytes().hex(), size=len(content), name=name)
        return "leaked_blob", str(digest)

    def _id(self, image: Image) -> int:
        return int(self._ids[image.digest.to_bytes()])


KINDS = (
    "missing", "size", "checksum", "digest", "unknown", "manifest", "references", "leaked_manifest", "leaked_link",
    "leaked_blob",
)  # fmt: skip
_SPOIL = "UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}"
_FORGET = """
    DELETE FROM manifest_blobs
     WHERE manifest_id = {id} AND digest = (SELECT min(digest) FROM manifest_blobs WHERE manifest_id = {id})
"""
_ALONE = """
    SET session_replication_role = origin;
    INSERT INTO blobs (digest, size, object_name) VALUES ('\\x{digest}', {size}, '{name}')
"""
