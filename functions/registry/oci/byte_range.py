"""Byte ranges: `Content-Range` of an upload's chunk, `Range` of a blob's read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from functions.registry.oci.errors import RangeInvalid, UploadInvalid

# The specification's form is `0-99`; `bytes 0-99/*` and `0-99/*` are sent by clients in use.
_CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?(\d{1,19})-(\d{1,19})(?:/(?:\*|\d{1,19}))?", re.ASCII)
_RANGE: Final = re.compile(r"bytes=(?:(\d{1,19})-(\d{1,19})?|-(\d{1,19}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """It goes from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def parse_content_range(text: str) -> ByteRange:
    """Returns which bytes of the blob a chunk holds. Raises UploadInvalid."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None or int(match[2]) < int(match[1]):
        raise UploadInvalid("Content-Range is written FIRST-LAST", content_range=text[:100])
    return ByteRange(int(match[1]), int(match[2]))


def parse_range(text: str | None, size: int) -> ByteRange | None:
    """Returns the one range that a read of `size` bytes asks for, cut to the blob's end.

    None if it asks for none, for several (answering the whole is allowed, RFC 9110 section 14.2) or in another
    unit; and of an empty blob, of which there is no part: clients in use ask for `bytes=0-` whatever they read.
    Raises RangeInvalid if nothing of it lies inside the blob, also for one that ends before it starts.
    """
    match = _RANGE.fullmatch(text.strip()) if text else None
    if match is None or not size:
        return None
    if match[3] is not None:
        first, last = max(size - int(match[3]), 0), size - 1
    else:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    if first > last:
        raise RangeInvalid(size)
    return ByteRange(first, last)
