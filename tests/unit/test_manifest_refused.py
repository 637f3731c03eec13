"""Manifests that are refused, always with MANIFEST_INVALID and always quickly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.manifest import LARGEST_BLOB, MOST_REFERENCES, parse_manifest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support import descriptor
from tests.unit import strategies
from tests.unit.test_manifest import CHILDREN, CONFIG, EXAMPLE, LAYERS, image, index, parse, without

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
    ("name", "reason"),
    [
        ("nothing", "not JSON"),
        ("JSON and more", "not JSON at character 2"),
        ("a list", "no object"),
        ("not UTF-8", "not in UTF-8"),
        ("deep lists", "nested too deep"),
        ("deep objects", "nested too deep"),
        ("a deep list in a manifest", "nested too deep"),
        ("an integer of a million digits", "a number of more than 4300 digits"),
    ],
)
def test_a_refusal_says_why_it_can_not_be_read(name: str, reason: str) -> None:
    with pytest.raises(ManifestInvalid, match=reason):
        parse_manifest(NO_MANIFESTS[name], OCI_MANIFEST)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_python_reads_and_json_has_not_is_refused(constant: str) -> None:
    with pytest.raises(ManifestInvalid, match=f"not JSON: {constant}"):
        parse_manifest(f'{{"x": {constant}}}'.encode(), None)


ONE_VALUE: Final = {"objects": "{},", "lists": "[],", "small objects": '{"":0},', "numbers": "0,"}


@pytest.mark.parametrize("unit", ONE_VALUE.values(), ids=ONE_VALUE.keys())
def test_a_manifest_of_many_small_values_is_refused_before_it_is_read(unit: str) -> None:
    payload = json.dumps(image())[:-1].encode() + b',"x":[' + (unit * (4_000_000 // len(unit)))[:-1].encode() + b"]}"
    started = time.thread_time()
    with pytest.raises(ManifestInvalid, match="more than 200000 values"):
        parse_manifest(payload, None)
    assert time.thread_time() - started < 0.1


def test_an_index_of_as_many_entries_as_are_allowed_is_read() -> None:
    platform = {"architecture": "amd64", "os": "linux", "os.version": "10.0.1", "variant": "v8"}
    notes = {f"org.example.{letter}": "a, b, c" for letter in "abcdef"}
    entries = [
        descriptor(str(number).encode(), OCI_MANIFEST, platform=platform, annotations=notes, urls=["https://a"])
        for number in range(MOST_REFERENCES)
    ]
    assert len(parse(index(manifests=entries)).children) == MOST_REFERENCES


DOUBLES: Final = {
    "the layers": '{"schemaVersion": 2, "layers": [], "layers": []}',
    "the media type": f'{{"mediaType": "{OCI_MANIFEST}", "mediaType": "{OCI_INDEX}"}}',
    "a digest": f'{{"layers": [{{"size": 1, "digest": "{Digest.of(b"a")}", "digest": "{Digest.of(b"b")}"}}]}}',
    "a size": f'{{"config": {{"size": 1, "digest": "{Digest.of(b"a")}", "size": 2}}}}',
    "a part of a platform": '{"manifests": [{"platform": {"os": "a", "os": "b"}}]}',
    "an annotation": '{"annotations": {"a": "b", "a": "c"}}',
    "an escaped name": '{"layers": [], "\\u006cayers": []}',
}


@pytest.mark.parametrize("payload", DOUBLES.values(), ids=DOUBLES.keys())
def test_a_name_that_stands_twice_is_refused(payload: str) -> None:
    with pytest.raises(ManifestInvalid, match="twice in one object"):
        parse_manifest(payload.encode(), None)


def test_names_that_stand_twice_are_found_quickly() -> None:
    names = ",".join(f'"{number}":0' for number in range(90_000))
    started = time.thread_time()
    with pytest.raises(ManifestInvalid, match="twice in one object"):
        parse_manifest(f'{{"x":{{{names},"{89_999}":1}}}}'.encode(), None)
    assert time.thread_time() - started < 1


# The last two are the letters that Go's reader takes for an s and a k.
OTHER_CASES: Final = (
    str.upper,
    str.title,
    lambda name: name.replace("s", "\u017f"),
    lambda name: name.replace("k", "\u212a"),
)


@pytest.mark.parametrize("change", OTHER_CASES, ids=["upper", "title", "long s", "kelvin"])
@pytest.mark.parametrize(
    "field",
    ["schemaVersion", "mediaType", "artifactType", "config", "layers", "blobs", "manifests", "subject", "annotations"],
)
def test_a_field_in_another_case_is_refused(field: str, change: Callable[[str], str]) -> None:
    if (written := change(field)) != field:
        assert "as the specification writes them" in str(refused({"schemaVersion": 2, written: None}))


@pytest.mark.parametrize("change", OTHER_CASES, ids=["upper", "title", "long s", "kelvin"])
@pytest.mark.parametrize(
    "field", ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"]
)
@pytest.mark.parametrize("where", ["config", "layers", "blobs", "manifests", "subject"])
def test_a_field_of_a_descriptor_in_another_case_is_refused(
    where: str, field: str, change: Callable[[str], str]
) -> None:
    if (written := change(field)) == field:
        return
    spoiled = {**DESCRIPTOR, written: "x"}
    message = str(refused({where: spoiled if where in {"config", "subject"} else [DESCRIPTOR, spoiled]}))
    assert message.startswith(f"{where}: ")
    assert "as the specification writes them" in message


@pytest.mark.parametrize("written", ["OS", "Architecture", "o\u017f", "os.Version", "VARIANT"])
def test_a_part_of_a_platform_in_another_case_is_refused(written: str) -> None:
    entry = {**CHILDREN[0], "platform": {"os": "linux", "architecture": "amd64", written: "x"}}
    assert str(refused(index(manifests=[entry]))).startswith("manifests.platform: ")


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
        (image(mediaType=EXAMPLE), OCI_MANIFEST),
        (image(), EXAMPLE),
        (image(mediaType=f"{OCI_INDEX}; a=b"), f"{OCI_MANIFEST}; a=b"),
    ],
)
def test_a_media_type_other_than_the_content_type_is_refused(document: dict[str, Any], content_type: str) -> None:
    detail = refused(document, content_type).detail
    assert detail == {"media_type": document["mediaType"], "content_type": content_type}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/html",
        "text/plain+json",
        "image/svg+xml",
        "application/vnd.oci.image.manifest.v1",
        f"{OCI_MANIFEST}x",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "a/b; +json",
    ],
)
def test_a_type_that_no_client_reads_a_manifest_under_is_refused(content_type: str) -> None:
    for document in (image(), index(), without(image(), "mediaType"), without(index(), "mediaType"), {}):
        assert "application/...+json" in str(refused(document, content_type))
    for sent in (None, OCI_MANIFEST, content_type):
        assert "application/...+json" in str(refused(image(mediaType=content_type), sent))


@pytest.mark.parametrize("document", [image(), index(), {"config": CONFIG}, {}])
@pytest.mark.parametrize("content_type", [DOCKER_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST.upper(), f"{DOCKER_LIST};a=b"])
def test_dockers_types_take_the_field(document: dict[str, Any], content_type: str) -> None:
    assert "has the field mediaType" in str(refused(without(document, "mediaType"), content_type))


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), OCI_INDEX),
        (index(), OCI_MANIFEST),
        (index(manifests=[]), OCI_MANIFEST.title()),
        ({"config": CONFIG}, f"{OCI_INDEX}; charset=utf-8"),
        ({}, OCI_INDEX),
    ],
)
def test_a_type_of_oci_that_the_fields_contradict_is_refused(document: dict[str, Any], content_type: str) -> None:
    assert "the fields show" in str(refused(without(document, "mediaType"), content_type))


@pytest.mark.parametrize(
    "content_type", ["json", "*/*", "a/b, c/d", "a/b\0", ";", " ", f"application/{'a' * 600}+json"]
)
def test_a_malformed_content_type_is_refused(content_type: str) -> None:
    assert "malformed media type" in str(refused(without(image(), "mediaType"), content_type))


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


@pytest.mark.parametrize(
    "value", [None, 1, True, [], {}, "a\0", "\ud800", "a" * 513], ids=lambda value: repr(value)[:9]
)
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
