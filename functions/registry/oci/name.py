"""Repository names and tags (distribution-spec, "Pulling manifests").

Both are `str`, so that they travel to SQL and JSON as they are; the types say that they were parsed.
"""

from __future__ import annotations

import re
from typing import Final, Self

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid, NameInvalid

# Docker's limit for the whole name; many clients can't take longer ones.
NAME_LENGTH: Final = 255

# No two ways to match the same text: a hostile name costs no more than a good one.
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class RepositoryName(str):
    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NameInvalid."""
        if len(text) > NAME_LENGTH:
            raise NameInvalid(f"a repository name has at most {NAME_LENGTH} characters")
        if not _NAME.fullmatch(text):
            raise NameInvalid("lower-case letters, digits and . _ - between them, parts divided by /", name=text)
        return cls(text)

    @property
    def namespace(self) -> str:
        """Returns the first path segment."""
        return self.partition("/")[0]


class Tag(str):
    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ManifestInvalid."""
        if not _TAG.fullmatch(text):
            raise ManifestInvalid(
                "a tag has 1 to 128 letters, digits, _ . - and starts with none of . -", tag=text[:200]
            )
        return cls(text)


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """Returns a tag, or a digest if it has a colon. Raises ManifestInvalid or DigestInvalid."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)


def parse_namespace(text: str) -> str:
    """Reads a namespace: a repository's name of one part. Raises NameInvalid."""
    name = RepositoryName.parse(text)
    if name.namespace != name:
        raise NameInvalid("the first part of a repository's name, without a slash")
    return str(name)
