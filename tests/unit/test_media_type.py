"""Media types (RFC 6838, section 4.2): an unknown one is as good as a known one."""

from __future__ import annotations

import pytest
from hypothesis import given

from functions.registry.oci.errors import ManifestInvalid
from functions.registry.oci.media_type import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    LONGEST,
    OCI_INDEX,
    OCI_MANIFEST,
    check_media_type,
    essence,
    is_index,
    is_manifest,
    is_non_distributable,
)
from tests.unit import strategies

ACCEPTED = {
    OCI_MANIFEST: OCI_MANIFEST,
    DOCKER_LIST: DOCKER_LIST,
    "application/json": "application/json",
    "application/json; charset=utf-8": "application/json",
    "application/json;charset=utf-8": "application/json",
    "application/json ;a=b;c=d": "application/json",
    " application/json ": "application/json",
    "application/json;": "application/json",
    "application/vnd.dev.sigstore.bundle+json;version=0.2": "application/vnd.dev.sigstore.bundle+json",
    'a/b; c="d e"': "a/b",
    "application/vnd.example.thing.v1+json": "application/vnd.example.thing.v1+json",
    "Application/JSON": "application/json",
    "a/b": "a/b",
    "x/a!#$&^_.+-": "x/a!#$&^_.+-",
    f"{'a' * 127}/{'b' * 127}": f"{'a' * 127}/{'b' * 127}",
}
REFUSED = [
    "",
    ";",
    "application",
    "application/",
    "/json",
    "a/b/c",
    "application json",
    "application/js on",
    "*/*",
    "application/*",
    ".a/b",
    "a/-b",
    "a/b\nX-Header: c",
    "a/b\0",
    "a/é",
    "a,b/c",
    f"{'a' * 128}/b",
    f"a/{'b' * 128}",
    "a" * 100_000,
    "a/" * 50_000,
    "a/b; c=d\r\nX-Header: e",
    "a/b; c=\x7f",
    "a/b; c=é",
    "a/b;" + "c" * LONGEST,
]


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.items(), ids=lambda text: text[:40])
def test_a_type_is_kept_as_it_is_written_and_compared_without_case_and_parameters(text: str, expected: str) -> None:
    assert check_media_type(text) == text
    assert essence(text) == expected


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_what_has_not_the_form_is_refused(text: str) -> None:
    with pytest.raises(ManifestInvalid) as refusal:
        check_media_type(text)
    assert refusal.value.detail == {"media_type": text[:200]}


@given(strategies.media_types())
def test_every_type_of_the_right_form_is_accepted(text: str) -> None:
    assert check_media_type(text) == text
    assert essence(f"{text.upper()}; charset=utf-8") == essence(text)


@given(strategies.hostile_texts())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        assert check_media_type(text) == text
    except ManifestInvalid:
        return


def test_indexes_are_known_by_their_types() -> None:
    assert [is_index(name) for name in (OCI_INDEX, DOCKER_LIST, OCI_INDEX.upper(), f"{DOCKER_LIST};a=b")] == [True] * 4
    assert [is_index(name) for name in (OCI_MANIFEST, DOCKER_MANIFEST, "application/json")] == [False] * 3


def test_manifests_are_known_by_their_types() -> None:
    known = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)
    assert all(is_manifest(each) and is_manifest(each.title()) and is_manifest(f"{each}; a=b") for each in known)
    assert not any(is_manifest(f"{each}2") or is_manifest("") for each in known)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("Application/Vnd.OCI.Image.Layer.NonDistributable.v1.tar", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.v1.tar+gzip", False),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", False),
        ("application/vnd.oci.image.layer.nondistributable", False),
        ("", False),
    ],
)
def test_layers_that_may_live_elsewhere_are_known_by_their_types(media_type: str, expected: bool) -> None:
    assert is_non_distributable(media_type) is expected
