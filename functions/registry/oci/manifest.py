"""What a manifest refers to, read from its bytes (image-spec, "Image Manifest" and "Image Index").

The bytes are kept exactly as sent; only the references that the registry must keep alive are taken out. They
are found by the fields' names, so that a manifest of an unknown media type keeps its blobs as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid
from functions.registry.oci.json_object import Unreadable, read_object
from functions.registry.oci.media_type import (
    LONGEST,
    OCI_INDEX,
    OCI_MANIFEST,
    check_media_type,
    is_index,
    is_manifest,
    is_non_distributable,
    type_of_manifest,
)

MOST_REFERENCES: Final = 5000
LARGEST_BLOB: Final = 1 << 62


def _folded(*names: str) -> dict[str, str]:
    """Returns fields as readers that ignore case find them, by what those compare."""
    return {name.casefold(): name for name in names}


_FIELDS: Final = _folded(
    "schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations"
)
_DESCRIPTOR_FIELDS: Final = _folded(
    "mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"
)
_PLATFORM_FIELDS: Final = _folded("architecture", "os", "os.version", "os.features", "variant", "features")


@dataclass(frozen=True, slots=True)
class Descriptor:
    media_type: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest. `artifact_type` is the one that a referrers list shows for it.

    `is_typed` is False if nobody said what its type is: then it is that of its fields, unless these bytes are here
    under another. `children` are manifests by their types, `listed` is what an index lists under any other type.
    """

    media_type: str
    is_typed: bool
    artifact_type: str | None
    blobs: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    listed: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: dict[str, str]

    @property
    def required_blobs(self) -> list[Digest]:
        """Returns blobs that the repository must hold, sorted, each once."""
        return _digests(blob for blob in self.blobs if not is_non_distributable(blob.media_type))

    @property
    def optional_blobs(self) -> list[Digest]:
        """Returns non-distributable layers: kept if the repository holds them, or once it does."""
        return _digests(blob for blob in self.blobs if is_non_distributable(blob.media_type))

    @property
    def child_digests(self) -> list[Digest]:
        return _digests(self.children)

    @property
    def listed_digests(self) -> list[Digest]:
        """Returns the digests of those that are not children for certain."""
        return sorted(set(_digests(self.listed)).difference(self.child_digests))

    @property
    def annotation_bytes(self) -> int:
        return sum(len(name.encode()) + len(value.encode()) for name, value in self.annotations.items())


def _digests(descriptors: Iterable[Descriptor]) -> list[Digest]:
    return sorted({descriptor.digest for descriptor in descriptors})


def parse_manifest(payload: bytes, content_type: str | None) -> Manifest:
    """Raises ManifestInvalid for what is no manifest, contradicts itself, or has too many references."""
    document = _load(payload)
    media_type, is_typed = _media_type(document, content_type)
    config = _descriptor(document["config"], "config") if document.get("config") is not None else None
    blobs = [config] if config else []
    for field in ("layers", "blobs"):
        blobs += _descriptors(document, field)
    entries = _descriptors(document, "manifests")
    if len(blobs) + len(entries) > MOST_REFERENCES:
        raise ManifestInvalid(f"a manifest has at most {MOST_REFERENCES} references")
    subject = document.get("subject")
    return Manifest(
        media_type=media_type,
        is_typed=is_typed,
        artifact_type=_artifact_type(document, media_type, config),
        blobs=tuple(blobs),
        children=tuple(entry for entry in entries if is_manifest(entry.media_type)),
        listed=tuple(entry for entry in entries if not is_manifest(entry.media_type)),
        subject=_descriptor(subject, "subject") if subject is not None else None,
        annotations=_annotations(document),
    )


def _load(payload: bytes) -> dict[str, Any]:
    try:
        document = read_object(payload)
    except Unreadable as error:
        raise ManifestInvalid(
            f"a manifest is a JSON object in UTF-8, and this can't be read as one: {error}"
        ) from error
    _refuse_other_case(document, _FIELDS, "")
    if document.get("schemaVersion") == 1:
        raise ManifestInvalid("Docker image manifest version 2, schema 1 is not supported: push with schema 2 or OCI")
    if "manifests" in document and ("layers" in document or "config" in document):
        # Two readers could see two different images in it (CVE-2021-41190).
        raise ManifestInvalid("a manifest is either an image or an index, not both")
    return document


def _refuse_other_case(document: dict[str, Any], fields: Mapping[str, str], within: str) -> None:
    """Clients that ignore case would read references that are not kept here."""
    for key in document:
        if fields.get(key.casefold(), key) != key:
            raise ManifestInvalid(f"{within}{key[:50]!a}: fields are written as the specification writes them")


def _media_type(document: dict[str, Any], content_type: str | None) -> tuple[str, bool]:
    own = document.get("mediaType")
    of_fields = OCI_INDEX if "manifests" in document else OCI_MANIFEST
    return type_of_manifest(None if own is None else _text(own, "mediaType"), content_type or None, of_fields)


def _artifact_type(document: dict[str, Any], media_type: str, config: Descriptor | None) -> str | None:
    """Follows distribution-spec, "Listing Referrers": an image's config type stands in; an index has none of its
    own.
    """
    artifact_type = document.get("artifactType")
    if artifact_type:
        return check_media_type(_text(artifact_type, "artifactType"))
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
    _refuse_other_case(value, _DESCRIPTOR_FIELDS, f"{field}: ")
    if isinstance(platform := value.get("platform"), dict):
        _refuse_other_case(platform, _PLATFORM_FIELDS, f"{field}.platform: ")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= LARGEST_BLOB:
        raise ManifestInvalid(f"{field}: a descriptor's size is a number of bytes")
    try:
        digest = Digest.parse(_text(value.get("digest"), f"{field}.digest"))
    except DigestInvalid as error:
        raise ManifestInvalid(f"{field}: {error.reason}", **error.detail) from error
    media_type = _text(value.get("mediaType", ""), f"{field}.mediaType")
    if len(media_type) > LONGEST:
        raise ManifestInvalid(f"{field}.mediaType has at most {LONGEST} characters")
    return Descriptor(media_type, digest, size)


def _annotations(document: dict[str, Any]) -> dict[str, str]:
    annotations = document.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict):
        raise ManifestInvalid("annotations are a JSON object of strings")
    return {_text(key, "annotations"): _text(value, "annotations") for key, value in annotations.items()}


def _text(value: object, field: str) -> str:
    """Takes a string that a database can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        raise ManifestInvalid(f"{field} is a string")
    if "\0" in value or not _is_whole(value):
        raise ManifestInvalid(f"{field} has a character that is not allowed")
    return value


def _is_whole(text: str) -> bool:
    """Says whether no surrogate stands alone. A pattern would take ten times as long, with all other threads
    waiting.
    """
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
