"""A client that pushes as clients do, and tells the model what the registry answered it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from werkzeug.test import TestResponse

from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.property.model import UPLOAD_HOURS, Document, Model, other
from tests.support import Registry

CHUNK: Final = 5


class Way(Enum):
    """How the bytes of a blob are sent. `CHECKING` asks first, and sends nothing that the registry holds."""

    CHECKING = "checking"
    WHOLE = "whole"
    CHUNKS = "chunks"
    AT_ONCE = "at once"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Upload:
    """Of `content`, `sent` bytes were sent. `swaps` and `deletions` are those of its repository as it began."""

    repository: str
    location: str
    content: bytes
    sent: int
    expires: float
    swaps: int
    deletions: int


@dataclass
class Client:
    """`is_alone` while nothing else changes the registry: then each answer is known beforehand."""

    registry: Registry
    model: Model
    is_alone: bool = True

    def _request(self, method: str, path: str, data: bytes = b"", content_type: str | None = None) -> TestResponse:
        return self.registry.request(method, path, data=data, content_type=content_type)

    def has_blob(self, repository: str, digest: Digest) -> bool:
        return self._confirmed("blobs", repository, digest, is_there=(repository, digest) in self.model.links)

    def has_manifest(self, repository: str, document: Document) -> bool:
        is_there = (repository, document) in self.model.manifests
        return self._confirmed("manifests", repository, document.digest, is_there=is_there)

    def _confirmed(self, kind: str, repository: str, digest: Digest, *, is_there: bool) -> bool:
        status = self._request("HEAD", f"/v2/{repository}/{kind}/{digest}").status_code
        assert status in (200, 404)
        return self._told(repository, digest, status == 200, is_there=is_there)

    def _told(self, repository: str, digest: Digest, answer: bool, *, is_there: bool) -> bool:
        if answer:
            self.model.looked_for(repository, digest)
        assert not self.is_alone or is_there == answer
        return answer

    def start_upload(self, repository: str, content: bytes, *, is_begun: bool) -> Upload:
        answer = self._request("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status_code == 202, answer.text
        location, sent = answer.headers["Location"], content[:CHUNK] if is_begun else b""
        if is_begun:
            assert self._request("PATCH", location, sent).status_code == 202
        expires, model = self.model.now + UPLOAD_HOURS, self.model
        return Upload(repository, location, content, len(sent), expires, model.swaps, model.deletions[repository])

    def find(self, upload: Upload) -> Upload:
        """It lies with its repository, whatever the name of that is now."""
        if (self.model.swaps - upload.swaps) % 2 == 0:
            return upload
        now = other(upload.repository)
        return replace(upload, repository=now, location=upload.location.replace(upload.repository, now))

    def is_open(self, upload: Upload) -> bool:
        """Given where it lies now."""
        return self.model.now < upload.expires and self.model.deletions[upload.repository] == upload.deletions

    def finish(self, upload: Upload) -> int:
        status = self._end(upload)
        if status == 201:
            self._has_pushed(upload.repository, Digest.of(upload.content))
        return status

    def finish_again(self, upload: Upload) -> None:
        """One that has ended: the answer is that of a HEAD of the blob."""
        digest = Digest.of(upload.content)
        is_there = (upload.repository, digest) in self.model.links
        status = self._end(upload)
        assert status in (201, 404)
        self._told(upload.repository, digest, status == 201, is_there=is_there)

    def _end(self, upload: Upload) -> int:
        rest = upload.content[upload.sent :]
        return self._request("PUT", f"{upload.location}?digest={Digest.of(upload.content)}", rest).status_code

    def push_blob(self, repository: str, content: bytes, way: Way) -> None:
        digest = Digest.of(content)
        if way is Way.CHECKING and self.has_blob(repository, digest):
            # It may have gone since the last observation, and been brought back by another.
            self.model.links.add((repository, digest))
            return
        if way is Way.AT_ONCE:
            answer = self._request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", content)
            assert answer.status_code == 201, answer.text
            self._has_pushed(repository, digest)
            return
        upload = self.start_upload(repository, content, is_begun=way is Way.CHUNKS)
        assert self.finish(upload) == 201

    def _has_pushed(self, repository: str, digest: Digest) -> None:
        self.model.links.add((repository, digest))
        self.model.pushed("upload", repository, digest)

    def mount(self, repository: str, source: str, content: bytes) -> None:
        digest = Digest.of(content)
        is_there = (source, digest) in self.model.links
        answer = self._request("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}")
        assert answer.status_code == (201 if is_there else 202), answer.text
        if is_there:
            self._has_pushed(repository, digest)

    def push_parts(self, repository: str, document: Document, way: Way) -> None:
        """All that must be there before the manifest: blobs, then what it lists, each with its own parts."""
        for content in document.blobs:
            self.push_blob(repository, content, way)
        for child in document.children:
            if way is not Way.CHECKING or not self.has_manifest(repository, child):
                self.push(repository, child, None, way)

    def push(self, repository: str, document: Document, tag: str | None, way: Way) -> None:
        self.push_parts(repository, document, way)
        assert self.put(repository, document, tag), "what was confirmed a moment ago is gone"

    def put(self, repository: str, document: Document, tag: str | None) -> bool:
        """The manifest alone; False if the registry lacks what it names."""
        is_complete = self.model.is_complete(repository, document)
        path = f"/v2/{repository}/manifests/{tag or document.digest}"
        answer = self._request("PUT", path, document.payload, OCI_INDEX if document.children else OCI_MANIFEST)
        assert answer.status_code in (201, 404), answer.text
        if answer.status_code == 201:
            self.model.put(repository, document, tag)
            self.model.pushed("push", repository, document.digest)
        else:
            assert self.registry.error_code(answer) == "MANIFEST_BLOB_UNKNOWN"
        assert not self.is_alone or is_complete == (answer.status_code == 201)
        return answer.status_code == 201

    def delete(self, path: str) -> int:
        return self._request("DELETE", path).status_code
