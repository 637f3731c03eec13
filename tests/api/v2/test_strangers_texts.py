"""What strangers write into a manifest or a config: no answer that shows it is a fault of ours, or has no bound."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.registry.metadata.gitlab import tags as gitlab_tags
from functions.registry.metadata.lists import tags as listed_tags
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.page import LARGEST_BYTES
from tests.metadata.build import query
from tests.support import CONFIG_TYPE, Registry, descriptor, encode

# As JSON escapes them: a NUL, halves of surrogate pairs, and what terminals take amiss.
ODD: Final = st.text(
    alphabet=st.sampled_from(["\0", "\ud800", "\udfff", "\x1b", "\u202e", "a", "é", '"', "\\"]), max_size=6
)
VALUES: Final = ODD | st.none() | st.integers() | st.lists(ODD, max_size=2) | st.dictionaries(ODD, ODD, max_size=2)
PLATFORMS: Final = VALUES | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("os", "architecture", "variant", "os.version", "os.features"), VALUES)
)
SHOWN: Final = (
    "/api/v1/repositories/a/b/-/tags",
    "/api/v1/repositories/a/b/-/tags/v1",
    "/gitlab/v1/repositories/a/b/tags/list/?referrers=true",
    "/gitlab/v1/repositories/a/b/tags/detail/v1/",
    "/v2/a/b/tags/list",
)


def assert_shown(registry: Registry) -> None:
    for path in SHOWN:
        response = registry.get(path)
        assert response.status_code == 200, (path, response.text)
        response.data.decode()
        json.loads(response.data)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(platform=PLATFORMS, other=VALUES, type_of_child=ODD)
def test_any_platform_of_an_index(registry: Registry, platform: Any, other: Any, type_of_child: str) -> None:
    registry.push_blob("a/b", b"{}")
    entries = [
        {**descriptor(b"{}", "application/x"), "platform": platform, "annotations": other, "data": other},
        {**descriptor(b"{}", type_of_child), "platform": platform, "artifactType": other},
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "x": other}
    response = registry.put_manifest("a/b", "v1", encode(document))
    assert response.status_code in {201, 400}, response.text
    if response.status_code == 201:
        assert_shown(registry)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(config=PLATFORMS, other=VALUES)
def test_any_config_of_an_image(registry: Registry, config: Any, other: Any) -> None:
    content = json.dumps(config).encode()
    registry.push_blob("a/b", content)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {**descriptor(content, CONFIG_TYPE), "annotations": other},
        "layers": [],
        "x": other,
    }
    assert registry.put_manifest("a/b", "v1", encode(document)).status_code == 201
    assert_shown(registry)


@pytest.mark.parametrize("path", SHOWN)
def test_half_of_a_surrogate_pair_in_a_platform(registry: Registry, path: str) -> None:
    child = registry.push_image("a/b")
    entry = descriptor(child.manifest, OCI_MANIFEST, platform={"os": "\ud800", "architecture": "amd64"})
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
    assert registry.put_manifest("a/b", "v1", index).status_code == 201
    assert registry.get(path).status_code == 200


# ---- pages of what strangers size end by their bytes


def all_of(registry: Registry, path: str, read: Any, more: str = "") -> list[list[str]]:
    """What each page has; links of GitLab's API lead on without `more`."""
    pages = []
    while path:
        response = registry.get(path + more)
        assert response.status_code == 200
        assert len(response.data) <= LARGEST_BYTES
        pages.append(read(response.get_json()))
        links = re.findall(r'<([^>]+)>; rel="(\w+)"', response.headers.get("Link", ""))
        path = next((link for link, relation in links if relation == "next"), "")
    return pages


@pytest.fixture
def sized(registry: Registry) -> Registry:
    """Twelve tags, each with what takes several hundred kilobytes to show, past the bounds that a push keeps to."""
    registry.push_blob("a/b", b"{}")
    for number in range(12):
        document = {"schemaVersion": 2, "config": descriptor(b"{}"), "annotations": {"n": str(number)}}
        manifest = encode({**document, "mediaType": OCI_MANIFEST})
        registry.put_manifest("a/b", f"t{number:02}", manifest)
        attached = encode({**document, "mediaType": OCI_MANIFEST, "subject": descriptor(manifest, OCI_MANIFEST)})
        registry.put_manifest("a/b", Digest.of(attached), attached)
    query(registry.services.database, "UPDATE manifests SET artifact_type = repeat('x', 900000)")
    return registry


def test_a_page_of_tags_ends_by_its_bytes(sized: Registry) -> None:
    names = [f"t{number:02}" for number in range(12)]
    for sort, expected in (("name", names), ("-name", names[::-1])):
        pages = all_of(
            sized, f"/api/v1/repositories/a/b/-/tags?sort={sort}", lambda body: [tag["name"] for tag in body["tags"]]
        )
        assert [name for page in pages for name in page] == expected
        assert len(pages) == 3


def test_a_page_of_gitlabs_tags_ends_by_its_bytes(sized: Registry) -> None:
    names = [f"t{number:02}" for number in range(12)]
    path = "/gitlab/v1/repositories/a/b/tags/list/?n=100"
    assert all_of(sized, path, lambda body: [tag["name"] for tag in body]) == [names]
    for sort, expected in (("name", names), ("-name", names[::-1]), ("published_at", names)):
        pages = all_of(sized, f"{path}&sort={sort}", lambda body: [tag["name"] for tag in body], "&referrers=true")
        assert [name for page in pages for name in page] == expected
        assert len(pages) == 3


def test_an_entry_that_is_larger_than_a_page_has_one_for_itself(sized: Registry) -> None:
    assert listed_tags._LARGEST_PAGE == gitlab_tags._LARGEST_PAGE < LARGEST_BYTES
    query(
        sized.services.database,
        "UPDATE manifests SET artifact_type = repeat('x', 5000000) WHERE annotations ->> 'n' = '0'",
    )
    for path, key in (
        ("/api/v1/repositories/a/b/-/tags", "tags"),
        ("/gitlab/v1/repositories/a/b/tags/list/?referrers=true", None),
    ):
        response = sized.get(path)
        body = response.get_json()
        assert [tag["name"] for tag in (body[key] if key else body)] == ["t00"]
        assert 'rel="next"' in response.headers["Link"]
