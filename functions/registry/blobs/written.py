"""Objects that are written where others write too: nothing is replaced or deleted that is not as it was last seen."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from functions.registry.blobs.errors import AccessRefused, ObjectMissing, StoreBusy
from functions.registry.blobs.gcs import connect, translating

_LONGEST_REASON: Final = 300
_ABSENT: Final = 0


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
        """Copies within the store, into a name that nothing has; False if something has it. Raises ObjectMissing."""
        path = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(source, safe='')}"
        path += f"/rewriteTo/b/{self._bucket}/o/{quote(name, safe='')}"
        query = {"ifGenerationMatch": str(_ABSENT)}
        while (answer := self._ask("POST", path, query)) is not None:
            document = answer.json()
            if document["done"]:
                return True
            query["rewriteToken"] = document["rewriteToken"]
        return False

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
