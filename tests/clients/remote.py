"""Looks at the registry as any HTTP client would, to check what the real clients left there."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from tests.clients.command import Client
from tests.clients.content import INDEX_TYPE, MANIFEST_TYPE, digest_of
from tests.conftest import ROOT

_DOCKER_MANIFEST_TYPE: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST_TYPE: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT: Final = f"{INDEX_TYPE}, {MANIFEST_TYPE}, {_DOCKER_LIST_TYPE}, {_DOCKER_MANIFEST_TYPE}"
_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Manifest:
    digest: str
    value: dict[str, Any]

    @property
    def config(self) -> str:
        return str(self.value["config"]["digest"])

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(layer["digest"] for layer in self.value["layers"])

    @property
    def children(self) -> tuple[str, ...]:
        return tuple(child["digest"] for child in self.value.get("manifests", ()))


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of a live registry."""

    address: str
    name: str

    @property
    def reference(self) -> str:
        """HOST:PORT/NAME, as clients write it."""
        return f"{self.address}/{self.name}"

    def tagged(self, tag: str) -> str:
        return f"{self.reference}:{tag}"

    def at(self, digest: str) -> str:
        return f"{self.reference}@{digest}"

    def url(self, rest: str) -> str:
        return f"http://{self.address}/v2/{self.name}/{rest}"

    def undo(self, rest: str) -> None:
        """Puts back a tag (`:one`) or a manifest (`@sha256:…`) by one command of the registry's own command line."""
        self.slipway("restore", f"{self.name}{rest}")

    def slipway(self, *arguments: str) -> str:
        """What the registry's own command line printed."""
        program = Client(Path(sys.executable), {**os.environ, "PYTHONPATH": str(ROOT / "cli")}, folder=ROOT)
        return program.run("-m", "slipway_cli", "--registry", f"http://{self.address}", *arguments)

    def sibling(self, name: str) -> "Repository":
        return Repository(self.address, f"{self.name}-{name}")

    def manifest(self, reference: str) -> Manifest:
        """The manifest, whose bytes must hash to the digest that the registry gives for them."""
        answer = requests.get(self.url(f"manifests/{reference}"), headers={"Accept": _ACCEPT}, timeout=_SECONDS)
        assert answer.status_code == 200, (reference, answer.status_code, answer.text)
        digest = digest_of(answer.content)
        assert answer.headers["Docker-Content-Digest"] == digest
        return Manifest(digest, answer.json())

    def has_manifest(self, reference: str) -> bool:
        answer = requests.head(self.url(f"manifests/{reference}"), headers={"Accept": _ACCEPT}, timeout=_SECONDS)
        assert answer.status_code in {200, 404}, answer.status_code
        return answer.status_code == 200

    def has_blob(self, digest: str) -> bool:
        answer = requests.head(self.url(f"blobs/{digest}"), timeout=_SECONDS, allow_redirects=True)
        assert answer.status_code in {200, 404}, answer.status_code
        return answer.status_code == 200

    def tags(self) -> list[str]:
        answer = requests.get(self.url("tags/list"), timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["tags"] or ())

    def referrers(self, digest: str) -> list[str]:
        """What names `digest` as its subject, from the API or, where that is missing, from the fallback tag."""
        answer = requests.get(self.url(f"referrers/{digest}"), timeout=_SECONDS)
        if answer.status_code == 404:
            return list(self.manifest(digest.replace(":", "-")).children)
        return [child["digest"] for child in answer.json()["manifests"]]

    def check_whole(self, reference: str) -> None:
        """Everything that the manifest reaches can be pulled, and its bytes hash to their names."""
        manifest = self.manifest(reference)
        for child in manifest.children:
            self.check_whole(child)
        if not manifest.children:
            for digest in (manifest.config, *manifest.layers):
                self.check_blob(digest)

    def check_blob(self, digest: str) -> None:
        with requests.get(self.url(f"blobs/{digest}"), stream=True, timeout=_SECONDS) as answer:
            assert answer.status_code == 200, (digest, answer.status_code)
            hashed = hashlib.sha256()
            for piece in answer.iter_content(1024 * 1024):
                hashed.update(piece)
        assert f"sha256:{hashed.hexdigest()}" == digest
