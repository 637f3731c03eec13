"""Images made of fresh random bytes, written as OCI layouts that every client can read."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MIB: Final = 1024 * 1024
SMALL: Final = (200_000, 30_000, 4_000)
LARGE: Final = (101 * MIB, 300_000, 5_000)

INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"

Descriptor = dict[str, Any]
Files = Mapping[str, bytes]


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Image:
    """One image in a layout: the digests of its parts and the SHA-256 of every file in its layers."""

    digest: str
    config: str
    layers: tuple[str, ...]
    files: Mapping[str, str]
    descriptor: Descriptor

    @property
    def blobs(self) -> tuple[str, ...]:
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """A multi-arch index in a layout, and its images."""

    digest: str
    images: tuple[Image, ...]


class Layout:
    """An OCI image layout on disk; what is tagged in it is listed in its index.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tagged: list[Descriptor] = []
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def add(self, media_type: str, data: bytes) -> Descriptor:
        digest = digest_of(data)
        (self._blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def add_json(self, media_type: str, value: object) -> Descriptor:
        return self.add(media_type, json.dumps(value).encode())

    def tag(self, descriptor: Descriptor, name: str) -> None:
        self._tagged.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self._tagged}
        (self.folder / "index.json").write_text(json.dumps(index))

    def reference(self, name: str) -> str:
        """How skopeo, podman and buildah name an image in this layout."""
        return f"oci:{self.folder}:{name}"


def make_image(layout: Layout, sizes: Sequence[int] = SMALL, tag: str | None = "one") -> Image:
    """An image with one layer of random bytes per size, tagged in the layout unless `tag` is None."""
    return make_image_of(layout, random_layers(sizes), tag)


def random_layers(sizes: Sequence[int]) -> list[Files]:
    return [{f"layer-{number}.bin": os.urandom(size)} for number, size in enumerate(sizes)]


def make_image_of(
    layout: Layout, layers: Sequence[Files], tag: str | None = "one", architecture: str = "amd64"
) -> Image:
    """An image with these files in its layers."""
    tars = [_tar_of(files) for files in layers]
    # Random bytes don't shrink: storing them as they are saves seconds on a large layer.
    sent = [layout.add(LAYER_TYPE, gzip.compress(tar, compresslevel=0, mtime=0)) for tar in tars]
    config = layout.add_json(
        CONFIG_TYPE,
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/nothing"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [{"created_by": "random bytes"} for _ in layers],
        },
    )
    value = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": sent}
    descriptor = layout.add_json(MANIFEST_TYPE, value)
    if tag is not None:
        layout.tag(descriptor, tag)
    hashes = {name: hashlib.sha256(data).hexdigest() for files in layers for name, data in files.items()}
    digests = tuple(layer["digest"] for layer in sent)
    return Image(descriptor["digest"], config["digest"], digests, hashes, descriptor)


def make_index(layout: Layout, architectures: Sequence[str] = ("amd64", "arm64"), tag: str = "many") -> Index:
    images = tuple(make_image_of(layout, random_layers(SMALL), None, each) for each in architectures)
    manifests = [
        {**image.descriptor, "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in zip(images, architectures, strict=True)
    ]
    value = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    descriptor = layout.add_json(INDEX_TYPE, value)
    layout.tag(descriptor, tag)
    return Index(descriptor["digest"], images)


def make_archive(layout: Layout, image: Image, name: str, target: Path) -> Path:
    """The layout as one tar that `docker load` and `ctr images import` both read; docker calls the image `name`."""

    def path_of(digest: str) -> str:
        return "blobs/" + digest.replace(":", "/")

    entry = {"Config": path_of(image.config), "RepoTags": [name], "Layers": [path_of(d) for d in image.layers]}
    (layout.folder / "manifest.json").write_text(json.dumps([entry]))
    with tarfile.open(target, "w") as archive:
        archive.add(layout.folder, arcname=".")
    return target


def file_hashes(archive: Path) -> dict[str, str]:
    """The SHA-256 of every regular file in a tar, by name."""
    hashes = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None:
                hashes[member.name] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    return hashes


def _tar_of(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
