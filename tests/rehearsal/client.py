"""A client of the registry that signs in as docker does, and never asks twice: what fails has failed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urljoin

import requests

_SECONDS: Final = 60
_PIECE_BYTES: Final = 1 << 20
_MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_ACCEPTED: Final = f"{_MANIFEST_TYPE}, application/vnd.docker.distribution.manifest.v2+json"
# Tokens live five minutes; a new one now and then keeps the sign-in under load as well.
_PULLS_WITH_ONE_TOKEN: Final = 20


class Failed(Exception):
    """An answer that was not hoped for, or none."""


class Client:
    """Belongs to one thread. All methods raise Failed."""

    def __init__(self, address: str, credentials: tuple[str, str], repository: str) -> None:
        self._base = f"http://{address}/v2/{repository}/"
        self._realm = f"http://{address}/token"
        self._credentials = credentials
        self._repository = repository
        self._scope = f"repository:{repository}:pull,push"
        self._session = requests.Session()

    def sign_in(self) -> None:
        """Signs in as Docker's clients do: the service is the one that the registry's challenge names."""
        self._session.headers.pop("Authorization", None)
        challenge = self.request("GET", urljoin(self._base, "/v2/"), hoped=401).headers["WWW-Authenticate"]
        service = re.search(r'service="([^"]+)"', challenge)
        if service is None:
            raise Failed(f"no service in {challenge}")
        parameters = {"service": service[1], "scope": self._scope}
        self._session.auth = self._credentials
        answer = self.request("GET", self._realm, params=parameters, hoped=200)
        self._session.auth = None
        self._session.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def elsewhere(self, address: str) -> Client:
        """Returns one at another address of the same registry, signed in already."""
        client = Client(address, self._credentials, self._repository)
        client._session.headers.update(self._session.headers)
        return client

    def request(self, method: str, path: str, *, hoped: int, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(
                method, urljoin(self._base, path), timeout=_SECONDS, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise Failed(f"{method} {path}: {error!r}") from error
        if answer.status_code != hoped:
            raise Failed(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def start_upload(self) -> str:
        return self.request("POST", "blobs/uploads/", hoped=202).headers["Location"]

    def push_blob(self, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.request("PUT", f"{self.start_upload()}?digest={digest}", data=content, hoped=201)
        return {"digest": digest, "size": len(content), "mediaType": "application/octet-stream"}

    def stream(self, location: str, pieces: Iterable[bytes]) -> requests.Response:
        """Sends a layer as docker does: one PATCH without a length. Whatever the answer is."""
        try:
            return self._session.patch(urljoin(self._base, location), data=iter(pieces), timeout=_SECONDS)
        except requests.RequestException as error:
            raise Failed(f"PATCH {location}: {error!r}") from error

    def push_image(self, tag: str, size: int = 50_000) -> None:
        config, layer = self.push_blob(os.urandom(100)), self.push_blob(os.urandom(size))
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST_TYPE, "config": config, "layers": [layer]}
        headers = {"Content-Type": _MANIFEST_TYPE}
        self.request("PUT", f"manifests/{tag}", data=json.dumps(manifest).encode(), headers=headers, hoped=201)

    def pull_image(self, tag: str) -> int:
        """The bytes of its blobs, which have to be those of their digests."""
        manifest = self.request("GET", f"manifests/{tag}", headers={"Accept": _ACCEPTED}, hoped=200).json()
        return sum(self._pull_blob(blob["digest"]) for blob in (manifest["config"], *manifest["layers"]))

    def _pull_blob(self, digest: str) -> int:
        location = self.request("GET", f"blobs/{digest}", hoped=307).headers["Location"]
        running, size = hashlib.sha256(), 0
        try:
            with requests.get(location, timeout=_SECONDS, stream=True) as answer:
                for piece in answer.iter_content(_PIECE_BYTES):
                    running.update(piece)
                    size += len(piece)
        except requests.RequestException as error:
            raise Failed(f"GET {location}: {error!r}") from error
        if digest != f"sha256:{running.hexdigest()}":
            raise Failed(f"GET {location}: other bytes")
        return size


@dataclass
class Pulls:
    """`threads` clients that pull an image again and again, from the block's start to its end."""

    address: str
    credentials: tuple[str, str]
    repository: str
    tag: str
    threads: int = 4
    pause_seconds: float = 0.0
    count: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._running = [threading.Thread(target=self._pull) for _ in range(self.threads)]

    def __enter__(self) -> Self:
        for thread in self._running:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._running:
            thread.join()

    def _pull(self) -> None:
        client = Client(self.address, self.credentials, self.repository)
        number = 0
        while not self._is_over.wait(self.pause_seconds):
            try:
                if number % _PULLS_WITH_ONE_TOKEN == 0:
                    client.sign_in()
                client.pull_image(self.tag)
            except Failed as failed:
                self.failures.append(f"{time.strftime('%X')} {failed}")
            number += 1
            self.count += 1
