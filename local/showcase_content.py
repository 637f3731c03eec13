"""Images as a company has them, pushed over HTTP: for several platforms, with history, configs, signatures, SBOMs.

Layers are random bytes made from names, so the same showcase has the same digests; nothing of them can be run.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import requests

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_CHART_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_SIGNATURE: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
_SBOM: Final = "application/spdx+json"
_SECONDS: Final = 60
# Of an image: what it stands on, what it installs, and itself.
_SIZES: Final = (1_460_000, 610_000, 93_000)


@dataclass(frozen=True, slots=True)
class Program:
    """What is in the images of a repository, as their configs tell it."""

    repository: str
    command: Sequence[str]
    packages: str
    platforms: Sequence[str] = ("amd64", "arm64")
    environment: Sequence[str] = ("LANG=C.UTF-8",)


@dataclass
class Pusher:
    """It pushes as the user `admin`, if a secret is given; an open registry asks for none."""

    address: str
    secret: str | None
    _known: set[tuple[str, str]] = field(default_factory=set)

    def ask(self, method: str, path: str, repository: str = "", **what: Any) -> requests.Response:
        """Asks the registry. Raises requests.RequestException, also for what it refuses."""
        headers = {**self._authorization(repository), **what.pop("headers", {})}
        answer = requests.request(method, f"{self.address}{path}", headers=headers, timeout=_SECONDS, **what)
        answer.raise_for_status()
        return answer

    def image(self, program: Program, tag: str, version: str, platform: str) -> bytes:
        """Pushes an image for one platform; without a tag, by its digest."""
        config = json.dumps(_config(program, version, platform)).encode()
        seeds = (f"base {platform}", f"{program.packages} {platform}", f"{program.repository} {version} {platform}")
        layers = [_bytes(seed, size) for seed, size in zip(seeds, _SIZES, strict=True)]
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._described(program.repository, _CONFIG, config),
            "layers": [self._described(program.repository, _LAYER, layer) for layer in layers],
        }
        return self.manifest(program.repository, tag, document)

    def index(self, program: Program, tag: str, version: str) -> bytes:
        """Pushes an image for each platform of the program, and an index of them."""
        listed = [
            {
                **_descriptor(_MANIFEST, self.image(program, "", version, platform)),
                "platform": {"os": "linux", "architecture": platform},
            }
            for platform in program.platforms
        ]
        annotations = {"org.opencontainers.image.version": version}
        document = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": listed, "annotations": annotations}
        return self.manifest(program.repository, tag, document)

    def chart(self, repository: str, version: str) -> bytes:
        """Pushes a Helm chart."""
        name = repository.rpartition("/")[2]
        config = json.dumps({"name": name, "version": version, "apiVersion": "v2", "type": "application"}).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._described(repository, _CHART_CONFIG, config),
            "layers": [self._described(repository, _CHART, _bytes(f"{repository} {version}", 18_000))],
            "annotations": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
        }
        return self.manifest(repository, version, document)

    def refer(self, repository: str, subject: bytes, kind: str) -> None:
        """Pushes something that refers to a manifest: a signature, or an SBOM."""
        artifact_type, layer_type = (_SIGNATURE, "application/json") if kind == "signature" else (_SBOM, _SBOM)
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "artifactType": artifact_type,
            "config": self._described(repository, _EMPTY, b"{}"),
            "layers": [self._described(repository, layer_type, f"{kind} of {_digest(subject)}".encode())],
            "subject": _descriptor(json.loads(subject)["mediaType"], subject),
        }
        self.manifest(repository, "", document)

    def manifest(self, repository: str, tag: str, document: dict[str, Any]) -> bytes:
        """Pushes it under the tag, or by its digest; returns its bytes."""
        content = json.dumps(document).encode()
        path = f"/v2/{repository}/manifests/{tag or _digest(content)}"
        self.ask("PUT", path, repository, data=content, headers={"Content-Type": document["mediaType"]})
        return content

    def _described(self, repository: str, media_type: str, content: bytes) -> dict[str, Any]:
        """Pushes a blob, unless it was, and describes it."""
        digest = _digest(content)
        if (repository, digest) not in self._known:
            self._known.add((repository, digest))
            headers = {"Content-Type": "application/octet-stream"}
            path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
            self.ask("POST", path, repository, data=content, headers=headers)
        return _descriptor(media_type, content)

    def _authorization(self, repository: str) -> dict[str, str]:
        if self.secret is None:
            return {}
        scope = f"repository:{repository}:pull,push,delete" if repository else "registry:catalog:*"
        answer = requests.get(
            f"{self.address}/token", params={"scope": scope}, auth=("admin", self.secret), timeout=_SECONDS
        )
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['token']}"}


def _config(program: Program, version: str, platform: str) -> dict[str, Any]:
    name = program.repository.rpartition("/")[2]
    return {
        "architecture": platform,
        "os": "linux",
        "created": "2026-11-28T04:05:11Z",
        "config": {
            "User": "10001",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", *program.environment],
            "Entrypoint": [f"/app/{name}"],
            "Cmd": list(program.command),
            "WorkingDir": "/app",
            "Labels": {
                "org.opencontainers.image.source": f"https://git.example.com/{program.repository}",
                "org.opencontainers.image.version": version,
            },
        },
        "history": [
            {"created_by": "/bin/sh -c #(nop) ADD file:debian-13 in /"},
            {"created_by": f"/bin/sh -c apt-get update && apt-get install --yes {program.packages}"},
            {"created_by": "ENV LANG=C.UTF-8", "empty_layer": True},
            {"created_by": "COPY /out /app # buildkit"},
            {"created_by": f'ENTRYPOINT ["/app/{name}"]', "empty_layer": True},
        ],
    }


def _bytes(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  # contents, not secrets


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
