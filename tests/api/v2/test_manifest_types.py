"""One digest has one media type in a repository: whoever pushes it again, under whatever name and type."""

from __future__ import annotations

import itertools
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule, RuleKind
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.support import CONFIG_TYPE, Registry, descriptor, encode

EXAMPLE: Final = "application/vnd.example.thing.v1+json"
ORAS: Final = "application/vnd.cncf.oras.artifact.manifest.v1+json"
CONFIG: Final = descriptor(b"{}", CONFIG_TYPE)
UNREADABLE: Final = ("application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/html")
REFUSED: Final = "refused"

IMAGE: Final[dict[str, Any]] = {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(b"{}")]}
INDEX: Final[dict[str, Any]] = {"schemaVersion": 2, "manifests": []}
CONFIG_ALONE: Final[dict[str, Any]] = {"schemaVersion": 2, "config": CONFIG}


def typed(document: dict[str, Any], media_type: str) -> dict[str, Any]:
    return {**document, "mediaType": media_type}


# The document, the Content-Type, and what it is served as: each row of docs/api.md's table, in each of its forms.
TABLE: Final[list[tuple[dict[str, Any], str | None, str]]] = [
    (typed(IMAGE, OCI_MANIFEST), OCI_MANIFEST, OCI_MANIFEST),
    (typed(IMAGE, OCI_MANIFEST), None, OCI_MANIFEST),
    (typed(IMAGE, OCI_MANIFEST), OCI_MANIFEST.upper(), OCI_MANIFEST),
    (typed(IMAGE, OCI_MANIFEST), f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
    (typed(IMAGE, OCI_MANIFEST.title()), OCI_MANIFEST, OCI_MANIFEST.title()),
    (typed(IMAGE, f"{OCI_MANIFEST}; a=b"), OCI_MANIFEST, f"{OCI_MANIFEST}; a=b"),
    (typed(IMAGE, DOCKER_MANIFEST), DOCKER_MANIFEST, DOCKER_MANIFEST),
    (typed(INDEX, DOCKER_LIST), None, DOCKER_LIST),
    (typed(INDEX, OCI_INDEX), OCI_INDEX, OCI_INDEX),
    (typed(IMAGE, EXAMPLE), EXAMPLE, EXAMPLE),
    (typed({"artifactType": "a/b", "blobs": [descriptor(b"{}")]}, ORAS), ORAS, ORAS),
    (typed(IMAGE, OCI_MANIFEST), OCI_INDEX, REFUSED),
    (typed(IMAGE, OCI_MANIFEST), DOCKER_MANIFEST, REFUSED),
    (typed(IMAGE, EXAMPLE), OCI_MANIFEST, REFUSED),
    (IMAGE, None, OCI_MANIFEST),
    (IMAGE, OCI_MANIFEST, OCI_MANIFEST),
    (IMAGE, OCI_MANIFEST.upper(), OCI_MANIFEST),
    (INDEX, None, OCI_INDEX),
    (INDEX, f"{OCI_INDEX}; charset=utf-8", OCI_INDEX),
    (CONFIG_ALONE, None, OCI_MANIFEST),
    (CONFIG_ALONE, OCI_MANIFEST, OCI_MANIFEST),
    (IMAGE, OCI_INDEX, REFUSED),
    (INDEX, OCI_MANIFEST, REFUSED),
    *((document, docker, REFUSED) for document in (IMAGE, INDEX) for docker in (DOCKER_MANIFEST, DOCKER_LIST)),
    (IMAGE, EXAMPLE, EXAMPLE),
    (INDEX, f"{EXAMPLE}; a=b", EXAMPLE),
    *((document, sent, REFUSED) for document in (IMAGE, typed(IMAGE, OCI_MANIFEST)) for sent in UNREADABLE),
    *((typed(IMAGE, unreadable), None, REFUSED) for unreadable in UNREADABLE),
]
# As their tools push them.
IN_USE: Final[dict[str, tuple[dict[str, Any], str | None]]] = {
    "helm, without mediaType": (
        {
            "schemaVersion": 2,
            "config": descriptor(b"{}", "application/vnd.cncf.helm.config.v1+json"),
            "layers": [descriptor(b"{}", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
            "annotations": {"org.opencontainers.image.title": "chart"},
        },
        OCI_MANIFEST,
    ),
    "wasm": (
        typed(
            {
                "schemaVersion": 2,
                "config": descriptor(b"{}", "application/vnd.wasm.config.v0+json"),
                "layers": [descriptor(b"{}", "application/wasm")],
            },
            OCI_MANIFEST,
        ),
        OCI_MANIFEST,
    ),
    "an artifact": (
        typed({**IMAGE, "artifactType": "application/vnd.example.sbom", "config": descriptor(b"{}")}, OCI_MANIFEST),
        OCI_MANIFEST,
    ),
    "a config type of one's own": (
        typed({**IMAGE, "config": descriptor(b"{}", "application/vnd.acme.rocket.config")}, OCI_MANIFEST),
        OCI_MANIFEST,
    ),
    "BuildKit's cache as an image": (
        typed({**IMAGE, "config": descriptor(b"{}", "application/vnd.buildkit.cacheconfig.v0")}, OCI_MANIFEST),
        OCI_MANIFEST,
    ),
    "GitLab's empty image": (typed({**CONFIG_ALONE}, DOCKER_MANIFEST), DOCKER_MANIFEST),
}


@pytest.fixture
def stocked(registry: Registry) -> Registry:
    registry.push_blob("a/b", b"{}")
    return registry


def put(registry: Registry, reference: object, payload: bytes, content_type: str | None) -> TestResponse:
    headers = {"Content-Type": content_type} if content_type is not None else {}
    return registry.request("PUT", f"/v2/a/b/manifests/{reference}", data=payload, headers=headers)


def served(registry: Registry, reference: object) -> tuple[str | None, ...]:
    """Returns the types that GET and HEAD tell."""
    path = f"/v2/a/b/manifests/{reference}"
    return tuple(registry.request(method, path).headers.get("Content-Type") for method in ("GET", "HEAD"))


def refused(registry: Registry, response: TestResponse) -> bool:
    return response.status_code == 400 and registry.error_code(response) == "MANIFEST_INVALID"


@pytest.mark.parametrize(("document", "content_type", "expected"), TABLE)
def test_what_a_manifest_is_served_as(
    stocked: Registry, document: dict[str, Any], content_type: str | None, expected: str
) -> None:
    payload = encode(document)
    digest = Digest.of(payload)
    for reference in ("v1", digest, f"{digest}?tag=v2"):
        response = put(stocked, reference, payload, content_type)
        if expected == REFUSED:
            assert refused(stocked, response)
        else:
            assert response.status_code == 201, response.text
    names = ("v1", "v2", digest)
    not_there = ("application/json",) * 2
    for name in names:
        assert served(stocked, name) == (not_there if expected == REFUSED else (expected, expected))


@pytest.mark.parametrize("name", IN_USE)
def test_what_tools_push_passes(stocked: Registry, name: str) -> None:
    document, content_type = IN_USE[name]
    payload = encode(document)
    for sent in (content_type, None, content_type):
        assert put(stocked, "v1", payload, sent).status_code == 201
        assert served(stocked, "v1") == (document.get("mediaType", OCI_MANIFEST),) * 2
    assert stocked.get("/v2/a/b/manifests/v1").data == payload


SENT: Final = (None, OCI_MANIFEST, OCI_INDEX, EXAMPLE, EXAMPLE.upper(), ORAS, "text/html")


@pytest.mark.parametrize("document", [IMAGE, INDEX], ids=["image", "index"])
def test_no_later_push_changes_a_type(stocked: Registry, document: dict[str, Any]) -> None:
    """In whatever order, by tag, by digest and with tags."""
    for number, (first, second) in enumerate(itertools.product(SENT, repeat=2)):
        payload = encode({**document, "annotations": {"n": str(number)}})
        digest = Digest.of(payload)
        tag = f"t{number}"
        if put(stocked, tag, payload, first).status_code != 201:
            continue
        before = served(stocked, tag)
        for reference in (tag, digest, f"{digest}?tag=other"):
            again = put(stocked, reference, payload, second)
            agrees = second is None or (before[0] or "").lower() == second.lower()
            assert again.status_code == (201 if agrees else 400), (first, second)
            assert served(stocked, tag) == served(stocked, digest) == before
        shown = stocked.get(f"/api/v1/repositories/a/b/-/tags/{tag}").get_json()
        assert shown["media_type"] == before[0]


def test_the_refusal_tells_what_the_bytes_are_here(stocked: Registry) -> None:
    payload = encode(IMAGE)
    assert put(stocked, "v1", payload, EXAMPLE).status_code == 201
    [error] = put(stocked, "v1", payload, ORAS).get_json()["errors"]
    assert error["detail"] == {"media_type": EXAMPLE, "content_type": ORAS}
    assert "another media type" in error["message"]


def test_a_push_that_is_refused_changes_no_tag_and_no_child(stocked: Registry) -> None:
    child = stocked.push_image("a/b", "child")
    payload = encode({**INDEX, "manifests": [descriptor(child.manifest, OCI_MANIFEST)]})
    assert put(stocked, "v1", payload, None).status_code == 201
    assert put(stocked, "other", encode(IMAGE), None).status_code == 201
    assert refused(stocked, put(stocked, "other", payload, EXAMPLE))
    assert stocked.get("/v2/a/b/manifests/other").data == encode(IMAGE)


def test_deleted_first_the_bytes_may_have_another_type(stocked: Registry) -> None:
    payload = encode(IMAGE)
    assert put(stocked, "v1", payload, None).status_code == 201
    assert stocked.request("DELETE", f"/v2/a/b/manifests/{Digest.of(payload)}").status_code == 202
    assert put(stocked, "v1", payload, EXAMPLE).status_code == 201
    assert served(stocked, "v1") == (EXAMPLE, EXAMPLE)


def test_in_another_repository_they_may_have_another_type(stocked: Registry) -> None:
    payload = encode(INDEX)
    assert put(stocked, "v1", payload, None).status_code == 201
    other = stocked.request("PUT", "/v2/c/d/manifests/v1", data=payload, headers={"Content-Type": EXAMPLE})
    assert other.status_code == 201
    assert served(stocked, "v1") == (OCI_INDEX, OCI_INDEX)


@pytest.mark.parametrize("kind", ["immutable", "protected"])
def test_a_rule_for_a_tag_holds_for_what_it_is_served_as(stocked: Registry, kind: RuleKind) -> None:
    payload = encode(IMAGE)
    digest = Digest.of(payload)
    assert put(stocked, "v1", payload, None).status_code == 201
    rules.add(stocked.services.database, NewRule("keep", 0, kind, "a/**", "v*"))
    for sent, reference in itertools.product(SENT, ("v1", digest, f"{digest}?tag=free", f"{digest}?tag=v1")):
        status = put(stocked, reference, payload, sent).status_code
        assert status == (201 if sent in {None, OCI_MANIFEST} else 400)
        assert served(stocked, "v1") == (OCI_MANIFEST, OCI_MANIFEST)
