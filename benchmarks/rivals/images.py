"""What is pushed and pulled: the same bytes for every registry, made before the clock starts."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.content import Content
from benchmarks.rivals.asking import Answer, Job, Request, request

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_BYTES: Final = "application/octet-stream"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Blob:
    digest: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """A config, layers, and the manifest that names them."""

    config: Blob
    layers: tuple[Blob, ...]
    manifest: Blob

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (*self.layers, self.config)


def blob(content: bytes) -> Blob:
    return Blob(digest_of(content), content)


def make_image(seed: int, layers: int, layer_bytes: int) -> Image:
    """Makes the same image of the same numbers, always."""
    chance = random.Random(seed)  # noqa: S311  # contents, not secrets
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode())
    return image_of(config, tuple(blob(chance.randbytes(layer_bytes)) for _ in range(layers)))


def image_of(config: Blob, layers: tuple[Blob, ...], note: str = "") -> Image:
    """Those that have the same blobs differ by their note."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(_CONFIG_TYPE, config),
        "layers": [_descriptor(_LAYER_TYPE, layer) for layer in layers],
        **({"annotations": {"note": note}} if note else {}),
    }
    return Image(config, layers, blob(json.dumps(document).encode()))


def _descriptor(media_type: str, of: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": of.digest, "size": len(of.content)}


def push(repository: str, image: Image, tag: str, *, is_in_chunks: bool) -> Job:
    """Pushes as a client does: it asks for each blob, sends it, and puts the manifest last.

    In chunks it is docker's way (POST, PATCH, PUT), else containerd's (POST, PUT).
    """
    for each in image.blobs:
        answer = yield request("HEAD", f"/v2/{repository}/blobs/{each.digest}")
        answer.require(404)
        yield from upload(repository, each, is_in_chunks=is_in_chunks)
    yield from put_manifest(repository, tag, image)


def push_blobs(repository: str, image: Image) -> Job:
    for each in image.blobs:
        yield from upload(repository, each, is_in_chunks=False)


def put_manifest(repository: str, reference: str, image: Image) -> Job:
    path = f"/v2/{repository}/manifests/{reference}"
    answer = yield request("PUT", path, image.manifest.content, content_type=MANIFEST_TYPE)
    answer.require(201)


def upload(repository: str, each: Blob, *, is_in_chunks: bool) -> Job:
    location = yield from _location(repository)
    if is_in_chunks:
        answer = yield request("PATCH", location, each.content, content_type=_BYTES)
        location, body = answer.require(202).header("location"), b""
    else:
        body = each.content
    answer = yield request("PUT", with_digest(location, each.digest), body, content_type=_BYTES)
    answer.require(201)


def push_large(repository: str, content: Content, digest: str) -> Job:
    """Pushes as docker does: one PATCH whose length nobody tells."""
    location = yield from _location(repository)
    begun = request("PATCH", location, transfer_encoding="chunked", content_type=_BYTES)
    answer = yield replace(begun, body=content.chunked())
    location = answer.require(202).header("location")
    answer = yield request("PUT", with_digest(location, digest))
    answer.require(201)


def _location(repository: str) -> Generator[Request, Answer, str]:
    answer = yield request("POST", f"/v2/{repository}/blobs/uploads/")
    return answer.require(202).header("location")


def with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"
