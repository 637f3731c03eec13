"""Objects that are written where others write too: nothing is replaced or deleted that is not as it was last seen."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from functions.registry.blobs.errors import AccessRefused, ObjectMissing, StoreBusy
from functions.registry.blobs.gcs import connect, translating

_LONGEST_REASON: Final = 300
_ABSENT: Final = 0
# In one request, so that it is answered in time.
_MOST_BYTES_COPIED: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class CopyStep:
    """`token` is where to go on, and None at the end; which is no good one if something has the name."""

    is_done: bool
    token: str | None = None


class WrittenObjects:
    """A bucket as a place to write to. All methods raise BlobStoreUnavailable, and two kinds of it: StoreBusy for what
    is too much at once, AccessRefused for a right that is missing. Nothing is tried again here.
    """

    def __init__(self, bucket: str, timeout_seconds: float, at_once: int = 16) -> None:
        client = connect(at_once)
        self._session = client._http  # noqa: SLF001  # its session has no other name
        self._endpoint = client.api_endpoint
        self._bucket = quote(bucket, safe="")
        self._timeout_seconds = timeout_seconds

    def put(self, name: str, content: bytes, generation: int = _ABSENT) -> int | None:
        """Writes it if the object is of that generation, 0 for none; returns the new one, None if it is another's."""
        path = f"/upload/storage/v1/b/{self._bucket}/o"
        query = {"uploadType": "media", "name": name, "ifGenerationMatch": str(generation)}
        headers = {"Content-Type": "application/octet-stream"}
        answer = self._ask("POST", path, query, content, headers)
        return None if answer is None else int(answer.json()["generation"])

    def copy(self, name: str, bucket: str, source: str) -> bool:
        """Within the store, into a name that nothing has; False if something has it. Raises ObjectMissing."""
        step = self.copy_on(name, bucket, source)
        while step.token is not None:
            step = self.copy_on(name, bucket, source, step.token)
        return step.is_done

    def copy_on(self, name: str, bucket: str, source: str, token: str | None = None) -> CopyStep:
        """One request of such a copy, which goes on where that with the `token` ended: a large object may take many,
        where it comes from another place. Raises ObjectMissing.
        """
        path = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(source, safe='')}"
        path += f"/rewriteTo/b/{self._bucket}/o/{quote(name, safe='')}"
        query = {"ifGenerationMatch": str(_ABSENT), "maxBytesRewrittenPerCall": str(_MOST_BYTES_COPIED)}
        if token is not None:
            query["rewriteToken"] = token
        answer = self._ask("POST", path, query)
        if answer is None:
            return CopyStep(is_done=False)
        document = answer.json()
        return CopyStep(document["done"], None if document["done"] else document["rewriteToken"])

    def delete(self, name: str, generation: int | None = None) -> bool:
        """Returns False if it is of another generation; one that is gone already is fine."""
        path = f"/storage/v1/b/{self._bucket}/o/{quote(name, safe='')}"
        query = {} if generation is None else {"ifGenerationMatch": str(generation)}
        try:
            return self._ask("DELETE", path, query) is not None
        except ObjectMissing:
            return True

    def _ask(
        self, method: str, path: str, query: dict[str, str], content: bytes = b"", headers: dict[str, str] | None = None
    ) -> Any | None:
        """Returns None if the object is not of the generation that was asked for."""
        with translating():
            answer = self._session.request(
                method,
                self._endpoint + path,
                params=query,
                data=content,
                headers=headers,
                timeout=self._timeout_seconds,
            )
        status = answer.status_code
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        if status == HTTPStatus.PRECONDITION_FAILED:
            return None
        reason = f"{status}: {' '.join(answer.text.split())[:_LONGEST_REASON]}"
        if status == HTTPStatus.NOT_FOUND:
            raise ObjectMissing(reason)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessRefused(reason)
        raise StoreBusy(reason)
