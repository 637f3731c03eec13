"""A client of the registry as docker is one: one connection kept open, redirects followed, blobs before manifests."""

from __future__ import annotations

import http.client
import json
import random
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from functions.registry.oci.digest import Digest

_PATIENCE_SECONDS: Final = 60


class Cut(Exception):
    """No answer came, or one that says to try again: a process was killed meanwhile."""


class Refused(Exception):
    def __init__(self, request: str, status: int, body: bytes) -> None:
        super().__init__(f"{request}: {status} {body[:300]!r}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """Belongs to one thread. All methods raise Cut, and Refused for an answer that was not hoped for."""

    def __init__(self, address: str, chance: random.Random) -> None:
        self._address = address
        self._chance = chance
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def request(self, method: str, path: str, body: bytes = b"", *, hoped: tuple[int, ...], **headers: str) -> Answer:
        url = urlsplit(path)
        host = url.netloc or self._address
        target = f"{url.path}?{url.query}" if url.query else url.path
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection = self._connections.setdefault(host, http.client.HTTPConnection(host, timeout=_PATIENCE_SECONDS))
            connection.request(method, target, body, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Cut(f"{method} {target}: {error!r}") from error
        if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise Cut(f"{method} {target}: 503")
        if answer.status not in hoped:
            raise Refused(f"{method} {target}", answer.status, answer.body)
        return answer

    def resolve(self, repository: str, tag: str) -> tuple[Digest, dict[str, Any]] | None:
        """What the tag points at now."""
        answer = self.request("GET", f"/v2/{repository}/manifests/{tag}", hoped=(200, 404))
        if answer.status == http.HTTPStatus.NOT_FOUND:
            return None
        return Digest.of(answer.body), json.loads(answer.body)

    def manifest(self, repository: str, digest: str) -> dict[str, Any]:
        answer = self.request("GET", f"/v2/{repository}/manifests/{digest}", hoped=(200,))
        if str(Digest.of(answer.body)) != digest:
            raise Refused(f"manifest {digest}", answer.status, b"other bytes")
        document: dict[str, Any] = json.loads(answer.body)
        return document

    def pull(self, repository: str, document: dict[str, Any]) -> None:
        """All that a manifest names, compared with its digest."""
        for child in document.get("manifests", ()):
            self.pull(repository, self.manifest(repository, child["digest"]))
        for blob in [document["config"], *document["layers"]] if "layers" in document else ():
            self._pull_blob(repository, blob["digest"])

    def _pull_blob(self, repository: str, digest: str) -> None:
        answer = self.request("GET", f"/v2/{repository}/blobs/{digest}", hoped=(307,))
        content = self.request("GET", answer.headers["Location"], hoped=(200,)).body
        if str(Digest.of(content)) != digest:
            raise Refused(f"blob {digest}", answer.status, b"other bytes")

    def ensure_blob(self, repository: str, content: bytes, elsewhere: str) -> None:
        """HEAD first, then a mount from another repository, then an upload: in one request, in two, or in chunks."""
        digest = Digest.of(content)
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest}", hoped=(200, 404)).status == http.HTTPStatus.OK:
            return
        if self._chance.random() < 0.3:
            self._upload_at_once(repository, content)
            return
        mount = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={elsewhere}"
        answer = self.request("POST", mount, hoped=(201, 202))
        if answer.status == http.HTTPStatus.ACCEPTED:
            self.finish_upload(answer.headers["Location"], content)

    def _upload_at_once(self, repository: str, content: bytes) -> None:
        self.request("POST", f"/v2/{repository}/blobs/uploads/?digest={Digest.of(content)}", content, hoped=(201,))

    def start_upload(self, repository: str) -> str:
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/", hoped=(202,))
        return str(answer.headers["Location"])

    def finish_upload(self, location: str, content: bytes) -> None:
        cut = self._chance.choice((0, 0, len(content) // 3))
        if cut:
            self.request("PATCH", location, content[:cut], hoped=(202,))
        self.request("PUT", f"{location}?digest={Digest.of(content)}", content[cut:], hoped=(201,))

    def put_manifest(self, repository: str, reference: object, manifest: bytes) -> None:
        media_type = json.loads(manifest)["mediaType"]
        path = f"/v2/{repository}/manifests/{reference}"
        self.request("PUT", path, manifest, hoped=(201,), Content_Type=media_type)
