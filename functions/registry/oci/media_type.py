"""Media types of manifests and layers. An unknown one is never refused: only its form is checked."""

from __future__ import annotations

import re
from typing import Final

from functions.registry.oci.errors import ManifestInvalid

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

# With its parameters. Lists show types of strangers by the hundred.
LONGEST: Final = 512

# Layers that may live elsewhere: a manifest may name them without their blob being here (image-spec, "Layers").
_NON_DISTRIBUTABLE: Final = (
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
)
# RFC 6838 section 4.2; and what may stand in a header behind it.
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_PARAMETERS: Final = re.compile(r"[\t\x20-\x7e]*")


def check_media_type(text: str) -> str:
    """Returns the type as it is written, in its case and with its parameters. Raises ManifestInvalid."""
    _, _, parameters = text.partition(";")
    if len(text) > LONGEST or not _FORM.fullmatch(without_parameters(text)) or not _PARAMETERS.fullmatch(parameters):
        raise ManifestInvalid("malformed media type", media_type=text[:200])
    return text


def without_parameters(media_type: str) -> str:
    return media_type.partition(";")[0].strip()


def essence(media_type: str) -> str:
    """Returns what of it is compared: type and subtype, which are the same in any case (RFC 9110, section 8.3.1)."""
    return without_parameters(media_type).lower()


def is_index(media_type: str) -> bool:
    return essence(media_type) in (OCI_INDEX, DOCKER_LIST)


def is_manifest(media_type: str) -> bool:
    """Knows the types of manifests: what an index lists under it is no blob."""
    return essence(media_type) in (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)


def is_non_distributable(media_type: str) -> bool:
    return essence(media_type).startswith(_NON_DISTRIBUTABLE)


def type_of_manifest(own: str | None, sent: str | None, of_fields: str) -> tuple[str, bool]:
    """Returns what its bytes are served as, and whether the document or the push names that. Raises ManifestInvalid.

    `own` stands in the document and goes before all else; then comes the type that its fields show. One that these
    don't show is as it was `sent`.
    """
    for named in (own, sent):
        if named is not None:
            _require_json(check_media_type(named))
    if own is not None:
        if sent is not None and essence(own) != essence(sent):
            raise ManifestInvalid("mediaType differs from Content-Type", media_type=own, content_type=sent)
        return own, True
    if sent is None:
        return of_fields, False
    if essence(sent) in (DOCKER_MANIFEST, DOCKER_LIST):
        raise ManifestInvalid("Docker's schema 2 has the field mediaType, which is missing here", content_type=sent)
    if not is_manifest(sent):
        return without_parameters(sent), True
    if essence(sent) != of_fields:
        raise ManifestInvalid("Content-Type differs from what the fields show", media_type=of_fields, content_type=sent)
    return of_fields, True


def _require_json(media_type: str) -> None:
    """Refuses what is no JSON, as the types of all manifests are: clients read no other."""
    kind = essence(media_type)
    if not (kind.startswith("application/") and kind.endswith("+json")):
        raise ManifestInvalid("a manifest's media type is application/...+json", media_type=media_type)
