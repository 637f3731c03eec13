"""The documents that describe buckets and objects: how they begin and how a patch changes them."""

import base64
from datetime import UTC, datetime
from typing import Final

from local.storage.calls import Document
from local.storage.checksums import Checksums
from local.storage.errors import invalid

_EDITABLE: Final = frozenset(
    {
        "cacheControl",
        "contentDisposition",
        "contentEncoding",
        "contentLanguage",
        "contentType",
        "customTime",
        "eventBasedHold",
        "metadata",
        "storageClass",
        "temporaryHold",
    }
)
_MAPS: Final = frozenset({"metadata", "labels"})


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_bucket(wanted: Document) -> Document:
    """Returns a bucket as it is right after its creation."""
    name, created_at = wanted.get("name"), now()
    if not name:
        raise invalid("Required parameter: name")
    return {
        "storageClass": "STANDARD",
        **wanted,
        "kind": "storage#bucket",
        "id": name,
        "location": str(wanted.get("location", "US")).upper(),
        "metageneration": "1",
        "timeCreated": created_at,
        "updated": created_at,
    }


def new_object(bucket: str, name: str, generation: int, metadata: Document) -> Document:
    """Returns an object as it is right after its creation, but for what its content says of itself."""
    created_at = now()
    return {
        "contentType": "application/octet-stream",
        "storageClass": "STANDARD",
        **{field: value for field, value in editable(metadata).items() if value is not None},
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "bucket": bucket,
        "name": name,
        "generation": str(generation),
        "metageneration": "1",
        "etag": base64.b64encode(str(generation).encode()).decode(),
        "timeCreated": created_at,
        "timeFinalized": created_at,
        "updated": created_at,
    }


def of_content(size: int, checksums: Checksums, component_count: int | None) -> Document:
    """Returns the fields that tell what an object holds. A composite object counts its components and has no md5."""
    fields: Document = {"size": str(size), "crc32c": checksums.crc32c}
    if component_count is not None:
        fields["componentCount"] = component_count
    elif checksums.md5 is not None:
        fields["md5Hash"] = checksums.md5
    return fields


def editable(document: Document) -> Document:
    """Returns the fields of an object a caller may set; the others are the store's."""
    return {field: value for field, value in document.items() if field in _EDITABLE}


def patched(document: Document, changes: Document) -> Document:
    """Returns the next metageneration: null removes a field, maps change key by key."""
    result = dict(document)
    for field, value in changes.items():
        if value is None:
            result.pop(field, None)
        elif field in _MAPS:
            merged = {**document.get(field, {}), **value}
            result[field] = {key: entry for key, entry in merged.items() if entry is not None}
        else:
            result[field] = value
    result["metageneration"] = str(int(document["metageneration"]) + 1)
    result["updated"] = now()
    return result


def check_custom_time(document: Document, changes: Document) -> None:
    """A custom time, once set, only ever moves forward: lifecycle rules rely on it."""
    if "customTime" not in changes or "customTime" not in document:
        return
    wanted = changes["customTime"]
    if wanted is None or datetime.fromisoformat(wanted) < datetime.fromisoformat(document["customTime"]):
        raise invalid("Custom time cannot be removed or set backwards.")
