"""Images as people have them, pushed over HTTP: for several platforms, with history, configs and signatures."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any, Final

import requests

_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_SIGNATURE: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
_SECONDS: Final = 60
TAGS: Final = 60


@dataclass
class _Pusher:
    address: str
    secret: str

    def ask(self, method: str, repository: str, path: str, **what: Any) -> requests.Response:
        scope = f"repository:{repository}:pull,push"
        token = requests.get(
            f"{self.address}/token", params={"scope": scope}, auth=("admin", self.secret), timeout=_SECONDS
        ).json()["token"]
        headers = {"Authorization": f"Bearer {token}", **what.pop("headers", {})}
        answer = requests.request(method, f"{self.address}{path}", headers=headers, timeout=_SECONDS, **what)
        answer.raise_for_status()
        return answer

    def blob(self, repository: str, content: bytes) -> None:
        path = f"/v2/{repository}/blobs/uploads/?digest={_digest(content)}"
        self.ask("POST", repository, path, data=content, headers={"Content-Type": "application/octet-stream"})

    def manifest(self, repository: str, reference: str, document: dict[str, Any]) -> bytes:
        content = json.dumps(document).encode()
        path = f"/v2/{repository}/manifests/{reference or _digest(content)}"
        self.ask("PUT", repository, path, data=content, headers={"Content-Type": document["mediaType"]})
        return content

    def image(self, repository: str, tag: str, architecture: str, version: str) -> bytes:
        config = json.dumps(_config(architecture, version)).encode()
        layers = [
            random.Random(f"{seed} {architecture}").randbytes(size)  # noqa: S311  # contents, not secrets
            for seed, size in (("base", 280_000), ("packages", 70_000), (f"{repository} {version}", 41_000))
        ]
        for content in (config, *layers):
            self.blob(repository, content)
        described = [_descriptor(_LAYER, layer) for layer in layers]
        document = {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": _descriptor(_CONFIG, config),
            "layers": described,
        }
        return self.manifest(repository, tag, document)

    def index(self, repository: str, tag: str) -> bytes:
        children = [(name, self.image(repository, "", name, tag)) for name in ("amd64", "arm64")]
        listed = [
            _descriptor(_IMAGE, child, platform={"os": "linux", "architecture": name}) for name, child in children
        ]
        return self.manifest(repository, tag, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": listed})

    def sign(self, repository: str, signed: bytes) -> None:
        config, layer = b"{}", _digest(signed).encode()
        for content in (config, layer):
            self.blob(repository, content)
        document = {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "artifactType": _SIGNATURE,
            "config": _descriptor(_EMPTY, config),
            "layers": [_descriptor("application/json", layer)],
            "subject": _descriptor(_INDEX, signed),
        }
        self.manifest(repository, "", document)


def fill(address: str, secret: str) -> None:
    """Pushes a few repositories, one of which has more tags than a page shows."""
    pusher = _Pusher(address, secret)
    for repository in ("team/api", "team/web", "base/debian"):
        for tag in ("1.13.0", "1.14.1", "1.14.2"):
            index = pusher.index(repository, tag)
            pusher.sign(repository, index)
    image = json.loads(pusher.image("data/etl", "build-000", "amd64", "etl"))
    for number in range(1, TAGS):
        pusher.manifest("data/etl", f"build-{number:03}", image)


def _config(architecture: str, version: str) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": "2026-11-28T04:05:11Z",
        "config": {
            "User": "10001",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "DB_PASSWORD=example"],
            "Entrypoint": ["/app/api"],
            "Cmd": ["serve", "--port", "8080"],
            "WorkingDir": "/app",
            "Labels": {
                "org.opencontainers.image.source": "https://git.example/team/api",
                "org.opencontainers.image.version": version,
            },
        },
        "history": [
            {"created_by": "/bin/sh -c #(nop) ADD file:debian-12 in /"},
            {"created_by": "/bin/sh -c apt-get update && apt-get install --yes ca-certificates tzdata"},
            {"created_by": "ENV LANG=C.UTF-8", "empty_layer": True},
            {"created_by": "COPY /out /app # buildkit"},
            {"created_by": 'ENTRYPOINT ["/app/api"]', "empty_layer": True},
        ],
    }


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content), **more}
