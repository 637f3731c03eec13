"""Manifests that are accepted (image-spec, "Image Manifest", "Image Index"): what the registry must keep for each."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given

from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import LARGEST_BLOB, MOST_REFERENCES, Descriptor, Manifest, parse_manifest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support import CONFIG_TYPE, LAYER_TYPE, descriptor, encode
from tests.unit import strategies

CONFIG: Final = descriptor(b"{}", CONFIG_TYPE)
LAYERS: Final = [descriptor(b"one"), descriptor(b"two")]
CHILDREN: Final = [descriptor(b"amd64", OCI_MANIFEST), descriptor(b"arm64", OCI_MANIFEST)]
SUBJECT: Final = descriptor(b"subject", OCI_MANIFEST)
FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
EXAMPLE: Final = "application/vnd.example.unheard-of.v9+json"
ORAS: Final = "application/vnd.cncf.oras.artifact.manifest.v1+json"
EMPTY: Final = descriptor(b"{}", "application/vnd.oci.empty.v1+json", data="e30=")


def image(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": LAYERS, **more}


def index(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": CHILDREN, **more}


def parse(document: dict[str, Any], content_type: str | None = None) -> Manifest:
    return parse_manifest(encode(document), content_type)


def digests_of(*contents: bytes) -> list[Digest]:
    return sorted(map(Digest.of, contents))


def without(document: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != field}


def test_an_image_needs_its_config_and_its_layers() -> None:
    manifest = parse(image(), OCI_MANIFEST)
    assert manifest.media_type == OCI_MANIFEST
    assert manifest.blobs == (
        Descriptor(CONFIG_TYPE, Digest.of(b"{}"), 2),
        Descriptor(LAYER_TYPE, Digest.of(b"one"), 3),
        Descriptor(LAYER_TYPE, Digest.of(b"two"), 3),
    )
    assert manifest.required_blobs == digests_of(b"{}", b"one", b"two")
    assert (manifest.children, manifest.subject, manifest.annotations) == ((), None, {})


def test_an_index_needs_its_children_and_no_blobs() -> None:
    manifest = parse(index(), OCI_INDEX)
    assert manifest.media_type == OCI_INDEX
    assert manifest.child_digests == digests_of(b"amd64", b"arm64")
    assert manifest.blobs == ()


def test_docker_images_and_lists_are_read_like_those_of_oci() -> None:
    docker_image = parse(image(mediaType=DOCKER_MANIFEST), DOCKER_MANIFEST)
    assert docker_image.media_type == DOCKER_MANIFEST
    assert docker_image.required_blobs == digests_of(b"{}", b"one", b"two")
    docker_list = parse(index(mediaType=DOCKER_LIST), DOCKER_LIST)
    assert docker_list.media_type == DOCKER_LIST
    assert docker_list.child_digests == digests_of(b"amd64", b"arm64")


def test_a_subject_is_kept_apart_from_the_references() -> None:
    for document in (image(subject=SUBJECT), index(subject=SUBJECT)):
        manifest = parse(document)
        assert manifest.subject == Descriptor(OCI_MANIFEST, Digest.of(b"subject"), 7)
        assert Digest.of(b"subject") not in [*manifest.required_blobs, *manifest.child_digests]


def test_annotations_are_copied() -> None:
    annotations = {"org.opencontainers.image.created": "2026-01-01T00:00:00Z", "": "", "ключ": "🐳"}
    assert parse(image(annotations=annotations)).annotations == annotations


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (image(), CONFIG_TYPE),
        (image(artifactType="application/vnd.example.sbom"), "application/vnd.example.sbom"),
        (image(artifactType="application/vnd.example; a=b"), "application/vnd.example; a=b"),
        (image(artifactType="Application/Vnd.Example"), "Application/Vnd.Example"),
        (image(artifactType=""), CONFIG_TYPE),
        (image(artifactType=None), CONFIG_TYPE),
        (image(mediaType=DOCKER_MANIFEST), CONFIG_TYPE),
        (image(config=EMPTY), "application/vnd.oci.empty.v1+json"),
        (without(image(), "config"), None),
        (index(), None),
        (index(artifactType="application/vnd.example.sbom"), "application/vnd.example.sbom"),
    ],
)
def test_a_referrers_list_shows_the_artifact_type_or_an_images_config_type(
    document: dict[str, Any], expected: str | None
) -> None:
    assert parse(document).artifact_type == expected


def test_layers_that_may_live_elsewhere_are_not_required() -> None:
    manifest = parse(image(layers=[*LAYERS, descriptor(b"windows", FOREIGN, urls=["https://example.org/layer"])]))
    assert manifest.required_blobs == digests_of(b"{}", b"one", b"two")
    assert manifest.optional_blobs == digests_of(b"windows")


def test_an_unknown_media_type_keeps_its_references() -> None:
    unknown = "application/vnd.example.unheard-of.v9+json"
    manifest = parse(image(mediaType=unknown), unknown)
    assert manifest.media_type == unknown
    assert manifest.required_blobs == digests_of(b"{}", b"one", b"two")
    assert parse(index(mediaType=unknown), unknown).child_digests == digests_of(b"amd64", b"arm64")


def test_the_artifact_manifest_of_the_release_candidates_keeps_its_blobs() -> None:
    media_type = "application/vnd.oci.artifact.manifest.v1+json"
    document = {"mediaType": media_type, "artifactType": "a/b", "blobs": LAYERS, "subject": SUBJECT}
    manifest = parse(document, media_type)
    assert manifest.required_blobs == digests_of(b"one", b"two")
    assert manifest.artifact_type == "a/b"


def test_layers_of_unknown_types_and_data_fields_are_kept() -> None:
    layers = [descriptor(b"x", "text/plain"), {**EMPTY, "annotations": {"a": "b"}, "platform": {"os": "linux"}}]
    assert parse(image(config=EMPTY, layers=layers)).required_blobs == digests_of(b"{}", b"x")


def test_a_blob_that_is_named_twice_is_required_once() -> None:
    manifest = parse(image(layers=[*LAYERS, *LAYERS]))
    assert len(manifest.blobs) == 5
    assert manifest.required_blobs == digests_of(b"{}", b"one", b"two")
    assert parse(index(manifests=CHILDREN * 2)).child_digests == digests_of(b"amd64", b"arm64")


def test_sha512_references_are_as_good_as_sha256() -> None:
    digest = Digest.of(b"one", "sha512")
    manifest = parse(image(layers=[{"mediaType": LAYER_TYPE, "digest": str(digest), "size": 3}]))
    assert digest in manifest.required_blobs


@pytest.mark.parametrize(
    "document",
    [image(layers=[]), image(layers=None), without(image(), "layers"), index(manifests=[]), {"schemaVersion": 2}, {}],
)
def test_lists_may_be_empty_null_or_missing(document: dict[str, Any]) -> None:
    manifest = parse(document)
    assert manifest.children == ()
    assert len(manifest.blobs) == int("config" in document)


def test_fields_that_nobody_knows_are_left_alone() -> None:
    unknown = {"x": {"digest": "nonsense", "layers": [1]}, "\ud800": "\0", "number": 10**100, "config2": CONFIG}
    assert parse(image(**unknown)) == parse(image())


def test_a_descriptor_needs_no_media_type() -> None:
    assert parse(image(layers=[without(LAYERS[0], "mediaType")])).blobs[1].media_type == ""


@pytest.mark.parametrize("size", [0, LARGEST_BLOB])
def test_sizes_go_from_nothing_to_the_largest_blob(size: int) -> None:
    assert parse(image(layers=[{**LAYERS[0], "size": size}])).blobs[1].size == size


def test_as_many_references_as_allowed_are_accepted() -> None:
    assert len(parse(image(layers=LAYERS[:1] * (MOST_REFERENCES - 1))).blobs) == MOST_REFERENCES


@pytest.mark.parametrize(
    ("document", "content_type", "expected"),
    [
        (image(), OCI_MANIFEST, OCI_MANIFEST),
        (image(), f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (image(), f" {OCI_MANIFEST} ;a=b", OCI_MANIFEST),
        (image(), None, OCI_MANIFEST),
        (image(), "", OCI_MANIFEST),
        (image(), OCI_MANIFEST.upper(), OCI_MANIFEST),
        (image(mediaType=OCI_MANIFEST.title()), OCI_MANIFEST, OCI_MANIFEST.title()),
        (image(mediaType=f"{OCI_MANIFEST}; a=b"), OCI_MANIFEST, f"{OCI_MANIFEST}; a=b"),
        (image(mediaType=DOCKER_MANIFEST), None, DOCKER_MANIFEST),
        (index(mediaType=DOCKER_LIST), f"{DOCKER_LIST};charset=utf-8", DOCKER_LIST),
        (image(mediaType=EXAMPLE), None, EXAMPLE),
        (image(mediaType=EXAMPLE), EXAMPLE, EXAMPLE),
        (without(image(), "mediaType"), OCI_MANIFEST, OCI_MANIFEST),
        (without(image(), "mediaType"), f"{OCI_MANIFEST.upper()}; charset=utf-8", OCI_MANIFEST),
        (without(index(), "mediaType"), OCI_INDEX, OCI_INDEX),
        ({"schemaVersion": 2, "config": CONFIG}, OCI_MANIFEST, OCI_MANIFEST),
        ({}, OCI_MANIFEST, OCI_MANIFEST),
        (image(mediaType=None), OCI_MANIFEST, OCI_MANIFEST),
        (without(image(), "mediaType"), EXAMPLE, EXAMPLE),
        (without(index(), "mediaType"), f"{EXAMPLE.upper()} ; charset=utf-8", EXAMPLE.upper()),
        (without(image(), "mediaType"), "application/vnd.cncf.oras.artifact.manifest.v1+json", ORAS),
    ],
)
def test_the_media_type_is_the_documents_or_else_that_of_its_fields_or_else_what_was_sent(
    document: dict[str, Any], content_type: str | None, expected: str
) -> None:
    manifest = parse(document, content_type)
    assert (manifest.media_type, manifest.is_typed) == (expected, bool(document.get("mediaType") or content_type))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (without(image(), "mediaType"), OCI_MANIFEST),
        (without(index(), "mediaType"), OCI_INDEX),
        ({"schemaVersion": 2, "manifests": []}, OCI_INDEX),
        ({"schemaVersion": 2, "manifests": None}, OCI_INDEX),
        ({"schemaVersion": 2, "config": CONFIG}, OCI_MANIFEST),
        ({"schemaVersion": 2}, OCI_MANIFEST),
    ],
)
def test_where_nobody_names_a_type_it_is_that_of_the_fields(document: dict[str, Any], expected: str) -> None:
    for content_type in (None, ""):
        manifest = parse(document, content_type)
        assert (manifest.media_type, manifest.is_typed) == (expected, False)


def test_what_an_index_lists_is_a_child_by_its_type_and_otherwise_what_the_repository_has() -> None:
    cache = [descriptor(b"layer"), descriptor(b"config", "application/vnd.buildkit.cacheconfig.v0")]
    untyped = without(descriptor(b"untyped"), "mediaType")
    manifest = parse(index(manifests=[*CHILDREN, *cache, untyped, descriptor(b"amd64", LAYER_TYPE)]))
    assert manifest.child_digests == digests_of(b"amd64", b"arm64")
    assert manifest.listed_digests == digests_of(b"layer", b"config", b"untyped")
    assert manifest.blobs == ()
    titled = parse(index(manifests=[descriptor(b"amd64", OCI_MANIFEST.title())]))
    assert (titled.child_digests, titled.listed_digests) == (digests_of(b"amd64"), [])


def test_the_bytes_of_annotations_are_those_of_names_and_values() -> None:
    assert parse(image()).annotation_bytes == 0
    assert parse(image(annotations={"a": "bc", "é": "🐳"})).annotation_bytes == 3 + 2 + 4


def test_white_space_and_escapes_are_read_as_json_reads_them() -> None:
    payload = json.dumps(image(annotations={"a": "\u00e9\U0001f433"}), indent=4).encode()
    assert parse_manifest(b"\r\n\t " + payload + b"\n", None).annotations == {"a": "é🐳"}


@given(strategies.images())
def test_every_reference_of_an_image_is_found(document: dict[str, Any]) -> None:
    manifest = parse(document)
    named = {entry["digest"] for entry in [document["config"], *document["layers"]]}
    assert {str(digest) for digest in [*manifest.required_blobs, *manifest.optional_blobs]} == named
    assert manifest.annotations == document.get("annotations", {})
    assert (manifest.subject is None) == ("subject" not in document)


@given(strategies.indexes())
def test_every_child_of_an_index_is_found(document: dict[str, Any]) -> None:
    manifest = parse(document)
    listed = {*manifest.child_digests, *manifest.listed_digests}
    assert {str(digest) for digest in listed} == {entry["digest"] for entry in document["manifests"]}
    assert manifest.blobs == ()
    assert manifest.artifact_type == document.get("artifactType")
