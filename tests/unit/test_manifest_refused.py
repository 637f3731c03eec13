"""Manifests that are refused, always with MANIFEST_INVALID and always quickly."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.manifest import LARGEST_BLOB, MOST_REFERENCES, parse_manifest
from functions.registry.oci.media_type import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.unit import strategies
from tests.unit.test_manifest import CHILDREN, CONFIG, LAYERS, image, index, parse, without

DEEP: Final = 100_000
NO_MANIFESTS: Final = {
    "nothing": b"",
    "white space": b" \n",
    "no JSON": b"hello",
    "JSON that is cut": b'{"schemaVersion": 2, "lay',
    "JSON and more": b"{}{}",
    "a comment": b"{} // a manifest",
    "single quotes": b"{'schemaVersion': 2}",
    "a list": b"[]",
    "a string": b'"manifest"',
    "a number": b"2",
    "null": b"null",
    "not UTF-8": b'{"schemaVersion": 2, "annotations": {"a": "\xff"}}',
    "Latin-1": '{"annotations": {"a": "é"}}'.encode("latin-1"),
    "UTF-16": json.dumps(image()).encode("utf-16"),
    "UTF-8 with a byte order mark": b"\xef\xbb\xbf{}",
    "half of a surrogate pair in UTF-8": b'{"annotations": {"a": "\xed\xa0\x80"}}',
    "a NUL byte": b'{"schemaVersion": 2}\0',
    "zip bytes": b"\x1f\x8b\x08\x00" + bytes(100),
    "lists without an end": b"[" * DEEP,
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a deep list in a manifest": b'{"layers": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "an integer of a million digits": b'{"schemaVersion": ' + b"9" * 1_000_000 + b"}",
}
WRONG_VALUES: Final[list[Any]] = [True, False, 0, 1, -1.5, "", "text", {}, {"a": 1}, [None], [1], ["text"], [[]], [{}]]
UNSTORABLE: Final = ("\0", "a\0b", "\ud800", "\udfff", "a\udc00b")
DESCRIPTOR: Final = LAYERS[0]


def refused(document: dict[str, Any], content_type: str | None = None) -> ManifestInvalid:
    with pytest.raises(ManifestInvalid) as refusal:
        parse(document, content_type)
    return refusal.value


@pytest.mark.parametrize("payload", NO_MANIFESTS.values(), ids=NO_MANIFESTS.keys())
def test_what_is_no_manifest_is_refused_quickly(payload: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(ManifestInvalid, match="a manifest is a JSON object"):
        parse_manifest(payload, OCI_MANIFEST)
    assert time.thread_time() - started < 0.5


@pytest.mark.parametrize(
    "document", [{"schemaVersion": 1, "fsLayers": [], "history": []}, image(schemaVersion=1), index(schemaVersion=1)]
)
def test_schema_1_is_refused_with_a_hint(document: dict[str, Any]) -> None:
    assert "schema 2" in str(refused(document))


@pytest.mark.parametrize(
    "document",
    [index(layers=LAYERS), index(config=CONFIG), image(manifests=CHILDREN), image(manifests=[]), image(manifests=None)],
)
def test_what_is_an_image_to_one_reader_and_an_index_to_another_is_refused(document: dict[str, Any]) -> None:
    assert "not both" in str(refused(document))


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), OCI_INDEX),
        (image(), DOCKER_MANIFEST),
        (index(), OCI_MANIFEST),
        (image(mediaType="a/b"), "a/c"),
        (image(), "application/json"),
        (image(), OCI_MANIFEST + "x"),
    ],
)
def test_a_media_type_other_than_the_content_type_is_refused(document: dict[str, Any], content_type: str) -> None:
    detail = refused(document, content_type).detail
    assert detail == {"media_type": document["mediaType"], "content_type": content_type}


@pytest.mark.parametrize("content_type", ["json", "*/*", "a/b, c/d", "a/b\0", ";", " "])
def test_a_malformed_content_type_is_refused(content_type: str) -> None:
    refused(without(image(), "mediaType"), content_type)


@pytest.mark.parametrize("value", [1, True, [], {}, "", "text", "a/b\0", "\ud800/b"], ids=repr)
def test_a_media_type_of_the_wrong_kind_is_refused(value: object) -> None:
    refused(image(mediaType=value))


@pytest.mark.parametrize("value", [1, True, ["a/b"], {"a": 1}, "text", "a/b\0", "a/\udfff"], ids=repr)
def test_an_artifact_type_of_the_wrong_kind_is_refused(value: object) -> None:
    refused(image(artifactType=value))


@pytest.mark.parametrize("value", [value for value in WRONG_VALUES if value is not None], ids=repr)
@pytest.mark.parametrize("field", ["config", "subject", "layers", "blobs", "manifests"])
def test_references_of_the_wrong_kind_are_refused(field: str, value: object) -> None:
    message = str(refused({"schemaVersion": 2, field: value}))
    assert message.startswith(field)


@pytest.mark.parametrize("value", [[], [LAYERS[0]]], ids=repr)
@pytest.mark.parametrize("field", ["config", "subject"])
def test_a_list_in_place_of_one_descriptor_is_refused(field: str, value: object) -> None:
    refused({field: value})


@pytest.mark.parametrize("value", [None, True, "3", 3.0, -1, LARGEST_BLOB + 1, 10**100, [], {}], ids=repr)
def test_a_size_that_is_no_number_of_bytes_is_refused(value: object) -> None:
    assert "layers" in str(refused(image(layers=[{**DESCRIPTOR, "size": value}])))


def test_a_descriptor_without_a_size_is_refused() -> None:
    refused(image(layers=[without(DESCRIPTOR, "size")]))


@pytest.mark.parametrize(
    "value",
    [None, 1, "", "sha256:", "sha256:xyz", "md5:" + "0" * 32, "SHA256:" + "0" * 64, "sha256:" + "A" * 64, "\ud800"],
    ids=repr,
)
def test_a_digest_that_is_none_is_refused(value: object) -> None:
    assert str(refused(image(layers=[{**DESCRIPTOR, "digest": value}]))).startswith("layers")


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "a\0", "\ud800"], ids=repr)
def test_a_descriptors_media_type_of_the_wrong_kind_is_refused(value: object) -> None:
    assert "layers.mediaType" in str(refused(image(layers=[{**DESCRIPTOR, "mediaType": value}])))


@pytest.mark.parametrize(
    "value", [True, 1, "text", [], [1], {"a": 1}, {"a": None}, {"a": {"b": "c"}}, {"a": ["b"]}], ids=repr
)
def test_annotations_of_the_wrong_kind_are_refused(value: object) -> None:
    assert "annotations" in str(refused(image(annotations=value)))


@pytest.mark.parametrize("text", UNSTORABLE, ids=repr)
def test_text_that_no_database_holds_is_refused(text: str) -> None:
    for named in ({"a": text}, {text: "a"}):
        assert "annotations" in str(refused(image(annotations=named)))


@pytest.mark.parametrize(
    "document",
    [
        image(layers=LAYERS[:1] * MOST_REFERENCES),
        index(manifests=CHILDREN[:1] * (MOST_REFERENCES + 1)),
        without(image(layers=LAYERS[:1] * MOST_REFERENCES, blobs=LAYERS), "config"),
    ],
)
def test_too_many_references_are_refused(document: dict[str, Any]) -> None:
    assert str(MOST_REFERENCES) in str(refused(document))


def test_what_a_refusal_tells_can_be_sent_back() -> None:
    """A detail becomes JSON in UTF-8: half of a surrogate pair in it would turn the refusal into a fault of ours."""
    for text in ("\ud800", "a\0"):
        for field in ("mediaType", "artifactType"):
            refusal = refused(image(**{field: text}))
            json.dumps(refusal.detail, ensure_ascii=False).encode()
            str(refusal).encode()


@given(strategies.hostile_payloads(), st.none() | strategies.media_types() | strategies.hostile_texts())
def test_any_payload_is_parsed_or_refused(payload: bytes, content_type: str | None) -> None:
    try:
        manifest = parse_manifest(payload, content_type)
    except ManifestInvalid:
        return
    assert manifest.media_type
    assert not (manifest.blobs and manifest.children)
