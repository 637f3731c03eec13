"""Lists show old and new together, in one order, page by page."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import tags
from functions.registry.oci.name import RepositoryName, Tag
from tests.imports.old import OldRegistry, end_listing, open_source
from tests.imports.test_holds import list_tag, listed
from tests.metadata.build import push_image, query
from tests.support import Image, Registry

APP = RepositoryName("team/app")


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry) -> int:
    return open_source(registry.services.database)


def pages(registry: Registry, path: str, field: str, size: int) -> list[str]:
    found: list[str] = []
    answer = registry.get(f"{path}?n={size}")
    while True:
        page = answer.get_json()[field]
        assert len(page) <= size
        found += page
        if "Link" not in answer.headers:
            return found
        answer = registry.get(answer.headers["Link"].partition("<")[2].partition(">")[0])


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_tags_that_are_here_and_tags_that_are_not_yet(registry: Registry, source: int, size: int) -> None:
    database = registry.services.database
    listed(database, source, APP)
    image = Image()
    for tag in ("a", "c", "e", "g"):
        list_tag(database, APP, tag, image.digest)
    push_image(database, APP, "b", "c", "d")
    assert tags.delete(database, APP, Tag("d"))
    query(database, "INSERT INTO import_deleted (repository, tag) VALUES ('team/app', 'e')")
    end_listing(database)
    assert pages(registry, "/v2/team/app/tags/list", "tags", size) == ["a", "b", "c", "g"]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_repositories_that_are_here_and_repositories_that_are_not_yet(
    registry: Registry, source: int, size: int
) -> None:
    database = registry.services.database
    for name, state in (("b", "listed"), ("d", "importing"), ("e", "dropped"), ("f", "imported"), ("c", "listed")):
        listed(database, source, RepositoryName(f"team/{name}"), state)
    for name in ("a", "c", "g"):
        push_image(database, RepositoryName(f"team/{name}"), "v1")
    expected = [f"team/{name}" for name in "abcdg"]
    assert pages(registry, "/v2/_catalog", "repositories", size) == expected


def test_a_repository_of_the_older_registry_alone_has_its_tags(registry: Registry, source: int) -> None:
    database = registry.services.database
    listed(database, source, APP)
    list_tag(database, APP, "v1", Image().digest)
    end_listing(database)
    assert registry.get("/v2/team/app/tags/list").get_json() == {"name": "team/app", "tags": ["v1"]}
    assert registry.get("/v2/team/none/tags/list").status_code == 404


def test_a_list_that_would_lack_something_is_503(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push("team/app", Image(), "v1", "v2")
    registry.get("/v2/team/app/manifests/v1")
    assert registry.get("/v2/team/app/tags/list").status_code == 503
    old.push("team/other", Image(), "v1")
    answer = registry.get("/v2/team/other/tags/list")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert registry.get("/v2/team/none/tags/list").status_code == 404
    assert source


def test_where_nothing_is_moved_in_a_list_is_one_statement(registry: Registry) -> None:
    push_image(registry.services.database, APP, "v1")
    assert registry.statements("GET", "/v2/team/app/tags/list") == ["tags_list"]
    assert registry.statements("GET", "/v2/_catalog") == ["repositories_list"]
