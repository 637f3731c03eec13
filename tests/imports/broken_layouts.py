"""Layouts as they should not be, made by chance: of each kind of damage something, beside images that are whole.

What is made is the same for the same seed. It is a mapping of names, as they are behind the layout's root, to contents.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from functions.registry.imports import names
from functions.registry.oci.digest import Digest
from tests.support import CONFIG_TYPE, LAYER_TYPE, Image, descriptor, encode, index_of

_GOOD_NAMES: Final = (
    "team/app",
    "team/app-b",
    "team/app.c",
    "one",
    "a/b/c/d/e/f",
    "tags/current",
    "docker/registry/v2/repositories",
)
_BAD_NAMES: Final = (
    "Team/App",
    "team//app",
    "a" * 256,
    "team/app_",
    "-team/app",
    "team/caf\u00e9",
    "team/with space",
    "team/..",
    "team/\U0001f40b",
    "team/a%2Fb",
    "team/\x01",
    "/".join(["deep"] * 80),
    names.GUARD,
)
_BAD_TAGS: Final = ("-bad", "also bad", ".hidden", "caf\u00e9", "t" * 129, "..", "a:b", "\U0001f40b", "%41")
_LARGE: Final = 5 << 20


@dataclass
class Broken:
    """`objects` has what lies in a bucket or a folder. What only a folder can have is written by `spoil`."""

    seed: int
    objects: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  # it only has to be the same each time
        for _ in range(self.chance.randint(1, 4)):
            name = self.chance.choice(_GOOD_NAMES if self.chance.random() < 0.7 else _BAD_NAMES)
            for number, damage in enumerate(self.chance.choices(_DAMAGES, k=self.chance.randint(2, 10))):
                damage(self, name, f"t{number}")
        for stray in self.chance.choices(_ELSEWHERE, k=self.chance.randint(0, 6)):
            stray(self)

    def noise(self, size: int) -> bytes:
        return self.chance.randbytes(size)

    def image(self, **more: Any) -> Image:
        layers = tuple(self.noise(self.chance.randint(0, 40)) for _ in range(self.chance.randint(0, 3)))
        return Image(encode({"random": self.noise(8).hex()}), layers, more)

    # What a registry writes.

    def blob(self, content: bytes) -> Digest:
        digest = Digest.of(content)
        self.objects[names.blob_name(digest)] = content
        return digest

    def layers(self, name: str, image: Image) -> None:
        for content in image.blobs:
            digest = self.blob(content)
            self.objects[names.layer_link_name(name, digest)] = str(digest).encode()

    def manifest(self, name: str, payload: bytes, tag: str | None = None) -> Digest:
        digest = self.blob(payload)
        self.objects[names.revision_link_name(name, digest)] = str(digest).encode()
        if tag is not None:
            self.tag(name, tag, digest)
        return digest

    def tag(self, name: str, tag: str, digest: Digest) -> None:
        self.objects[names.history_link_name(name, tag, digest)] = str(digest).encode()
        self.objects[names.current_link_name(name, tag)] = str(digest).encode()

    def push(self, name: str, tag: str | None = None, **more: Any) -> Image:
        image = self.image(**more)
        self.layers(name, image)
        self.manifest(name, image.manifest, tag)
        return image


Damage = Callable[[Broken, str, str], None]


def _whole(made: Broken, name: str, tag: str) -> None:
    made.push(name, tag)


def _deep_index(made: Broken, name: str, tag: str) -> None:
    payload = made.push(name).manifest
    for _ in range(made.chance.randint(1, 8)):
        made.manifest(name, payload)
        payload = index_of(payload)
    made.manifest(name, payload, tag)


def _bad_tag_name(made: Broken, name: str, _: str) -> None:
    made.push(name, made.chance.choice(_BAD_TAGS))


def _link_contents(made: Broken, digest: Digest) -> bytes:
    good = str(digest)
    return made.chance.choice(
        [
            b"",
            good.encode()[:20],
            b"sha256:",
            good.upper().encode(),
            f"sha256:{digest.hex.upper()}".encode(),
            f" {good}\n".encode(),
            f"{good}\r\n{good}".encode(),
            b"\xef\xbb\xbf" + good.encode(),
            b"\xff\xfe\x00",
            f"md5:{'0' * 32}".encode(),
            f"sha512:{digest.hex}".encode(),
            good.encode() + b" " * 100_000,
            made.noise(1 << 18),
            str(Digest.of(b"nowhere")).encode(),
        ]
    )


def _bad_current(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    made.objects[names.current_link_name(name, tag)] = _link_contents(made, image.digest)


def _bad_history(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    link = names.history_link_name(name, tag, image.digest)
    made.objects[link] = _link_contents(made, image.digest)
    folder = link.removesuffix(f"sha256/{image.digest.hex}/link")
    made.objects[f"{folder}md5/{'0' * 32}/link"] = b"x"
    made.objects[f"{folder}sha256/{image.digest.hex.upper()}/link"] = str(image.digest).encode()


def _no_current(made: Broken, name: str, tag: str) -> None:
    made.push(name, tag)
    del made.objects[names.current_link_name(name, tag)]


def _no_history(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    del made.objects[names.history_link_name(name, tag, image.digest)]
    if made.chance.random() < 0.5:
        made.objects[names.current_link_name(name, tag)] = b"sha256:cut"


def _long_history(made: Broken, name: str, tag: str) -> None:
    for number in range(made.chance.choice((3, 30, 300))):
        old = Digest.of(f"{name} {tag} {number}".encode())
        made.objects[names.history_link_name(name, tag, old)] = str(old).encode()
    made.push(name, tag)


def _bad_revision(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    link = names.revision_link_name(name, image.digest)
    if made.chance.random() < 0.3:
        del made.objects[link]
    else:
        made.objects[link] = _link_contents(made, image.digest)
    folder = f"repositories/{name}/_manifests/revisions"
    made.objects[f"{folder}/sha256/{image.digest.hex.upper()}/link"] = str(image.digest).encode()
    made.objects[f"{folder}/sha256/abc/link"] = b"sha256:abc"
    made.objects[f"{folder}/blake3/{image.digest.hex}/link"] = b"blake3:x"


def _bad_layer_link(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    digest = made.chance.choice(image.blob_digests)
    link = names.layer_link_name(name, digest)
    if made.chance.random() < 0.3:
        del made.objects[link]
    else:
        made.objects[link] = _link_contents(made, digest)


def _alias(made: Broken, name: str, tag: str) -> None:
    content = made.noise(30)
    digest, other = made.blob(content), Digest.of(content, "sha512")
    made.objects[names.layer_link_name(name, other)] = str(digest).encode()
    layer = {"mediaType": LAYER_TYPE, "digest": str(other), "size": len(content)}
    made.manifest(name, encode({"schemaVersion": 2, "config": layer, "layers": [layer]}), tag)


def _missing_blob(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    missing = made.chance.choice([*image.blob_digests, image.digest])
    made.objects.pop(names.blob_name(missing), None)


def _other_bytes(made: Broken, name: str, tag: str) -> None:
    image = made.push(name, tag)
    damaged = made.chance.choice([*image.blob_digests, image.digest])
    made.objects[names.blob_name(damaged)] = made.chance.choice([b"", b"other bytes", made.image().manifest])


def _missing_child(made: Broken, name: str, tag: str) -> None:
    here, absent = made.push(name), made.image()
    made.manifest(name, index_of(here.manifest, absent.manifest), tag)


def _index_of_blob(made: Broken, name: str, tag: str) -> None:
    image = made.push(name)
    made.manifest(name, index_of(image.config), tag)


def _payloads() -> list[bytes]:
    config = descriptor(b"{}", CONFIG_TYPE)
    layer = descriptor(b"layer", LAYER_TYPE)
    whole: dict[str, Any] = {"schemaVersion": 2, "config": config, "layers": [layer]}
    documents: list[Any] = [
        {"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [{"blobSum": str(Digest.of(b"a"))}], "history": []},
        {"schemaVersion": 3},
        {"schemaVersion": 2},
        {"schemaVersion": True, "config": config, "layers": []},
        {**whole, "mediaType": "nonsense"},
        {**whole, "mediaType": 7},
        {**whole, "mediaType": "application/vnd.example.unknown+json"},
        {**whole, "layers": [{**layer, "size": -1}]},
        {**whole, "layers": [{**layer, "size": "12"}]},
        {**whole, "layers": [{**layer, "size": 2**70}]},
        {**whole, "layers": [{**layer, "size": 1.5}]},
        {**whole, "layers": [{**layer, "digest": str(Digest.of(b"x")).upper()}]},
        {**whole, "layers": [{**layer, "digest": "md5:abc"}]},
        {**whole, "layers": [{**layer, "digest": f"sha512:{'a' * 128}"}]},
        {**whole, "layers": [{**layer, "urls": ["https://example.com/x"]}]},
        {**whole, "layers": "none"},
        {**whole, "layers": [None, 1, []]},
        {**whole, "config": None},
        {**whole, "annotations": {"a": 1}},
        {**whole, "annotations": {"a": "\x00"}},
        {**whole, "subject": {"digest": "nothing"}},
        {**whole, "subject": descriptor(b"a subject that is nowhere")},
        {**whole, "artifactType": "x" * 5000},
        {**whole, "layers": [layer] * 6000},
        {"schemaVersion": 2, "manifests": [config], "layers": [layer], "config": config},
        {"schemaVersion": 2, "manifests": [{**descriptor(b"c"), "platform": {"os": 1}}]},
        {"schemaVersion": 2, "manifests": []},
        {**whole, "Layers": []},
        [],
        7,
        "text",
        None,
    ]
    good = encode(whole)
    return [
        *(json.dumps(document).encode() for document in documents),
        b"",
        b"{",
        b"\xff\xfe",
        b"NaN",
        b"[" * 50_000,
        good[:-1],
        good + b"\n" * 3,
        b"\xef\xbb\xbf" + good,
        good.replace(b'"schemaVersion": 2', b'"schemaVersion": 2, "schemaVersion": 2'),
        b'{"schemaVersion": 2' + b"0" * 10_000 + b"}",
        b'{"mediaType": "\\ud800", "schemaVersion": 2}',
    ]


def _odd_payload(made: Broken, name: str, tag: str) -> None:
    for content in (b"{}", b"layer"):
        digest = made.blob(content)
        made.objects[names.layer_link_name(name, digest)] = str(digest).encode()
    made.manifest(name, made.chance.choice(_payloads()), tag)


def _large_manifest(made: Broken, name: str, tag: str) -> None:
    image = made.image(annotations={"x": "y" * made.chance.choice((1 << 20, _LARGE))})
    made.layers(name, image)
    made.manifest(name, image.manifest, tag)


def _schema_1(made: Broken, name: str, tag: str) -> None:
    payload = encode({"schemaVersion": 1, "name": name, "tag": tag, "fsLayers": [], "history": []})
    digest = made.manifest(name, payload, tag)
    revision = names.revision_link_name(name, digest).removesuffix("link")
    made.objects[f"{revision}signatures/sha256/{digest.hex}/link"] = str(digest).encode()


def _upload(made: Broken, name: str, _: str) -> None:
    for part in ("data", "startedat", "hashstates/sha256/0", "odd"):
        made.objects[f"repositories/{name}/_uploads/0c8e8fd6-6d0c-4a3a-a2a8-3a6b7c1d2e3f/{part}"] = made.noise(5)


def _stray_inside(made: Broken, name: str, tag: str) -> None:
    inside = made.chance.choice(
        [
            "_manifests/tags/x",
            "_manifests/tags/x/current",
            "_manifests/tags/x/current/link/link",
            "_manifests/link",
            "_layers/sha256/link",
            "_layers/link",
            "_other/thing",
            "file.txt",
            "_manifests/tags//current/link",
            f"_manifests/tags/{tag}/current/link.tmp",
        ]
    )
    made.objects[f"repositories/{name}/{inside}"] = made.noise(8)


_DAMAGES: Final[tuple[Damage, ...]] = (
    _whole,
    _whole,
    _deep_index,
    _bad_tag_name,
    _bad_current,
    _bad_current,
    _bad_history,
    _no_current,
    _no_history,
    _long_history,
    _bad_revision,
    _bad_layer_link,
    _alias,
    _missing_blob,
    _other_bytes,
    _missing_child,
    _index_of_blob,
    _odd_payload,
    _odd_payload,
    _odd_payload,
    _large_manifest,
    _schema_1,
    _upload,
    _stray_inside,
)


def _stray_blobs(made: Broken) -> None:
    digest = Digest.of(made.noise(8))
    made.objects[f"blobs/sha256/zz/{digest.hex}/data"] = b"x"
    made.objects[f"blobs/sha256/{digest.hex[:2]}/{digest.hex}/data.tmp"] = b"x"
    made.objects[f"blobs/sha256/{digest.hex[:2].upper()}/{digest.hex.upper()}/data"] = b"x"
    made.objects[f"blobs/md5/00/{'0' * 32}/data"] = b"x"
    made.objects[f"blobs/sha256/{digest.hex[:2]}/{digest.hex[:40]}/data"] = b"x"
    made.objects["blobs/readme"] = b"x"


def _strays(made: Broken) -> None:
    for name in (
        "readme.txt",
        "repositories/readme.txt",
        "repositories/_manifests/tags/x/current/link",
        "repositories/_layers/sha256/x/link",
        "repositories//_manifests/tags/x/current/link",
        "repositories/team/_layers/app/_manifests/tags/x/current/link",
        f"repositories/{'x' * 800}",
        "repositories/\x02",
    ):
        made.objects[name] = made.noise(5)


_ELSEWHERE: Final[tuple[Callable[[Broken], None], ...]] = (_stray_blobs, _strays)


def spoil(folder: Path, chance: random.Random) -> None:
    """What only a folder can have: names that are no text, links to folders, to nothing, to themselves, and pipes."""
    repositories = folder / "docker/registry/v2/repositories"
    app = repositories / "team" / "spoiled"
    manifests = app / "_manifests" / "tags" / "v1" / "current"
    manifests.mkdir(parents=True, exist_ok=True)
    acts: list[Callable[[], None]] = [
        lambda: (app / "loop").symlink_to(app),
        lambda: (repositories / "round").symlink_to(repositories),
        lambda: (manifests / "link").symlink_to(app),
        lambda: (manifests / "link").symlink_to("nothing"),
        lambda: (manifests / "link").symlink_to(manifests / "link"),
        (manifests / "link").mkdir,
        lambda: os.mkfifo(manifests / "link"),
        lambda: os.mkfifo(app / "pipe"),
        lambda: _bytes_named(repositories, b"team/\xff\xfe/_manifests/tags/v1/current/link"),
        lambda: _bytes_named(repositories, b"team/app/_manifests/tags/\xc3\x28/current/link"),
        lambda: _bytes_named(folder, b"docker/registry/v2/blobs/sha256/\xff/x/data"),
    ]
    for act in chance.sample(acts, 5):
        try:
            act()
        except FileExistsError:
            continue


def _bytes_named(folder: Path, name: bytes) -> None:
    path = os.fsencode(folder) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120  # a path is text, and this is none
    with open(path, "wb") as file:  # noqa: PTH123  # as above
        file.write(b"sha256:")
