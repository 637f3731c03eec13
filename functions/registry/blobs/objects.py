"""What lies in a bucket that others write too: listed and read, by plain requests with the client's credentials.

Google's client takes five times the processor time for a read, and an import does little else.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing, StoreBusy
from functions.registry.blobs.gcs import connect, translating

PAGE_SIZE: Final = 1000
_FIELDS: Final = "name,size,md5Hash,crc32c,updated,generation"
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One line of a listing: `size` in bytes, `md5` and `crc32c` as hashed, where the store knows them.

    `updated` is when it was written, and `generation` grows with each writing.
    """

    name: str
    size: int
    md5: bytes | None
    crc32c: bytes | None
    updated: datetime
    generation: int


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """Objects in the order of their names; one that is not the last may not be empty."""

    objects: list[StoredObject]
    is_last: bool


class StoredObjects:
    """A bucket as a place to read from. All methods raise BlobStoreUnavailable, and two kinds of it: StoreBusy for what
    is too much at once, AccessRefused for a right that is missing.

    Nothing is tried again here: whoever reads many slows down and comes back.
    """

    def __init__(self, bucket: str, timeout_seconds: float, at_once: int = 32) -> None:
        client = connect(at_once)
        self._session = client._http  # noqa: SLF001  # its session has no other name
        self._objects = f"/storage/v1/b/{quote(bucket, safe='')}/o"
        self._endpoint = client.api_endpoint
        self._timeout_seconds = timeout_seconds

    def page(self, prefix: str, after: str = "", before: str = "") -> ObjectPage:
        # A start is included there; the name after it that could be named has a character that not all stores take.
        query = {
            "prefix": prefix,
            "startOffset": after,
            "endOffset": before,
            "maxResults": str(PAGE_SIZE),
            "fields": f"nextPageToken,items({_FIELDS})",
        }
        while True:
            answer = self._listed(query)
            objects = [_stored(item) for item in answer.get("items", ())]
            token = answer.get("nextPageToken")
            if objects and objects[0].name == after:
                del objects[0]
            if objects or not token:
                return ObjectPage(objects, is_last=not token)
            query["pageToken"] = token

    def find(self, name: str) -> StoredObject | None:
        try:
            return _stored(self._json(f"{self._objects}/{quote(name, safe='')}", {"fields": _FIELDS}))
        except ObjectMissing:
            return None

    def read(self, name: str, most: int) -> bytes:
        if most <= 0:
            return b""
        path = f"/download{self._objects}/{quote(name, safe='')}"
        answer = self._get(path, {"alt": "media"}, {"Range": f"bytes=0-{most - 1}"})
        return b"" if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE else bytes(answer.content)

    def folders(self, prefix: str) -> list[str]:
        query = {"prefix": prefix, "delimiter": "/", "fields": "nextPageToken,prefixes"}
        found: list[str] = []
        while True:
            answer = self._listed(query)
            found += answer.get("prefixes", ())
            if not answer.get("nextPageToken"):
                return found
            query["pageToken"] = answer["nextPageToken"]

    def _listed(self, query: dict[str, str]) -> dict[str, Any]:
        try:
            return self._json(self._objects, query)
        except ObjectMissing as error:
            raise AccessRefused(f"there is no such bucket: {error}") from error

    def _json(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._get(path, {name: value for name, value in query.items() if value})
        try:
            document: dict[str, Any] = answer.json()
        except ValueError as error:
            raise BlobStoreUnavailable("the store's answer is no JSON") from error
        return document

    def _get(self, path: str, query: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        with translating():
            answer = self._session.get(
                self._endpoint + path,
                params=query,
                # As it lies there: nothing is unpacked on the way.
                headers={"Accept-Encoding": "identity", **(headers or {})},
                timeout=self._timeout_seconds,
            )
        status = answer.status_code
        if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return answer
        reason = f"{status}: {' '.join(answer.text.split())[:_LONGEST_REASON]}"
        if status == HTTPStatus.NOT_FOUND:
            raise ObjectMissing(reason)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessRefused(reason)
        raise StoreBusy(reason)


def _stored(item: dict[str, Any]) -> StoredObject:
    return StoredObject(
        name=item["name"],
        size=int(item["size"]),
        md5=base64.b64decode(item["md5Hash"]) if "md5Hash" in item else None,
        crc32c=base64.b64decode(item["crc32c"]) if "crc32c" in item else None,
        updated=datetime.fromisoformat(item["updated"]),
        generation=int(item["generation"]),
    )
