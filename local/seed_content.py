"""A registry's worth of rows, one repository after the other: what pushes would have left, and years of use.

Everything is made from numbers, so the same seed gives the same registry. The blobs have no objects.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST

_DAY: Final = 86_400
# How far back the first pushes and the first pulls lie.
_OLDEST_PUSH: Final = 700 * _DAY
_OLDEST_PULL: Final = 90 * _DAY
_NEVER: Final = "-infinity"
_NULL: Final = "\\N"
# Shared by a namespace.
_BASES: Final = 12
_PLATFORMS: Final = ("amd64", "arm64")
# Shares: of repositories of images, whose images are for several platforms; of manifests, that something refers to, or
# beside which lies one that a tag has left; of tags, that were pulled.
_MULTI_PLATFORM: Final = 0.15
_REFERRED_TO: Final = 0.04
_LEFT_BY_A_TAG: Final = 0.03
_PULLED: Final = 0.4

# The columns of each table, in the order in which its rows are written here.
TABLES: Final = {
    "blobs": "digest, size, object_name, created_at",
    "repository_blobs": "repository_id, digest, size, linked_at",
    "manifests": "id, repository_id, digest, media_type, artifact_type, subject, payload, pushed_at, kind, size,"
    " config_digest",
    "platforms": "manifest_id, os, architecture, look_after",
    "manifest_blobs": "manifest_id, repository_id, digest",
    "manifest_children": "parent_id, child_id",
    "manifest_reviews": "manifest_id, review_after, event",
    "tags": "repository_id, name, manifest_id, created_at, updated_at, size, pulls, pulled_at",
    "repository_kinds": "repository_id, kind, manifests",
    "repository_usage": "repository_id, namespace_id, tags, manifests, manifest_bytes, blobs, blob_bytes, pushed_at,"
    " pulled_at, pulls, untagged, untagged_bytes, untagged_as_of, untagged_scan_due",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What manifests of a kind look like; `artifact_type` is written only if there is one."""

    kind: str
    artifact_type: str | None
    config_type: str
    layer_type: str


_EMPTY_CONFIG: Final = "application/vnd.oci.empty.v1+json"
_IMAGE: Final = Form(
    "image", None, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
)
# What a repository holds, and how many of ten do.
_FORMS: Final = (
    *[_IMAGE] * 8,
    Form(
        "chart",
        None,
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    ),
    Form("wasm", None, "application/vnd.wasm.config.v0+json", "application/wasm"),
)
_REFERRERS: Final = (
    Form("signature", "application/vnd.dev.cosign.artifact.sig.v1+json", _EMPTY_CONFIG, "application/json"),
    Form("sbom", "application/spdx+json", _EMPTY_CONFIG, "application/spdx+json"),
    Form("attestation", "application/vnd.in-toto+json", _EMPTY_CONFIG, "application/vnd.in-toto+json"),
)


@dataclass(frozen=True, slots=True)
class Blob:
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest that was written; `pull_size` is what it takes to pull it, `size` its own bytes."""

    id: int
    digest: str
    media_type: str
    size: int
    pull_size: int


@dataclass(frozen=True, slots=True)
class _Told:
    """Columns of a manifest that are read from it, as COPY takes them."""

    kind: str
    artifact_type: str = _NULL
    subject: str = _NULL
    config: str = _NULL


@dataclass(slots=True)
class Repository:
    id: int
    namespace_id: int
    tags: int
    manifests: int = 0
    manifest_bytes: int = 0
    pulls: int = 0
    pulled_at: float = 0
    pushed_at: float = 0
    untagged: int = 0
    untagged_bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    links: dict[str, int] = field(default_factory=dict)


class Content:
    """Writes rows by `write(table, row)`; ids of manifests count from `first_manifest`, `run` tells runs apart."""

    def __init__(self, run: int, first_manifest: int, now: float, write: Callable[[str, str], None]) -> None:
        self._run = run
        self._now = now
        self._write = write
        self._chance = random.Random(run)  # noqa: S311  # contents, not secrets
        self._blobs = 0
        self._bases: dict[int, list[Blob]] = {}
        self.next_manifest = first_manifest

    def add(self, repository: Repository) -> Iterator[int]:
        """Adds all that the repository holds. Tells, tag by tag, how many of its tags there are."""
        form = self._chance.choice(_FORMS)
        is_multi = form is _IMAGE and self._chance.random() < _MULTI_PLATFORM
        made: Made | None = None
        for number in range(repository.tags):
            at = self._now - _OLDEST_PUSH * (1 - (number + 1) / (repository.tags + 1))
            # A third of the tags are second names.
            if made is None or number % 3:
                made = self._index(repository, at) if is_multi else self._manifest(repository, form, at)
                if form is _IMAGE and not is_multi:
                    self._runs_on(made)
                if self._chance.random() < _REFERRED_TO:
                    self._manifest(repository, self._chance.choice(_REFERRERS), at, subject=made)
                if self._chance.random() < _LEFT_BY_A_TAG:
                    self._untagged(repository, at)
            self._tag(repository, number, made, at)
            yield number + 1
        self._finish(repository)

    def _index(self, repository: Repository, at: float) -> Made:
        children = [self._manifest(repository, _IMAGE, at) for _ in _PLATFORMS]
        listed = [
            {**_descriptor(child.media_type, child), "platform": {"os": "linux", "architecture": platform}}
            for child, platform in zip(children, _PLATFORMS, strict=True)
        ]
        payload = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
        pull_size = len(payload) + sum(child.pull_size for child in children)
        made = self._stored(repository, payload, OCI_INDEX, pull_size, at)
        self._row(made, repository, payload, at, _Told("index"))
        for child, platform in zip(children, _PLATFORMS, strict=True):
            self._write("manifest_children", f"{made.id}\t{child.id}\n")
            self._runs_on(child, platform)
        return made

    def _manifest(self, repository: Repository, form: Form, at: float, subject: Made | None = None) -> Made:
        """Makes a manifest with a config and a layer of its own; images stand on layers that the whole namespace
        shares.
        """
        config = self._blob(self._chance.randint(500, 8000))
        layers = [self._blob(self._chance.randint(10_000, 50_000_000))]
        if form is _IMAGE:
            layers += self._chance.sample(self._base_layers(repository.namespace_id), 2)
        return self._with_blobs(repository, form, at, config, layers, subject)

    def _untagged(self, repository: Repository, at: float) -> None:
        """Makes one that a tag has left, and its blobs, which nothing else names. Its grace is not over yet."""
        made = self._with_blobs(repository, _IMAGE, at, self._blob(1000), [self._blob(1_000_000)], None)
        self._runs_on(made)
        repository.untagged += 1
        repository.untagged_bytes += made.pull_size
        due = _time(self._now + self._chance.uniform(0.1, 1) * _DAY)
        self._write("manifest_reviews", f"{made.id}\t{due}\tuntag\n")

    def _with_blobs(
        self, repository: Repository, form: Form, at: float, config: Blob, layers: list[Blob], subject: Made | None
    ) -> Made:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            **({"artifactType": form.artifact_type} if form.artifact_type else {}),
            "config": _descriptor(form.config_type, config),
            "layers": [_descriptor(form.layer_type, layer) for layer in layers],
            **({"subject": _descriptor(subject.media_type, subject)} if subject else {}),
        }
        payload = json.dumps(document).encode()
        pull_size = len(payload) + config.size + sum(layer.size for layer in layers)
        made = self._stored(repository, payload, OCI_MANIFEST, pull_size, at)
        referred = _bytes(subject.digest) if subject else _NULL
        told = _Told(form.kind, form.artifact_type or form.config_type, referred, _bytes(config.digest))
        self._row(made, repository, payload, at, told)
        for blob in (config, *layers):
            self._link(repository, made, blob, at)
        return made

    def _stored(self, repository: Repository, payload: bytes, media_type: str, pull_size: int, at: float) -> Made:
        digest = hashlib.sha256(payload).hexdigest()
        made = Made(self.next_manifest, digest, media_type, len(payload), pull_size)
        self.next_manifest += 1
        repository.manifests += 1
        repository.manifest_bytes += made.size
        repository.pushed_at = max(repository.pushed_at, at)
        return made

    def _row(self, made: Made, repository: Repository, payload: bytes, at: float, told: _Told) -> None:
        repository.kinds[told.kind] += 1
        self._write(
            "manifests",
            f"{made.id}\t{repository.id}\t{_bytes(made.digest)}\t{made.media_type}\t{told.artifact_type}\t{told.subject}"
            f"\t\\\\x{payload.hex()}\t{_time(at)}\t{told.kind}\t{made.pull_size}\t{told.config}\n",
        )

    def _runs_on(self, image: Made, architecture: str = _PLATFORMS[0]) -> None:
        """Fills it in as if its config had been read, which lies nowhere."""
        self._write("platforms", f"{image.id}\tlinux\t{architecture}\t{_NULL}\n")

    def _link(self, repository: Repository, made: Made, blob: Blob, at: float) -> None:
        digest = _bytes(blob.digest)
        if blob.digest not in repository.links:
            repository.links[blob.digest] = blob.size
            self._write("repository_blobs", f"{repository.id}\t{digest}\t{blob.size}\t{_time(at)}\n")
        self._write("manifest_blobs", f"{made.id}\t{repository.id}\t{digest}\n")

    def _tag(self, repository: Repository, number: int, made: Made, at: float) -> None:
        pulls, pulled_at = 0, _NEVER
        if self._chance.random() < _PULLED:
            pulls = int(self._chance.paretovariate(0.8)) % 100_000
            last = self._now - self._chance.random() * _OLDEST_PULL
            repository.pulls += pulls
            repository.pulled_at = max(repository.pulled_at, last)
            pulled_at = _time(last)
        name = "latest" if number == 0 else f"{1 + number // 100}.{number // 10 % 10}.{number % 10}"
        moment = _time(at)
        self._write(
            "tags",
            f"{repository.id}\t{name}\t{made.id}\t{moment}\t{moment}\t{made.pull_size}\t{pulls}\t{pulled_at}\n",
        )

    def _finish(self, repository: Repository) -> None:
        for kind, count in repository.kinds.items():
            self._write("repository_kinds", f"{repository.id}\t{kind}\t{count}\n")
        figures: list[object] = [
            repository.id,
            repository.namespace_id,
            repository.tags,
            repository.manifests,
            repository.manifest_bytes,
            len(repository.links),
            sum(repository.links.values()),
            _time(repository.pushed_at),
            _time(repository.pulled_at) if repository.pulled_at else _NEVER,
            repository.pulls,
            repository.untagged,
            repository.untagged_bytes,
            _time(self._now),
            "f",
        ]
        self._write("repository_usage", "\t".join(map(str, figures)) + "\n")

    def _base_layers(self, namespace: int) -> list[Blob]:
        if namespace not in self._bases:
            self._bases[namespace] = [self._blob(self._chance.randint(1_000_000, 90_000_000)) for _ in range(_BASES)]
        return self._bases[namespace]

    def _blob(self, size: int) -> Blob:
        self._blobs += 1
        name = f"seed/{self._run}/{self._blobs}"
        blob = Blob(hashlib.sha256(name.encode()).hexdigest(), size)
        self._write("blobs", f"{_bytes(blob.digest)}\t{size}\t{name}\t{_time(self._now)}\n")
        return blob


def _descriptor(media_type: str, of: Blob | Made) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{of.digest}", "size": of.size}


def _bytes(sha256: str) -> str:
    """Writes a digest as COPY reads it."""
    return f"\\\\x01{sha256}"


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(at))
