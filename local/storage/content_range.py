"""The Content-Range of a resumable upload's chunk."""

import re
from dataclasses import dataclass
from typing import Final

from local.storage.calls import Call
from local.storage.errors import invalid

_FORM: Final = re.compile(r"bytes (?:(\d+)-(\d+|\*)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class ContentRange:
    """What a chunk says of itself.

    `start` is None for a chunk without bytes, which asks how far the upload is or ends it; `total` is None until the
    client knows the object's size. With `is_rest`, the object ends where this body ends.
    """

    start: int | None
    total: int | None
    is_rest: bool

    def completes(self, size: int) -> bool:
        """Says whether the object is complete now that `size` bytes are stored; 400 if that is more than announced."""
        if self.total is not None and size > self.total:
            raise invalid("More bytes were sent than the object was to have.")
        return self.is_rest or size == self.total


def parse(call: Call) -> ContentRange:
    """Read the header; without one the body is the whole object."""
    header = call.headers.get("Content-Range")
    if header is None:
        return ContentRange(start=0, total=None, is_rest=True)
    found = _FORM.fullmatch(header)
    if found is None:
        raise invalid(f"Invalid Content-Range: {header}")
    first, last, total = found.groups()
    _check_length(call, first, last)
    return ContentRange(
        start=None if first is None else int(first),
        total=None if total == "*" else int(total),
        is_rest=last == "*" and total == "*",
    )


def _check_length(call: Call, first: str | None, last: str | None) -> None:
    if first is None or last is None or last == "*" or call.content_length is None:
        return
    if int(last) - int(first) + 1 != call.content_length:
        raise invalid("Content-Range and Content-Length disagree.")
