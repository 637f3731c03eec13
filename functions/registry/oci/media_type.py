"""Media types of manifests and layers. An unknown one is never refused: only its form is checked."""

from __future__ import annotations

import re
from typing import Final

from functions.registry.oci.errors import ManifestInvalid

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

# Layers that may live elsewhere: a manifest may name them without their blob being here (image-spec, "Layers").
_NON_DISTRIBUTABLE: Final = (
    "application/vnd.oci.image.layer.nondistributable.",
    "application/vnd.docker.image.rootfs.foreign.",
)
# RFC 6838 section 4.2.
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")


def parse_media_type(text: str) -> str:
    """The type without parameters, in the case it was written in. Raises ManifestInvalid."""
    media_type = text.partition(";")[0].strip()
    if not _FORM.fullmatch(media_type):
        raise ManifestInvalid("malformed media type", media_type=text[:200])
    return media_type


def is_index(media_type: str) -> bool:
    return media_type in (OCI_INDEX, DOCKER_LIST)


def is_non_distributable(media_type: str) -> bool:
    return media_type.startswith(_NON_DISTRIBUTABLE)
