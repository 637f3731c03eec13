"""The bucket: the one module that knows the Google client."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode

import google_crc32c

from functions.registry.blobs import batch
from functions.registry.blobs.errors import AccessRefused, BlobStoreUnavailable, ObjectMissing
from functions.registry.blobs.part import PartWriter, written
from functions.registry.blobs.wire import Answer, ask
from functions.registry.blobs.writer import ObjectWriter
from functions.registry.config import MEBIBYTE, Settings

# Cloud Storage's limit for one composition.
MOST_COMPOSED: Final = 32
_LONGEST_REASON: Final = 500
# A read is made of requests of this size, each tried again by itself.
_READ_BYTES: Final = 4 * MEBIBYTE
_RETRY_SECONDS: Final = 15.0
# How long one of many is waited for, all of which can be read another time.
_READ_ONCE_SECONDS: Final = 10.0

# Otherwise the client looks the bucket up, once for each process, in a thread of its own.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


def new_object_name(upload_id: uuid.UUID) -> str:
    """Returns a name that is never the same twice, so that a late deletion can't hit a newer object. Random first:
    loads spread evenly.
    """
    return f"blobs/{upload_id}/{uuid.uuid4().hex[:12]}"


class Bucket:
    """All methods raise BlobStoreUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def start_object(self, object_name: str) -> ObjectWriter:
        """Returns a writer for a new object, which must not exist yet: at the latest its `close` says so."""
        return ObjectWriter(
            self._settings.upload_chunk_bytes,
            lambda: self._open_session(object_name),
            lambda content: self._write_whole(object_name, content),
        )

    def _open_session(self, object_name: str) -> PartWriter:
        with translating():
            url = self._object(object_name).create_resumable_upload_session(
                content_type="application/octet-stream",
                if_generation_match=0,
                checksum=None,
                **self._patience(),
            )
        return PartWriter(url, self._settings.upload_chunk_bytes, self._settings.storage_timeout_seconds)

    def _write_whole(self, object_name: str, content: bytes) -> int:
        """Writes in one request, and returns the CRC32C. The answer to a first try may be lost: what is there then is
        compared instead.
        """
        from google.api_core.exceptions import PreconditionFailed  # noqa: PLC0415  # as below

        with translating():
            try:
                stored = self._patience()["retry"](self._upload)(object_name, content)
            except PreconditionFailed:
                found = self._object(object_name)
                found.reload(**self._patience())
                stored = {"size": found.size, "crc32c": found.crc32c}
        checksum: int = google_crc32c.value(content)
        if int(stored["size"]) != len(content) or stored["crc32c"] != written(checksum):
            raise BlobStoreUnavailable("the stored object differs from what was sent")
        return checksum

    def _upload(self, object_name: str, content: bytes) -> dict[str, Any]:
        """Costs a quarter of what it does by way of the client's session. Signs in as that does."""
        from google.api_core.exceptions import from_http_status  # noqa: PLC0415  # as below

        client = self._bucket.client
        query = urlencode({"uploadType": "media", "name": object_name, "ifGenerationMatch": "0"})
        url = f"{client.api_endpoint}/upload/storage/v1/b/{quote(self._settings.bucket, safe='')}/o?{query}"
        answer = self._send(client._http, url, content)  # noqa: SLF001  # its session has no other name
        if answer.status != HTTPStatus.OK:
            raise from_http_status(answer.status, _shortened(answer.body.decode(errors="replace")))
        stored: dict[str, Any] = json.loads(answer.body)
        return stored

    def _send(self, session: Any, url: str, content: bytes) -> Answer:
        """Sends it once more where the store no longer knows the token. Raises ConnectionError."""
        refreshing = session._auth_request  # noqa: SLF001  # what the session renews its token with
        for is_last in (False, True):
            headers = {"Content-Type": "application/octet-stream"}
            session.credentials.before_request(refreshing, "POST", url, headers)
            try:
                answer = ask("POST", url, headers, (content,), self._settings.storage_timeout_seconds)
            except (OSError, HTTPException) as error:
                raise ConnectionError(f"{type(error).__name__}: {error}") from error
            if answer.status != HTTPStatus.UNAUTHORIZED or is_last:
                break
            session.credentials.refresh(refreshing)
        return answer

    def create_empty(self, object_name: str) -> None:
        with translating():
            self._object(object_name).upload_from_string(
                b"", content_type="application/octet-stream", if_generation_match=0, **self._patience()
            )

    def create(self, object_name: str, content: bytes) -> bool:
        """Writes a small object; False if there is one of that name, which then stays."""
        from google.api_core.exceptions import PreconditionFailed  # noqa: PLC0415  # as below

        with translating():
            try:
                self._object(object_name).upload_from_string(
                    content, content_type="application/octet-stream", if_generation_match=0, **self._patience()
                )
            except PreconditionFailed:
                return False
        return True

    def remove(self, object_name: str) -> None:
        """Deletes one object; that it isn't there is fine."""
        with suppress(ObjectMissing), translating():
            self._object(object_name).delete(**self._patience())

    def compose(self, object_name: str, sources: Sequence[str]) -> int:
        """Joins up to 32 objects, in order, into a new one, and returns its CRC32C. The sources stay. Raises
        ObjectMissing.
        """
        with translating():
            target = self._object(object_name)
            target.content_type = "application/octet-stream"
            parts = [self._object(source) for source in sources]
            target.compose(parts, if_generation_match=0, **self._patience())
            return int.from_bytes(base64.b64decode(target.crc32c), "big")

    def copy(self, object_name: str, bucket: str, source: str) -> None:
        """Copies an object of that bucket into a new one, within the store. Raises ObjectMissing."""
        with translating():
            target = self._object(object_name)
            found = self._bucket.client.bucket(bucket).blob(source)
            # One that was written by an attempt whose answer was lost is the same: nobody else knows the name.
            token, _, _ = target.rewrite(found, **self._patience())
            while token is not None:
                token, _, _ = target.rewrite(found, token=token, **self._patience())

    def size(self, object_name: str) -> int:
        """Returns the size in bytes. Raises ObjectMissing."""
        with translating():
            found = self._object(object_name)
            found.reload(**self._patience())
            return int(found.size)

    def read(self, object_name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """Returns the object's bytes from `first` to `last` or the end, both included, in pieces. Raises
        ObjectMissing.
        """
        while last is None or first <= last:
            end = first + _READ_BYTES - 1 if last is None else min(first + _READ_BYTES - 1, last)
            piece = self._read(object_name, first, end, self._patience())
            if piece:
                yield piece
            if len(piece) < end - first + 1:
                return
            first = end + 1

    def read_once(self, object_name: str, size: int) -> bytes:
        """Returns the first `size` bytes, which are not 0. Raises ObjectMissing.

        Nothing is tried again here: whoever reads many comes back.
        """
        timeout = min(self._settings.storage_timeout_seconds, _READ_ONCE_SECONDS)
        return self._read(object_name, 0, size - 1, {"timeout": timeout, "retry": None})

    def _read(self, object_name: str, first: int, last: int, patience: dict[str, Any]) -> bytes:
        """Reads by one request; empty past the object's end."""
        from google.api_core.exceptions import RequestRangeNotSatisfiable  # noqa: PLC0415  # as below

        with translating():
            try:
                content: bytes = self._object(object_name).download_as_bytes(
                    start=first, end=last, raw_download=True, checksum=None, **patience
                )
            except RequestRangeNotSatisfiable:
                return b""
            return content

    def delete_all(self, object_names: Sequence[str]) -> dict[str, str]:
        """Deletes up to 100 objects in one request; gives the reason for each that could not be. Absent ones are fine.

        Nothing is tried again here: whoever deletes many comes back.
        """
        content_type, body = batch.deletions(self._settings.bucket, object_names)
        try:
            with translating():
                response = self._post(batch.PATH, content_type, body)
            if response.status_code != HTTPStatus.OK:
                raise BlobStoreUnavailable(f"{response.status_code} to a batch: {_shortened(response.text)}")
            answers = batch.answers(response.headers.get("Content-Type", ""), response.content, len(object_names))
        except ValueError as error:
            raise BlobStoreUnavailable(f"no answer to a batch: {error}") from error
        return {
            name: f"{answer.status}: {_shortened(answer.body)}"
            for name, answer in zip(object_names, answers, strict=True)
            if not answer.is_gone
        }

    def _post(self, path: str, content_type: str, body: bytes) -> Any:
        client = self._bucket.client
        return client._connection._make_request(  # noqa: SLF001  # there is no public way to a signed-in request
            "POST",
            client.api_endpoint + path,
            data=body,
            content_type=content_type,
            timeout=self._settings.storage_timeout_seconds,
        )

    def _object(self, object_name: str) -> Any:
        return self._bucket.blob(object_name)

    def _patience(self) -> dict[str, Any]:
        """Returns how long one request may take, and for how long it is tried again.

        The client's own two minutes are too long for somebody who waits for an answer.
        """
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415  # as below

        return {
            "timeout": self._settings.storage_timeout_seconds,
            "retry": DEFAULT_RETRY.with_timeout(_RETRY_SECONDS),
        }

    @cached_property
    def _bucket(self) -> Any:
        return connect().bucket(self._settings.bucket)


def connect(at_once: int = 10) -> Any:
    """Returns Google's client, whose session keeps so many connections."""
    # Imported here: most requests never touch the store, and the client costs a third of a second at a cold start.
    from google.cloud.storage import Client  # noqa: PLC0415

    from functions.registry.blobs.connections import distrusting  # noqa: PLC0415

    client = Client()
    distrusting(client._http, at_once)  # noqa: SLF001  # its session has no other name
    return client


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]


@contextmanager
def translating() -> Iterator[None]:
    from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound  # noqa: PLC0415  # as above
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    try:
        yield
    except NotFound as error:
        raise ObjectMissing from error
    except Forbidden as error:
        raise AccessRefused(f"{type(error).__name__}: {error}") from error
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise BlobStoreUnavailable(f"{type(error).__name__}: {error}") from error
