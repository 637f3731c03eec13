"""What a manifest refers to, read from its bytes (image-spec, "Image Manifest" and "Image Index").

The bytes are kept exactly as sent; only the references that the registry must keep alive are taken out. They
are found by the fields' names, so that a manifest of an unknown media type keeps its blobs as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid
from functions.registry.oci.media_type import (
    OCI_INDEX,
    OCI_MANIFEST,
    is_index,
    is_non_distributable,
    parse_media_type,
)

MOST_REFERENCES: Final = 5000
LARGEST_BLOB: Final = 1 << 62

_FIELDS: Final = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations"}
)
_FIELDS_LOWER: Final = frozenset(name.lower() for name in _FIELDS)


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest. `artifact_type` is the one that a referrers list shows for it."""

    media_type: str
    artifact_type: str | None
    blobs: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: dict[str, str]

    @property
    def required_blobs(self) -> list[Digest]:
        """Blobs that the repository must hold, sorted, each once."""
        return sorted({blob.digest for blob in self.blobs if not is_non_distributable(blob.media_type)})

    @property
    def optional_blobs(self) -> list[Digest]:
        """Non-distributable layers: kept if the repository holds them."""
        return sorted({blob.digest for blob in self.blobs if is_non_distributable(blob.media_type)})

    @property
    def child_digests(self) -> list[Digest]:
        return sorted({child.digest for child in self.children})


def parse_manifest(payload: bytes, content_type: str | None) -> Manifest:
    """Raises ManifestInvalid for what is no manifest, contradicts itself, or has too many references."""
    document = _load(payload)
    media_type = _media_type(document, content_type)
    config = _descriptor(document["config"], "config") if document.get("config") is not None else None
    blobs = [config] if config else []
    for field in ("layers", "blobs"):
        blobs += _descriptors(document, field)
    children = _descriptors(document, "manifests")
    if len(blobs) + len(children) > MOST_REFERENCES:
        raise ManifestInvalid(f"a manifest has at most {MOST_REFERENCES} references")
    subject = document.get("subject")
    return Manifest(
        media_type=media_type,
        artifact_type=_artifact_type(document, media_type, config),
        blobs=tuple(blobs),
        children=tuple(children),
        subject=_descriptor(subject, "subject") if subject is not None else None,
        annotations=_annotations(document),
    )


def _refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


def _load(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid("a manifest is a JSON object in UTF-8") from error
    if not isinstance(document, dict):
        raise ManifestInvalid("a manifest is a JSON object")
    for key in document:
        if key not in _FIELDS and key.lower() in _FIELDS_LOWER:
            # Clients that ignore case would read references that are not kept here.
            raise ManifestInvalid(f"{key[:50]}: fields are written as the specification writes them")
    if document.get("schemaVersion") == 1:
        raise ManifestInvalid("Docker image manifest version 2, schema 1 is not supported: push with schema 2 or OCI")
    if "manifests" in document and ("layers" in document or "config" in document):
        # Two readers could see two different images in it (CVE-2021-41190).
        raise ManifestInvalid("a manifest is either an image or an index, not both")
    return document


def _media_type(document: dict[str, Any], content_type: str | None) -> str:
    """The Content-Type that was sent; the document's own may be missing, but may not differ."""
    own = document.get("mediaType")
    if own is not None:
        own = parse_media_type(_text(own, "mediaType"))
    sent = parse_media_type(content_type) if content_type else None
    if own and sent and own != sent:
        raise ManifestInvalid("mediaType differs from Content-Type", media_type=own, content_type=sent)
    return sent or own or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)


def _artifact_type(document: dict[str, Any], media_type: str, config: Descriptor | None) -> str | None:
    """Distribution-spec, "Listing Referrers": an image's config type stands in; an index has none of its own."""
    artifact_type = document.get("artifactType")
    if artifact_type:
        return parse_media_type(_text(artifact_type, "artifactType"))
    return config.media_type if config and not is_index(media_type) else None


def _descriptors(document: dict[str, Any], field: str) -> list[Descriptor]:
    values = document.get(field)
    if values is None:
        return []
    if not isinstance(values, list):
        raise ManifestInvalid(f"{field} is a list of descriptors")
    return [_descriptor(value, field) for value in values]


def _descriptor(value: object, field: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{field}: a descriptor is a JSON object")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST_BLOB:
        raise ManifestInvalid(f"{field}: a descriptor's size is a number of bytes")
    try:
        digest = Digest.parse(_text(value.get("digest"), f"{field}.digest"))
    except DigestInvalid as error:
        raise ManifestInvalid(f"{field}: {error.reason}", **error.detail) from error
    return Descriptor(_text(value.get("mediaType", ""), f"{field}.mediaType"), digest, size)


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    annotations = document.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict):
        raise ManifestInvalid("annotations are a JSON object of strings")
    return {_text(key, "annotations"): _text(value, "annotations") for key, value in annotations.items()}


def _text(value: object, field: str) -> str:
    """A string that a database can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise ManifestInvalid(f"{field} is a string")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ManifestInvalid(f"{field} has a character that is not allowed")
    return value
