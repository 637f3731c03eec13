"""What an image runs on: as an index says it of its children, and as an image's config says it of the image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from functions.registry.oci.json_object import read_stored

# Bytes. Configs have a few thousand; a larger one than this is not looked into.
LARGEST_CONFIG: Final = 1 << 20

# Whoever pushes writes what they like.
_PART: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What is made by a build and runs nowhere, such as an attestation, says so.
_NOWHERE: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Platform:
    os: str
    architecture: str
    variant: str | None


def written(platform: Any) -> str | None:
    """Writes a platform as in `linux/arm64/v8`, of an entry in an index. Parts that are none are left out."""
    if not isinstance(platform, dict):
        return None
    parts = [platform.get(part) for part in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if is_part(part)) or None


def all_written(platforms: list[Any]) -> list[str]:
    """Writes each once, in the order of the index, without what runs nowhere."""
    named = [text for platform in platforms if (text := written(platform)) and not text.startswith(_NOWHERE)]
    return list(dict.fromkeys(named))


def read_config(content: bytes) -> Platform | None:
    """Returns what an image's config says (image-spec, "Image Configuration"); None if it isn't one, or doesn't say."""
    document = read_stored(content)
    os, architecture, variant = (document.get(part) for part in ("os", "architecture", "variant"))
    # Some write an empty variant where there is none.
    variant = variant or None
    if not is_part(os) or not is_part(architecture) or not (variant is None or is_part(variant)):
        return None
    return None if os == _NOWHERE else Platform(os, architecture, variant)


def is_part(part: Any) -> TypeGuard[str]:
    return isinstance(part, str) and _PART.fullmatch(part) is not None
