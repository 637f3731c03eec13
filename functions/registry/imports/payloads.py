"""A manifest's bytes as an old registry keeps them: taken as they are, or refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from functions.registry.metadata.imports.vocabulary import Reason
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.json_object import Unreadable, read_stored
from functions.registry.oci.manifest import Manifest, parse_manifest


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    detail: str = ""


def take(digest: Digest, payload: bytes, largest_bytes: int) -> Manifest | Refusal:
    """Returns the manifest if these are its bytes; of more than `largest_bytes` one byte more is enough.

    Old registries serve changed bytes under the old digest: copying their answer would copy the damage. Schema 1 is
    told first, for its digest is not that of its bytes. The media type is not in the layout: it is the payload's own,
    or that of its fields.
    """
    if not payload:
        return Refusal("manifest_empty")
    if len(payload) > largest_bytes:
        return Refusal("manifest_too_large", f"more than {largest_bytes} bytes")
    if read_stored(payload).get("schemaVersion") == 1:
        return Refusal("schema1")
    found = Digest.of(payload, digest.algorithm)
    if found != digest:
        return Refusal("manifest_digest", f"its bytes have {found}")
    try:
        return parse_manifest(payload, None)
    except ManifestInvalid as error:
        is_json = not isinstance(error.__cause__, Unreadable)
        return Refusal("manifest_refused" if is_json else "manifest_json", str(error.reason))
