"""What the classic suite pushes: configs, manifests and artifacts of the forms that each of its versions has."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"
ARTIFACTS: Final = {"a": "application/vnd.slipway.classic.a", "b": "application/vnd.slipway.classic.b"}
ANNOTATION: Final = "org.opencontainers.conformance.test"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    media_type: str = "application/octet-stream"

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.data).hexdigest()

    def described(self, media_type: str | None = None, **more: Any) -> Json:
        return {"mediaType": media_type or self.media_type, "digest": self.digest, "size": len(self.data), **more}


def random_content() -> Content:
    return Content(secrets.token_bytes(42))


def document(media_type: str, value: Json) -> Content:
    return Content(json.dumps(value, indent="\t").encode(), media_type)


class Contents:
    """One run's own. From 1.1 on a manifest has its type, and its config's descriptor what no reader has to know."""

    def __init__(self, *, is_1_0: bool) -> None:
        self._is_1_0 = is_1_0
        self.layer = random_content()
        self.configs = [_config() for _ in range(5)]
        self.images = [self._image(config, [self.layer]) for config in self.configs]
        self.without_layers = self._image(self.configs[1], [], has_type=False)
        self.absent = random_content()
        self.blobs = {"a": random_content(), "b": random_content()}
        self.empty = Content(b"{}", EMPTY)
        subject = self.images[4].described()
        # By the config's type, and by a type of their own.
        self.by_config = {one: self._artifact(one, subject, by_config=True) for one in "ab"}
        self.by_type = {one: self._artifact(one, subject, by_config=False) for one in "ab"}
        self.of_missing = self._artifact("b", self.images[3].described(), by_config=False, note=None)
        children = [self.by_config["a"].described(), self.by_type["a"].described()]
        self.index = document(
            INDEX,
            {
                "schemaVersion": 2,
                "mediaType": INDEX,
                "artifactType": "application/vnd.slipway.classic.index",
                "manifests": children,
                "subject": subject,
                "annotations": {ANNOTATION: "index"},
            },
        )

    @property
    def referrers(self) -> dict[str, str]:
        """The five of one subject, with their notes."""
        found = [self.index, *self.by_config.values(), *self.by_type.values()]
        return {one.digest: json.loads(one.data)["annotations"][ANNOTATION] for one in found}

    def _image(self, config: Content, layers: list[Content], *, has_type: bool = True) -> Content:
        more: Json = {}
        if not self._is_1_0:
            unknown = base64.b64encode(b"nobody has to read this").decode()
            more = {"data": base64.b64encode(config.data).decode(), "newUnspecifiedField": unknown}
        value = {
            "schemaVersion": 2,
            **({"mediaType": IMAGE} if has_type and not self._is_1_0 else {}),
            "config": config.described(CONFIG, **more),
            "layers": [layer.described("application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers],
        }
        return document(IMAGE, value)

    def _artifact(self, one: str, subject: Json, *, by_config: bool, note: str | None = "") -> Content:
        blob, media_type = self.blobs[one], ARTIFACTS[one]
        value: Json = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            **({} if by_config else {"artifactType": media_type}),
            "config": blob.described(media_type) if by_config else self.empty.described(),
            "layers": [self.empty.described() if by_config else blob.described(media_type)],
            "subject": subject,
        }
        if note is not None:
            value["annotations"] = {ANNOTATION: f"{'config' if by_config else 'type'} {one}"}
        return document(IMAGE, value)


def _config() -> Content:
    rootfs = {"type": "layers", "diff_ids": []}
    value = {"architecture": "amd64", "os": "linux", "rootfs": rootfs, "author": secrets.token_urlsafe(12)}
    return document(CONFIG, value)
