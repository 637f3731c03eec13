"""Referrers: what was attached to a manifest, also by clients from before there was such a list."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from functions.api import referrers
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, OCI_INDEX, OCI_MANIFEST
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
    older = [loose(artifactType=SBOM, annotations={"older": str(number)}) for number in range(3)]
    expected = push(stocked, *older, *(attached(artifactType=SBOM, annotations={"n": str(n)}) for n in range(4)))
    stocked.put_manifest("a/b", FALLBACK, index_of(*older))
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


# ---- the lists that older clients kept under a tag


def test_what_an_older_client_listed_is_listed(stocked: Registry) -> None:
    manifest = loose(artifactType=SBOM, annotations={"a": "b"})
    push(stocked, manifest)
    assert listed(stocked) == []
    stocked.put_manifest("a/b", FALLBACK, index_of(manifest))
    assert listed(stocked) == [descriptor(manifest, OCI_MANIFEST, artifactType=SBOM, annotations={"a": "b"})]
    assert stocked.statements("GET", PATH) == ["referrers_list"]


def test_what_is_listed_both_ways_is_listed_once(stocked: Registry) -> None:
    both, older = attached(annotations={"in": "both"}), loose(annotations={"in": "the older"})
    expected = push(stocked, both, older)
    stocked.put_manifest("a/b", FALLBACK, index_of(both, older, both))
    assert digests(stocked) == expected


def test_the_filter_is_applied_to_an_older_list_as_well(stocked: Registry) -> None:
    sbom, other = loose(artifactType=SBOM), loose(artifactType="application/vnd.example.other")
    push(stocked, sbom, other)
    stocked.put_manifest("a/b", FALLBACK, index_of(sbom, other))
    assert digests(stocked, f"{PATH}?artifactType={SBOM}") == [str(Digest.of(sbom))]


def test_an_older_list_of_a_sha512_digest_has_half_of_it_in_its_name(stocked: Registry) -> None:
    subject = Digest.of(SUBJECT.manifest, "sha512")
    manifest = loose(artifactType=SBOM)
    expected = push(stocked, manifest)
    stocked.put_manifest("a/b", f"sha512-{subject.hex[:64]}", index_of(manifest))
    assert digests(stocked, f"/v2/a/b/referrers/{subject}") == expected


def test_a_manifest_that_is_attached_elsewhere_is_not_taken_from_an_older_list(stocked: Registry) -> None:
    elsewhere = attached(subject=descriptor(b"{}", OCI_MANIFEST))
    push(stocked, elsewhere)
    stocked.put_manifest("a/b", FALLBACK, index_of(elsewhere))
    assert listed(stocked) == []


@pytest.mark.parametrize("name", [FALLBACK.upper(), f"{FALLBACK}.sig", FALLBACK[:-1]])
def test_a_tag_that_is_only_like_it_lists_nothing(stocked: Registry, name: str) -> None:
    manifest = loose(artifactType=SBOM)
    push(stocked, manifest)
    stocked.put_manifest("a/b", name, index_of(manifest))
    assert listed(stocked) == []


def test_what_is_no_image_index_lists_nothing(stocked: Registry) -> None:
    manifest = loose(artifactType=SBOM)
    push(stocked, manifest)
    for other in (index_of(manifest, mediaType=DOCKER_LIST), manifest, encode({"mediaType": OCI_INDEX})):
        stocked.put_manifest("a/b", FALLBACK, other)
        assert listed(stocked) == []
