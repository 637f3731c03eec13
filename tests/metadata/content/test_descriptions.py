"""What a manifest is told to be, and how large: read by the database when it is stored, whatever it holds."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push, TypeDiffers
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.metadata.build import APP, OTHER, push_blob, push_image, push_index, put, query
from tests.metadata.usage.test_usage import assert_exact
from tests.support import CONFIG_TYPE, LAYER_TYPE, Image, descriptor, encode, index_of

EMPTY: Final = "application/vnd.oci.empty.v1+json"
HUGE: Final = (1 << 63) - 1


def manifest(config: str | None, *layers: str, media_type: str = OCI_MANIFEST, **more: Any) -> dict[str, Any]:
    """Makes one from the types of its parts."""
    return {
        "schemaVersion": 2,
        "mediaType": media_type,
        **({"config": descriptor(b"{}", config)} if config else {}),
        "layers": [descriptor(b"layer", layer) for layer in layers],
        **more,
    }


SUBJECT: Final[dict[str, Any]] = {"subject": descriptor(b"subject", OCI_MANIFEST)}
# As the tools write them.
KINDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "docker, an image": (
        "image",
        manifest(
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            media_type=DOCKER_MANIFEST,
        ),
    ),
    "buildah, an image": ("image", manifest(CONFIG_TYPE, LAYER_TYPE)),
    "docker, a list": ("index", {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}),
    "buildkit, an index": ("index", {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
    "oras, an index with a type": (
        "index",
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": "application/spdx+json", "manifests": []},
    ),
    "buildkit, an attestation": (
        "attestation",
        manifest(CONFIG_TYPE, "application/vnd.in-toto+json", "application/vnd.in-toto+json"),
    ),
    "helm, a chart": (
        "chart",
        manifest("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
    ),
    "helm, a chart with its provenance": (
        "chart",
        manifest(
            "application/vnd.cncf.helm.config.v1+json",
            "application/vnd.cncf.helm.chart.provenance.v1.prov",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        ),
    ),
    "cosign, a signature by tag": (
        "signature",
        manifest(CONFIG_TYPE, "application/vnd.dev.cosign.simplesigning.v1+json"),
    ),
    "cosign, a signature that refers": (
        "signature",
        manifest(
            EMPTY,
            "application/vnd.dev.cosign.simplesigning.v1+json",
            artifactType="application/vnd.dev.cosign.artifact.sig.v1+json",
            **SUBJECT,
        ),
    ),
    "cosign 3, a bundle": (
        "attestation",
        manifest(
            EMPTY,
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            artifactType="application/vnd.dev.sigstore.bundle.v0.3+json",
            **SUBJECT,
        ),
    ),
    "cosign, an attestation by tag": (
        "attestation",
        manifest(CONFIG_TYPE, "application/vnd.dsse.envelope.v1+json"),
    ),
    "cosign, an SBOM": ("sbom", manifest(CONFIG_TYPE, "text/spdx+json")),
    "cosign, an SBOM of CycloneDX": ("sbom", manifest(CONFIG_TYPE, "application/vnd.cyclonedx+json")),
    "oras, an SBOM": ("sbom", manifest(EMPTY, "application/octet-stream", artifactType="application/spdx+json")),
    "syft, an SBOM": ("sbom", manifest(EMPTY, "application/vnd.syft+json", **SUBJECT)),
    "notation, a signature": (
        "signature",
        manifest(
            "application/vnd.cncf.notary.signature",
            "application/jose+json",
            artifactType="application/vnd.cncf.notary.signature",
            **SUBJECT,
        ),
    ),
    "notation, a signature of its first releases": (
        "signature",
        manifest("application/vnd.cncf.notary.signature", "application/cose", **SUBJECT),
    ),
    "wasm-to-oci": (
        "wasm",
        manifest("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
    ),
    "wkg, a component": ("wasm", manifest("application/vnd.wasm.config.v0+json", "application/wasm")),
    "flux, an artifact": (
        "other",
        manifest(
            "application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"
        ),
    ),
    "oras, a file": (
        "other",
        manifest(EMPTY, "text/plain", artifactType="application/vnd.example"),
    ),
    "ORAS' own manifest": (
        "other",
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
         "artifactType": "application/vnd.example", "blobs": []},
    ),
    "nothing but a version": ("other", {"schemaVersion": 2, "mediaType": OCI_MANIFEST}),
}  # fmt: skip


def push(database: Database, payload: bytes) -> list[Any]:
    """Kind, size and config of the manifest; what it names need not be there."""
    digest = Digest.of(payload)
    parsed = parse_manifest(payload, None)
    pushes.put(database, Push(APP, digest, parsed, payload, [], accepts_missing=True))
    (described,) = query(
        database, "SELECT kind, size, config_digest FROM manifests WHERE digest = :digest", digest=digest.to_bytes()
    )
    return described


@pytest.mark.parametrize("name", KINDS)
def test_a_manifest_is_told_by_its_types(database: Database, name: str) -> None:
    kind, document = KINDS[name]
    payload = encode(document)
    parts = [document["config"]] if "config" in document else []
    size = len(payload) + sum(part["size"] for part in [*parts, *document.get("layers", [])])
    config = Digest.parse(document["config"]["digest"]).to_bytes() if "config" in document else None
    assert push(database, payload) == [kind, size, config]
    assert_exact(database)


def test_a_digest_of_another_algorithm_is_kept_like_any(database: Database) -> None:
    config = Digest.of(b"{}", "sha512")
    document = manifest(None, LAYER_TYPE) | {"config": {"mediaType": CONFIG_TYPE, "digest": str(config), "size": 2}}
    assert push(database, encode(document))[2] == config.to_bytes()


def test_an_index_has_the_size_of_all_that_it_lists(database: Database) -> None:
    children = [push_image(database, APP) for _ in range(2)]
    inner = index_of(*(child.manifest for child in children))
    put(database, APP, inner, "inner")
    outer = push_index(database, APP, "outer", of=[])
    nested = put(database, APP, index_of(inner, index_of()), "nested")
    sizes = dict(query(database, "SELECT digest, size FROM manifests"))
    pulled = len(inner) + sum(len(child.manifest) + sum(map(len, child.blobs)) for child in children)
    assert sizes[Digest.of(inner).to_bytes()] == pulled
    assert sizes[outer.to_bytes()] == len(index_of())
    assert sizes[nested.to_bytes()] == len(index_of(inner, index_of())) + pulled + len(index_of())
    by_tag = dict(query(database, "SELECT name, size FROM tags"))
    assert by_tag == {"inner": pulled, "outer": len(index_of()), "nested": sizes[nested.to_bytes()]}


def test_a_tag_has_the_size_of_what_it_names_now(database: Database) -> None:
    images = [push_image(database, APP, "a", image=Image(layers=(bytes(size),))) for size in (10, 20)]
    for image in images:
        put(database, APP, image.manifest, "a")
        expected = len(image.manifest) + sum(map(len, image.blobs))
        assert query(database, "SELECT size FROM tags") == [[expected]]


def test_kinds_are_counted_in_each_repository(database: Database) -> None:
    push_image(database, APP, "a")
    push_image(database, OTHER, "a")
    chart = encode(manifest("application/vnd.cncf.helm.config.v1+json"))
    push(database, chart)
    counted = (
        "SELECT name, kind, manifests FROM repository_kinds JOIN repositories ON id = repository_id"
        " WHERE manifests > 0 ORDER BY 1, 2"
    )
    assert query(database, counted) == [["team/app", "chart", 1], ["team/app", "image", 1], ["team/other", "image", 1]]


def test_pushed_again_as_another_type_it_stays_the_kind_that_it_was(database: Database) -> None:
    payload = encode({"schemaVersion": 2, "manifests": []})
    assert push(database, payload)[0] == "index"
    parsed = parse_manifest(payload, "application/vnd.example.list+json")
    with pytest.raises(TypeDiffers):
        pushes.put(database, Push(APP, Digest.of(payload), parsed, payload, []))
    assert query(database, "SELECT kind FROM manifests") == [["index"]]
    assert query(database, "SELECT kind FROM repository_kinds WHERE manifests > 0") == [["index"]]
    assert_exact(database)


def test_an_index_has_the_size_of_blobs_that_it_lists_each_once(database: Database) -> None:
    layer, config = b"a layer of a cache", b'{"a": "cache"}'
    child = push_image(database, APP)
    for content in (layer, config):
        push_blob(database, APP, content)
    entries = [
        descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip"),
        descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip", annotations={"again": "yes"}),
        descriptor(config, "application/vnd.buildkit.cacheconfig.v0"),
        descriptor(child.manifest, "application/vnd.example.a-manifest-of-another-type+json"),
    ]
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    pulled = len(index) + len(layer) + len(config) + len(child.manifest) + sum(map(len, child.blobs))
    assert push(database, index)[:2] == ["index", pulled]
    assert query(database, "SELECT size FROM tags") == []
    put(database, APP, index, "cache")
    assert query(database, "SELECT size FROM tags") == [[pulled]]
    assert_exact(database)


@pytest.mark.parametrize("name", ["docker", "helm"])
def test_a_kind_is_told_by_types_without_their_case_and_parameters(database: Database, name: str) -> None:
    [kind, document] = next(
        (kind, doc) for key, (kind, doc) in KINDS.items() if key.startswith(name) and "config" in doc
    )
    config = {**document["config"], "mediaType": f"{document['config']['mediaType'].title()}; a=b"}
    assert (
        push(database, encode({**document, "mediaType": f"{OCI_MANIFEST.upper()}; a=b", "config": config}))[0] == kind
    )


# Hostile payloads: refused before they come here, or stored; never an error of ours.

LARGEST: Final = 4 << 20


def nested(levels: int) -> bytes:
    return b'{"schemaVersion":2,"mediaType":"%s","x":%s%s}' % (OCI_MANIFEST.encode(), b"[" * levels, b"]" * levels)


STORED: Final = {
    "of the largest size": encode(manifest(CONFIG_TYPE, LAYER_TYPE, annotations={"x": "y" * (LARGEST - 2000)})),
    "with very many layers": encode(manifest(CONFIG_TYPE, *[LAYER_TYPE] * 4900)),
    "nested deep": nested(900),
    "with an escaped NUL": json.dumps(manifest(CONFIG_TYPE, LAYER_TYPE, other={"a\0": "b\0"})).encode(),
    "with half of a surrogate pair": b'{"schemaVersion":2,"x":"\\ud800"}',
    "with a digest in capitals elsewhere": encode(manifest(CONFIG_TYPE, x={"digest": "SHA256:" + "A" * 64})),
    "with members that are null": b'{"schemaVersion":2,"config":null,"layers":null,"subject":null}',
    "with numbers beyond all": b'{"schemaVersion":2,"x":1e400,"y":%s}' % (b"9" * 4000),
    "with white space": b' \n{"schemaVersion" : 2 ,\t"layers" : [ ] }\r\n',
    "with a descriptor without a type": encode(
        {"schemaVersion": 2, "layers": [{"digest": str(Digest.of(b"x")), "size": 1}]}
    ),
    "with a type that holds quotes": encode({"schemaVersion": 2, "layers": [descriptor(b"x", 'a/b"c\\d')]}),
    "with layers of the largest size": encode(
        {"schemaVersion": 2, "layers": [{**descriptor(b"x"), "size": 1 << 62} for _ in range(4)]}
    ),
}


@pytest.mark.parametrize("name", STORED)
def test_a_hostile_manifest_is_stored_as_it_came(database: Database, name: str) -> None:
    payload = STORED[name]
    assert len(payload) <= LARGEST
    kind, size, _ = push(database, payload)
    assert kind in {"image", "other"}
    assert 0 <= size <= HUGE
    assert query(database, "SELECT payload FROM manifests") == [[payload]]
    assert_exact(database)


SIZES: Final = ("1.5", "1e3", '"1000"', "-1", "true", "null", "[]", str(1 << 62 | 1), str(1 << 63), "1" * 5000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("where", ["config", "layers", "manifests"])
def test_a_size_that_is_none_is_refused(size: str, where: str) -> None:
    one = f'{{"mediaType":"application/x","digest":"{Digest.of(b"x")}","size":{size}}}'
    payload = f'{{"schemaVersion":2,"{where}":{one if where == "config" else f"[{one}]"}}}'.encode()
    with pytest.raises(ManifestInvalid):
        parse_manifest(payload, None)


@pytest.mark.parametrize("size", SIZES)
def test_what_comes_past_the_parser_is_stored_all_the_same(database: Database, size: str) -> None:
    """A later release may parse otherwise; and rows may come from elsewhere."""
    push_image(database, APP, "a")
    layer = f'{{"mediaType":"application/x","digest":"sha256:x","size":{size}}}'
    for number, payload in enumerate(
        (f'{{"layers":[{layer}]}}', f'{{"config":{layer}}}', f'{{"manifests":[{layer}]}}')
    ):
        query(
            database,
            "INSERT INTO manifests (repository_id, digest, media_type, payload)"
            " SELECT id, :digest, 'application/x', :payload FROM repositories",
            digest=bytes([1, number]),
            payload=payload.encode(),
        )
    assert query(database, "SELECT count(*) FROM manifests WHERE size >= 0") == [[4]]


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"null", b"[]", b"{", b'"x"', nested(100_000), b"\0"])
def test_what_is_no_manifest_at_all_is_stored_all_the_same(database: Database, payload: bytes) -> None:
    push_image(database, APP, "a")
    query(
        database,
        "INSERT INTO manifests (repository_id, digest, media_type, payload)"
        " SELECT id, '\\x0102', 'application/x', :payload FROM repositories",
        payload=payload,
    )
    assert query(database, "SELECT kind FROM manifests WHERE digest = '\\x0102'") == [["other"]]
    assert_exact(database)


@pytest.mark.parametrize("escaped", ["\\u0000", "\\ud800", "\\uDFFF", "\\ud83d\\ude00", "\\\\u0000"])
def test_what_no_text_can_hold_hides_nothing_else(database: Database, escaped: str) -> None:
    push_image(database, APP, "a")
    [[payload, size]] = query(database, "SELECT payload, size FROM manifests")
    odd = payload.replace(b"{", b'{"note":"' + escaped.encode() + b'",', 1)
    query(database, "UPDATE manifests SET payload = :payload", payload=odd)
    expected = [["image", size + len(odd) - len(payload), True]]
    assert query(database, "SELECT kind, size, config_digest IS NOT NULL FROM manifests") == expected
