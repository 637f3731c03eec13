"""Lists: in bytewise order, in pages, with a link only when there is more."""

from __future__ import annotations

import re

import pytest

from tests.support import Registry

NAMES = ["1", "A", "Z", "_x", "a", "a-1", "a.1", "b"]


def pages(registry: Registry, path: str, key: str) -> list[list[str]]:
    """Follows the links to the end."""
    found = []
    while path:
        response = registry.get(path)
        assert response.status_code == 200
        found.append(response.get_json()[key])
        match = re.fullmatch(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))
        path = match[1] if match else ""
    return found


@pytest.fixture
def tagged(registry: Registry) -> Registry:
    image = registry.push_image("a/b")
    for name in reversed(NAMES):
        registry.put_manifest("a/b", name, image.manifest)
    return registry


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [NAMES]),
        ("?n=3", [NAMES[:3], NAMES[3:6], NAMES[6:]]),
        ("?n=4", [NAMES[:4], NAMES[4:]]),
        ("?n=8", [NAMES]),
        ("?n=100000000000000000000000000", [NAMES]),
        ("?n=0", [[]]),
        ("?last=a", [NAMES[5:]]),
        ("?last=nothing-like-it", [[]]),
        ("?n=2&last=Z", [NAMES[3:5], NAMES[5:7], NAMES[7:]]),
    ],
)
def test_tags_in_pages(tagged: Registry, query: str, expected: list[list[str]]) -> None:
    assert pages(tagged, f"/v2/a/b/tags/list{query}", "tags") == expected


def test_the_catalog_in_pages(registry: Registry) -> None:
    names = ["a", "a-b", "a/b", "a/b/c", "b"]
    for name in names:
        registry.push_image(name, "v1")
    registry.start_upload("nothing/in/it")
    assert pages(registry, "/v2/_catalog?n=2", "repositories") == [["a", "a-b"], ["a/b", "a/b/c"], ["b"]]
    assert pages(registry, "/v2/_catalog", "repositories") == [names]


def test_a_repository_without_tags_has_an_empty_list(registry: Registry) -> None:
    registry.push_image("a/b")
    assert registry.get("/v2/a/b/tags/list").get_json() == {"name": "a/b", "tags": []}
