"""A client's view of the registry, for tests: pushes and pulls in a line each."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import requests
from werkzeug.test import Client, TestResponse

from functions.registry import telemetry
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.wiring import Services

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def descriptor(content: bytes, media_type: str = LAYER_TYPE, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


@dataclass(frozen=True)
class Image:
    """A manifest and what it refers to; random, so that no two are alike."""

    config: bytes = field(default_factory=lambda: encode({"random": os.urandom(8).hex()}))
    layers: tuple[bytes, ...] = field(default_factory=lambda: (os.urandom(1000), os.urandom(2000)))
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def manifest(self) -> bytes:
        return encode(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(self.config, CONFIG_TYPE),
                "layers": [descriptor(layer) for layer in self.layers],
                **self.more,
            }
        )

    @property
    def digest(self) -> Digest:
        return Digest.of(self.manifest)

    @property
    def blobs(self) -> tuple[bytes, ...]:
        return (self.config, *self.layers)

    @property
    def blob_digests(self) -> list[Digest]:
        return [Digest.of(blob) for blob in self.blobs]


def index_of(*manifests: bytes, **more: Any) -> bytes:
    children = [descriptor(manifest, OCI_MANIFEST) for manifest in manifests]
    return encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children, **more})


@dataclass(frozen=True)
class Registry:
    client: Client
    services: Services

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(path, method=method, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.request("GET", path, **options)

    def statements(self, method: str, path: str, **options: Any) -> list[str]:
        """The names of the statements that a request runs, in order."""
        names: list[str] = []
        self.services.schema.require()  # asked once for each process
        self.services.imports.sources.known()  # and this twice a minute
        with mock.patch.object(telemetry, "count_statements", lambda run, _: names.extend(run)):
            self.request(method, path, **options)
        return names

    def start_upload(self, repository: str) -> str:
        """The location of a new upload."""
        response = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    def push_blob(self, repository: str, content: bytes, algorithm: str = "sha256") -> Digest:
        digest = Digest.of(content, algorithm)
        location = self.start_upload(repository)
        response = self.request("PUT", f"{location}?digest={digest}", data=content)
        assert response.status_code == 201, response.text
        return digest

    def put_manifest(self, repository: str, reference: object, manifest: bytes, **options: Any) -> TestResponse:
        options.setdefault("content_type", json.loads(manifest)["mediaType"])
        return self.request("PUT", f"/v2/{repository}/manifests/{reference}", data=manifest, **options)

    def push_image(self, repository: str, tag: str | None = None, image: Image | None = None) -> Image:
        """Blobs first, then the manifest, by tag if one is given."""
        image = image or Image()
        for blob in image.blobs:
            self.push_blob(repository, blob)
        response = self.put_manifest(repository, tag or image.digest, image.manifest)
        assert response.status_code == 201, response.text
        return image

    def pull_blob(self, repository: str, digest: Digest) -> bytes:
        """Pulls as clients do: from the registry, then from where it points."""
        response = self.get(f"/v2/{repository}/blobs/{digest}")
        if response.status_code == 307:
            answer = requests.get(response.headers["Location"], timeout=10)
            assert answer.status_code == 200, answer.text
            return bytes(answer.content)
        assert response.status_code == 200, response.text
        return bytes(response.data)

    def error_code(self, response: TestResponse) -> str:
        """Returns the code of an answer that must be an OCI error."""
        assert response.content_type == "application/json", response.text
        errors = response.get_json()["errors"]
        assert len(errors) == 1
        assert set(errors[0]) <= {"code", "message", "detail"}
        code: str = errors[0]["code"]
        return code
