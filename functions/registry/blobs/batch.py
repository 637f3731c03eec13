"""Many deletions in one request, and the answer to each: the JSON API's `multipart/mixed` batches.

The Google client can make them too, but by way of an e-mail message for each call and each answer: that would nearly
double what a blob costs the collector (docs/adr/0023).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

PATH: Final = "/batch/storage/v1"

_BOUNDARY: Final = re.compile(r'multipart/mixed\s*;.*\bboundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |\r?\n|$)")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str

    @property
    def is_gone(self) -> bool:
        """Is true also if it was not there to begin with."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES or self.status == HTTPStatus.NOT_FOUND


def deletions(bucket: str, object_names: Sequence[str]) -> tuple[str, bytes]:
    """Returns the content type and the body of a request that deletes up to 100 objects: the service takes no more."""
    boundary = uuid.uuid4().hex
    calls = "".join(
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"DELETE /storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')} HTTP/1.1\r\n\r\n\r\n"
        for name in object_names
    )
    return f'multipart/mixed; boundary="{boundary}"', f"{calls}--{boundary}--\r\n".encode()


def answers(content_type: str, body: bytes, count: int) -> list[Answer]:
    """Returns the answer to each call, in order. Raises ValueError if these are not `count` answers."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise ValueError(f"an answer of type {content_type!r} to a batch")
    boundary = b"--" + (found[1] or found[2]).encode()
    # Before the first boundary is nothing of interest, and after the last only its two dashes.
    parts = (b"\r\n" + body).split(b"\n" + boundary)[1:-1]
    if len(parts) != count:
        raise ValueError(f"{len(parts)} answers to {count} calls")
    return [_answer(part) for part in parts]


def _answer(part: bytes) -> Answer:
    """Reads the answer in a part: its own head, then an answer of HTTP, whose head begins with the status and whose
    body may be none.
    """
    _, *http = _END_OF_HEAD.split(part.rstrip(), maxsplit=2)
    status = _STATUS.match(http[0]) if http else None
    if status is None:
        raise ValueError(f"no answer of HTTP: {part[:200]!r}")
    return Answer(int(status[1]), http[1].decode(errors="replace") if len(http) > 1 else "")
