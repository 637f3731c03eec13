"""One exception per OCI error code. They know nothing of HTTP: the api maps each class to a status.

Codes: distribution-spec, "Error Codes". `RANGE_INVALID` and `PAGINATION_NUMBER_INVALID` are not in its table;
they are the names that the CNCF registry made common.
"""

from __future__ import annotations

from typing import ClassVar

Detail = str | int | list[str] | None


class OciError(Exception):
    """A refusal that the client is told about. `detail` is shown to the client: nothing secret goes in."""

    code: ClassVar[str] = "UNKNOWN"
    message: ClassVar[str] = "unknown error"

    def __init__(self, reason: str | None = None, **detail: Detail) -> None:
        super().__init__(reason or self.message)
        self.reason = reason
        self.detail = detail


class NameInvalid(OciError):
    code, message = "NAME_INVALID", "invalid repository name"


class NameUnknown(OciError):
    code, message = "NAME_UNKNOWN", "repository name not known to registry"


class DigestInvalid(OciError):
    code, message = "DIGEST_INVALID", "provided digest did not match uploaded content"


class BlobUnknown(OciError):
    code, message = "BLOB_UNKNOWN", "blob unknown to registry"


class InUse(OciError):
    """Manifests of the repository need it, so it can't be deleted. `holders` are up to ten of them."""

    code = "UNSUPPORTED"
    holder: ClassVar[str]
    advice: ClassVar[str] = ""

    def __init__(self, holders: list[str]) -> None:
        those = f"{holders[0]} and others: delete those" if len(holders) > 1 else f"{holders[0]}: delete that"
        super().__init__(f"{self.message} {self.holder} {those} first{self.advice}", manifests=holders)


class BlobReferenced(InUse):
    """A blob that a manifest of the repository names."""

    message = "blob is in use"
    holder, advice = "by manifest", ", or leave the blob to the garbage collection"


class UploadUnknown(OciError):
    code, message = "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"


class UploadInvalid(OciError):
    code, message = "BLOB_UPLOAD_INVALID", "blob upload invalid"


class UploadOutOfOrder(OciError):
    """A chunk that does not start where the upload stands; `offset` and `upload` say where it does."""

    code, message = "BLOB_UPLOAD_INVALID", "chunk out of order"

    def __init__(self, offset: int, location: str) -> None:
        super().__init__(f"the next byte expected is {offset}", offset=offset)
        self.offset = offset
        self.location = location


class ManifestUnknown(OciError):
    code, message = "MANIFEST_UNKNOWN", "manifest unknown to registry"


class ManifestInvalid(OciError):
    code, message = "MANIFEST_INVALID", "manifest invalid"


class ManifestBlobUnknown(OciError):
    code, message = "MANIFEST_BLOB_UNKNOWN", "manifest references a manifest or blob unknown to registry"


class ManifestReferenced(InUse):
    """A manifest that an index lists."""

    message, holder = "manifest is in use", "by index"


class ManifestTooLarge(OciError):
    code, message = "SIZE_INVALID", "manifest too large"


class RequestTooLarge(OciError):
    """More than whatever stands in front of this endpoint lets through; the reason says where to go."""

    code, message = "SIZE_INVALID", "request too large for this endpoint"


class SizeInvalid(OciError):
    code, message = "SIZE_INVALID", "provided length did not match content length"


class RangeInvalid(OciError):
    """A range that lies outside the blob of `size` bytes."""

    code, message = "RANGE_INVALID", "requested range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(size=size)
        self.size = size


class Unauthorized(OciError):
    """No token, a bad one, or one that a larger one could replace; `challenge` tells where to get one (RFC 6750)."""

    code, message = "UNAUTHORIZED", "authentication required"

    def __init__(self, reason: str, challenge: str) -> None:
        super().__init__(reason)
        self.challenge = challenge


class Denied(OciError):
    """Who asks is known, and may not: another token would not help."""

    code, message = "DENIED", "requested access to the resource is denied"


class TooManyRequests(OciError):
    """Again in `retry_after` seconds."""

    code, message = "TOOMANYREQUESTS", "too many requests"

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PageInvalid(OciError):
    code, message = "PAGINATION_NUMBER_INVALID", "invalid number of results requested"


class EndpointUnknown(OciError):
    code, message = "UNSUPPORTED", "no such endpoint"


class MethodNotAllowed(OciError):
    """The endpoint exists, but not for this method; `allow` lists those it has."""

    code, message = "UNSUPPORTED", "method not allowed here"

    def __init__(self, allow: tuple[str, ...]) -> None:
        super().__init__(allow=", ".join(allow))
        self.allow = allow


class WritesElsewhere(OciError):
    """The registry that the repository is imported from still decides about it. `reason` says so."""

    code, message = "UNSUPPORTED", "this repository takes no writes here yet"
