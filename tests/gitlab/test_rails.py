"""What GitLab's application asks of its registry, one thing after the other, with the tokens that it makes for each."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests

from functions.registry.metadata.content import pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import Tag
from tests.gitlab.rails import SERVICE, Rails, access, links, token
from tests.metadata.build import APP, push_image, query
from tests.support import Image, Registry, encode, index_of

GROUP: Final = "team"
PROJECT: Final = "team/app"
PATTERNS: Final = {"tag_deny_access_patterns": {"push": [], "delete": []}, "tag_immutable_patterns": []}
META: Final = {"project_path": PROJECT, "project_id": 7, "root_namespace_id": 1, **PATTERNS}
TAGS: Final = f"/gitlab/v1/repositories/{PROJECT}/tags/list/"


@pytest.fixture(params=[SERVICE, [SERVICE, "another"]], ids=["aud text", "aud list"])
def audience(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_all_that_gitlab_asks(external: Registry, audience: Any) -> None:
    def rails(*granted: dict[str, Any]) -> Rails:
        return Rails(external, token(*granted, audience=audience))

    anyone, owner = rails(), rails(access(PROJECT, "*", **META))
    descendants = rails(access(PROJECT, "pull"), access(f"{PROJECT}/*", "pull"))
    find_out(anyone, rails(access("statistics", "*")))
    image = push(owner)
    sizes(rails(access(GROUP, "pull"), access(f"{GROUP}/*", "pull")), descendants, owner, image)
    lists(owner, image)
    pages_of_an_image(owner, image)
    has_images(descendants)
    rename(external, audience)
    delete_tags(rails(access("team/renamed", "*", **META)), image)


def find_out(anyone: Rails, statistics: Rails) -> None:
    assert anyone.ask("GET", "/gitlab/v1/").status_code in {200, 401}
    headers = anyone.ask("GET", "/v2/").headers
    assert headers["Gitlab-Container-Registry-Version"] == "4.39.0-gitlab"
    assert headers["Gitlab-Container-Registry-Features"].split(",") == ["tag_delete"]
    assert headers["Gitlab-Container-Registry-Database-Enabled"] == "true"
    found = statistics.json("/gitlab/v1/statistics/")
    assert found["release"]["version"].lstrip("v") == headers["Gitlab-Container-Registry-Version"]
    assert found["database"]["enabled"] is True
    options = anyone.ask("OPTIONS", "/v2/name/manifests/tag")
    assert options.status_code == 200
    assert "DELETE" in options.headers["Allow"]


def push(owner: Rails) -> Image:
    """Pushes as its replication does: an upload, a PUT to where it points, a manifest; then to be read the same way."""
    image = Image(config=encode({"architecture": "amd64", "os": "linux"}), layers=(b"layer" * 100,))
    for content in image.blobs:
        digest = Digest.of(content)
        assert owner.ask("HEAD", f"/v2/{PROJECT}/blobs/{digest}").status_code == 404
        started = owner.ask("POST", f"/v2/{PROJECT}/blobs/uploads/", headers={"Content-Length": "0"})
        location = urlsplit(started.headers["Location"])
        assert location.scheme
        assert location.netloc
        put = owner.ask("PUT", f"{location.path}?{location.query}&digest={digest}", data=content)
        assert put.status_code == 201, put.text
        found = owner.ask("GET", f"/v2/{PROJECT}/blobs/{digest}")
        assert requests.get(found.headers["Location"], timeout=10).content == content
    for tag in ("latest", "v1"):
        put = owner.ask("PUT", f"/v2/{PROJECT}/manifests/{tag}", data=image.manifest, content_type=OCI_MANIFEST)
        assert put.status_code == 201, put.text
    put = owner.ask("PUT", f"/v2/{PROJECT}/manifests/multi", data=index_of(image.manifest), content_type=OCI_INDEX)
    assert put.status_code == 201, put.text
    return image


def sizes(group: Rails, descendants: Rails, owner: Rails, image: Image) -> None:
    layers = sum(map(len, image.layers))
    for rails, path in [(group, GROUP), (descendants, PROJECT)]:
        found = rails.json(f"/gitlab/v1/repositories/{path}/", size="self_with_descendants")
        assert found["size_bytes"] == layers
    found = owner.json(f"/gitlab/v1/repositories/{PROJECT}/", size="self")
    assert (found["size_bytes"], bool(found["last_published_at"])) == (layers, True)
    assert group.ask("GET", f"/gitlab/v1/repositories/{PROJECT}/?size=self").status_code == 401


def lists(owner: Rails, image: Image) -> None:
    """Checks the answers to what the page of a repository, its API, and the cleanup ask."""
    for sort, expected in [("name", "latest multi v1"), ("-name", "v1 multi latest"),
                           ("published_at", "latest v1 multi"), ("-published_at", "multi v1 latest")]:  # fmt: skip
        for n in ("1", "2", "100"):
            asked = {"n": n, "sort": sort, "referrers": "true", "referrer_type": "application/x"}
            pages = list(owner.walk(TAGS, "next", **asked))
            assert " ".join(tag["name"] for page in pages for tag in page) == expected
    [tag] = [tag for tag in owner.json(TAGS, n="100", name="v1") if tag["name"] == "v1"]
    assert tag["digest"] == str(image.digest)
    assert tag["config_digest"].removeprefix("sha256:") == Digest.of(image.config).hex
    assert tag["size_bytes"] == len(image.manifest) + sum(map(len, image.blobs))
    assert len(owner.json(f"/v2/{PROJECT}/tags/list", n="10000")["tags"]) == 3


def pages_of_an_image(owner: Rails, image: Image) -> None:
    accept = {"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"}
    manifest = owner.ask("GET", f"/v2/{PROJECT}/manifests/v1", headers=accept)
    assert (manifest.data, manifest.headers["Docker-Content-Digest"]) == (image.manifest, str(image.digest))
    config = owner.ask("GET", f"/v2/{PROJECT}/blobs/{json.loads(manifest.data)['config']['digest']}")
    assert requests.get(config.headers["Location"], timeout=10).json()["os"] == "linux"


def has_images(descendants: Rails) -> None:
    for n in ("1", "100"):
        pages = list(descendants.walk(f"/gitlab/v1/repository-paths/{PROJECT}/repositories/list/", "next", n=n))
        assert [each["path"] for page in pages for each in page] == [PROJECT]


def rename(external: Registry, audience: Any) -> None:
    granted = [access(PROJECT, "pull", "push", **META), access(f"{PROJECT}/*", "pull")]
    rails = Rails(external, token(*granted, audience=audience))
    for dry_run, status in [("true", 202), ("false", 204)]:
        response = rails.ask("PATCH", f"/gitlab/v1/repositories/{PROJECT}/?dry_run={dry_run}", json={"name": "renamed"})
        assert response.status_code == status
    assert rails.ask("GET", TAGS).status_code == 404


def delete_tags(owner: Rails, image: Image) -> None:
    for tag, status in [("v1", 202), ("multi", 202), ("v1", 404)]:
        assert owner.ask("DELETE", f"/v2/team/renamed/manifests/{tag}").status_code == status
    assert owner.ask("GET", "/v2/team/renamed/tags/list").get_json()["tags"] == ["latest"]
    assert owner.ask("GET", f"/v2/team/renamed/manifests/{image.digest}").status_code == 200
    undone = owner.ask("POST", "/api/v1/repositories/team/renamed/-/restore", json={"tag": "v1"})
    assert (undone.status_code, undone.get_json()["digest"]) == (200, str(image.digest)), undone.text
    assert owner.ask("GET", "/v2/team/renamed/manifests/v1").data == image.manifest


# ---- long lists


@pytest.fixture(params=[101, pytest.param(1001, marks=pytest.mark.slow)])
def crowd(external: Registry, request: pytest.FixtureRequest) -> list[str]:
    """Tags, nine of ten of which were published at the same moment as others. A thousand pages take seconds."""
    count = request.param
    database = external.services.database
    image = push_image(database, APP)
    tags = [f"{'vw'[number % 2]}{number}.{'-_'[number % 2]}" for number in range(count)]
    push = Push(APP, image.digest, parse_manifest(image.manifest, None), image.manifest, [Tag(tag) for tag in tags])
    pushes.put(database, push)
    query(
        database,
        "UPDATE tags SET updated_at = created_at + (hashtext(name) % :moments) * interval '1 millisecond'",
        moments=count // 10,
    )
    return tags


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sort", ["name", "-name", "published_at", "-published_at"])
def test_every_page_of_one_is_reached_both_ways(external: Registry, crowd: list[str], sort: str) -> None:
    rails = Rails(external, token(access(PROJECT, "*", **META)))
    whole = [tag["name"] for page in rails.walk(TAGS, "next", n=str(len(crowd) - 1), sort=sort) for tag in page]
    assert sorted(whole) == sorted(crowd)
    if "name" in sort:
        assert whole == sorted(whole, reverse=sort == "-name")
    forth = [page[0]["name"] for page in rails.walk(TAGS, "next", n="1", sort=sort)]
    assert forth == whole
    end = links(rails.ask("GET", TAGS, query_string={"n": str(len(crowd) - 1), "sort": sort}))["next"]["last"]
    [last] = rails.json(TAGS, n="1", sort=sort, last=end)
    assert last["name"] == whole[-1]
    back = [page[0]["name"] for page in rails.walk(TAGS, "previous", n="1", sort=sort, before=end)]
    assert back == whole[-3::-1]
