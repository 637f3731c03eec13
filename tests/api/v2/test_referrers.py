"""Referrers: what was attached to a manifest, also by clients from before there was such a list."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from functions.api.v2 import referrers
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.page import LARGEST_BYTES
from tests.support import CONFIG_TYPE, Image, Registry, descriptor, encode, index_of

SUBJECT: Final = Image(config=b"{}", layers=())
SBOM: Final = "application/vnd.example.sbom"
PATH: Final = f"/v2/a/b/referrers/{SUBJECT.digest}"
FALLBACK: Final = f"sha256-{SUBJECT.digest.hex}"


def attached(**more: Any) -> bytes:
    """An image that is attached to the subject."""
    return Image(b"{}", (), {"subject": descriptor(SUBJECT.manifest, OCI_MANIFEST), **more}).manifest


def loose(**more: Any) -> bytes:
    """One that names no subject."""
    return Image(b"{}", (), more).manifest


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Gives the settings with a bound of its own: by default a manifest may consist of annotations."""
    return {**environment, "SLIPWAY_LARGEST_ANNOTATIONS_BYTES": "262144"}


@pytest.fixture
def stocked(registry: Registry) -> Registry:
    registry.push_image("a/b", "v1", SUBJECT)
    return registry


def push(registry: Registry, *manifests: bytes) -> list[str]:
    """Their digests, in the order of a list."""
    for manifest in manifests:
        assert registry.put_manifest("a/b", Digest.of(manifest), manifest).status_code == 201
    return sorted(str(Digest.of(manifest)) for manifest in manifests)


def listed(registry: Registry, path: str = PATH) -> list[dict[str, Any]]:
    response = registry.get(path)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.get_json()["manifests"]
    return found


def digests(registry: Registry, path: str = PATH) -> list[str]:
    return [found["digest"] for found in listed(registry, path)]


@pytest.mark.parametrize("path", [PATH, f"/v2/not/here/referrers/{Digest.of(b'')}"])
def test_a_subject_without_referrers_or_unknown_has_an_empty_list(stocked: Registry, path: str) -> None:
    response = stocked.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (200, OCI_INDEX)
    assert response.get_json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert "Link" not in response.headers
    assert "OCI-Filters-Applied" not in response.headers


def test_an_image_without_an_artifact_type_is_listed_under_that_of_its_config(stocked: Registry) -> None:
    manifest = attached(annotations={"org.example.made": "today", "é": "🐳"})
    push(stocked, manifest)
    assert listed(stocked) == [
        descriptor(
            manifest,
            OCI_MANIFEST,
            artifactType=CONFIG_TYPE,
            annotations={"org.example.made": "today", "é": "🐳"},
        )
    ]


def test_an_index_without_an_artifact_type_is_listed_without(stocked: Registry) -> None:
    subject = descriptor(SUBJECT.manifest, OCI_MANIFEST)
    plain, typed = index_of(subject=subject), index_of(subject=subject, artifactType=SBOM)
    push(stocked, plain, typed)
    expected = [descriptor(plain, OCI_INDEX), descriptor(typed, OCI_INDEX, artifactType=SBOM)]
    assert listed(stocked) == sorted(expected, key=lambda found: str(found["digest"]))


def test_a_subject_may_come_after_its_referrers(registry: Registry) -> None:
    registry.push_blob("a/b", b"{}")
    expected = push(registry, attached())
    assert digests(registry) == expected
    registry.push_image("a/b", "v1", SUBJECT)
    assert digests(registry) == expected


def test_a_filter_is_applied_and_says_so(stocked: Registry) -> None:
    sbom, signature = attached(artifactType=SBOM), attached(artifactType="application/vnd.example.signature")
    push(stocked, sbom, signature)
    response = stocked.get(f"{PATH}?artifactType={SBOM}")
    assert response.headers["OCI-Filters-Applied"] == "artifactType"
    assert [found["digest"] for found in response.get_json()["manifests"]] == [str(Digest.of(sbom))]
    assert digests(stocked, f"{PATH}?artifactType=application/vnd.example.none") == []


def test_a_filter_that_no_type_can_match_gives_an_empty_list(stocked: Registry) -> None:
    push(stocked, attached(artifactType="application/x"))
    assert digests(stocked, f"{PATH}?artifactType=application/x%00") == []


@pytest.mark.parametrize("query", ["", f"?artifactType={SBOM}"])
def test_a_long_list_comes_in_pages(stocked: Registry, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers, "PAGE_SIZE", 2)
    expected = push(stocked, *(attached(artifactType=SBOM, annotations={"n": str(n)}) for n in range(7)))
    pages, path = [], PATH + query
    while path:
        response = stocked.get(path)
        assert ("OCI-Filters-Applied" in response.headers) == bool(query)
        pages.append([found["digest"] for found in response.get_json()["manifests"]])
        match = re.fullmatch(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))
        path = match[1] if match else ""
    assert pages == [expected[:2], expected[2:4], expected[4:6], expected[6:]]


def test_a_deleted_referrer_is_listed_no_more(stocked: Registry) -> None:
    [digest] = push(stocked, attached())
    stocked.request("DELETE", f"/v2/a/b/manifests/{digest}")
    assert listed(stocked) == []


# ---- types are given back as they came


@pytest.mark.parametrize(
    "artifact_type",
    ["application/vnd.dev.sigstore.bundle+json;version=0.2", "Application/Vnd.Example", "a/b; c=d", SBOM],
)
def test_an_artifact_type_is_given_back_as_it_came_and_found_by_it(stocked: Registry, artifact_type: str) -> None:
    by_field = attached(artifactType=artifact_type)
    by_config = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "subject": descriptor(SUBJECT.manifest, OCI_MANIFEST),
            "config": descriptor(b"{}", artifact_type),
        }
    )
    expected = push(stocked, by_field, by_config)
    assert {found["artifactType"] for found in listed(stocked)} == {artifact_type}
    for asked in (artifact_type, artifact_type.upper()):
        response = stocked.get(PATH, query_string={"artifactType": asked})
        assert [found["digest"] for found in response.get_json()["manifests"]] == expected
        assert response.headers["OCI-Filters-Applied"] == "artifactType"
    bare = artifact_type.partition(";")[0]
    assert digests(stocked, f"{PATH}?artifactType={bare}") == (expected if bare == artifact_type else [])


# ---- pages end by their bytes


def test_a_page_is_no_larger_than_a_manifest(stocked: Registry) -> None:
    expected = push(stocked, *(attached(annotations={"n": f"{number}{'x' * 200_000}"}) for number in range(30)))
    pages, path = [], PATH
    while path:
        response = stocked.get(path)
        assert len(response.data) <= LARGEST_BYTES
        pages.append([found["digest"] for found in response.get_json()["manifests"]])
        match = re.fullmatch(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))
        path = match[1] if match else ""
    assert [digest for page in pages for digest in page] == expected
    assert len(pages) == 2


def test_annotations_beyond_the_bound_are_refused(stocked: Registry) -> None:
    most = stocked.services.settings.largest_annotations_bytes
    assert push(stocked, attached(annotations={"a": "é" * ((most - 1) // 2)}))
    for too_many in (
        {"a": "x" * most},
        {"a": "é" * (most // 2)},
        {f"{n:0100}": "x" * 100 for n in range(most // 200 + 1)},
    ):
        too_large = attached(annotations=too_many)
        response = stocked.put_manifest("a/b", Digest.of(too_large), too_large)
        assert (response.status_code, stocked.error_code(response)) == (400, "MANIFEST_INVALID")
        assert str(most) in response.text


def test_annotations_of_layers_are_bounded_by_the_manifest_alone(stocked: Registry) -> None:
    """Cosign keeps certificates and bundles there."""
    most = stocked.services.settings.largest_annotations_bytes
    layers = [descriptor(b"{}", annotations={"dev.sigstore.cosign/bundle": "x" * 30_000}) for _ in range(40)]
    assert len(layers) * 30_000 > most
    push(stocked, attached(layers=layers))


# ---- the lists that older clients kept under a tag


def test_what_an_older_list_names_is_a_referrer_only_by_its_subject(stocked: Registry) -> None:
    ours, elsewhere = attached(), attached(subject=descriptor(b"{}", OCI_MANIFEST))
    names_none = loose(artifactType=SBOM)
    push(stocked, ours, elsewhere, names_none)
    for listing in (
        index_of(ours, elsewhere, names_none, ours),
        index_of(SUBJECT.manifest, names_none),
        index_of(names_none, mediaType=DOCKER_LIST),
    ):
        assert stocked.put_manifest("a/b", FALLBACK, listing).status_code == 201
        assert digests(stocked) == [str(Digest.of(ours))]
    assert stocked.statements("GET", PATH) == ["referrers_list"]


def test_what_a_copy_leaves_under_the_tag_of_an_index_is_none_of_its_referrers(stocked: Registry) -> None:
    """Cosign keeps each manifest that it copies under such a tag, the index itself among them."""
    index = index_of(SUBJECT.manifest)
    for name in ("v1", f"sha256-{Digest.of(index).hex}", FALLBACK):
        assert stocked.put_manifest("a/b", name, index).status_code == 201
    assert digests(stocked, f"/v2/a/b/referrers/{Digest.of(index)}") == []
    assert digests(stocked) == []
