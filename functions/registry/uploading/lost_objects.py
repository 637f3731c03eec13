"""Objects that are gone although a blob needs them: after a restore, or by somebody's hand in the bucket.

Whoever finds one marks the blob. It is then answered as if it were not there, so that clients push it again, and the
next push of its bytes gives it another object.
"""

from __future__ import annotations

from functions.registry import telemetry
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.metadata.content import blobs
from functions.registry.oci.digest import Digest
from functions.registry.wiring import Services


def is_whole(services: Services, digest: Digest, object_name: str, size: int) -> bool:
    """Says whether the blob's object is in the store, with the size that it must have; if not, the blob is marked."""
    try:
        if services.bucket.size(object_name) == size:
            return True
    except ObjectMissing:
        pass
    mark(services, digest, object_name)
    return False


def mark(services: Services, digest: Digest, object_name: str) -> None:
    """The object was just found to be gone, or not to be the blob."""
    if blobs.mark(services.database, digest, object_name):
        telemetry.log("ERROR", "a blob is damaged", digest=str(digest), object=object_name)
