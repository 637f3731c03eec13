"""Link files: what a good one holds, and what its sum is. A listing gives that sum, so hardly any is ever read."""

from __future__ import annotations

import hashlib
from typing import Final

from functions.registry.blobs.objects import StoredObject
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid

# A digest, and room to see that more follows.
MOST_BYTES: Final = 256


def sum_of(digest: Digest) -> bytes:
    """Returns the sum that a listing shows for a link to it."""
    return hashlib.md5(str(digest).encode(), usedforsecurity=False).digest()


def names(link: StoredObject, digest: Digest) -> bool:
    """Says whether the listing shows that the link holds this digest; False also if it shows no sum."""
    return link.md5 is not None and link.md5 == sum_of(digest)


def read(content: bytes) -> Digest | None:
    """Returns what a link's content names; None if that is no digest: it was cut, or is something else."""
    try:
        return Digest.parse(content.decode("ascii").strip())
    except (UnicodeDecodeError, DigestInvalid):
        return None
