"""GitLab's API: a repository's details, its size, what lies below a name."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from functions.registry.metadata.db import Database
from functions.registry.metadata.gitlab import repositories as gitlab
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.gitlab.rails import Rails, access, links, token
from tests.metadata.build import APP, push_blob, push_image, push_index, query
from tests.security.people import Guarded
from tests.support import Image, Registry

TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
DETAILS: Final = "/gitlab/v1/repositories/{}/"
BELOW: Final = "/gitlab/v1/repository-paths/{}/repositories/list/"
SELF: Final = "?size=self"
DEEP: Final = "?size=self_with_descendants"


def details(registry: Registry, name: str, query: str = "") -> dict[str, Any]:
    response = registry.get(DETAILS.format(name) + query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


# ---- details


def test_details_of_a_repository(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    found = details(registry, "team/app")
    assert list(found) == ["name", "path", "created_at", "last_published_at"]
    assert (found["name"], found["path"]) == ("app", "team/app")
    assert TIME.fullmatch(found["created_at"])
    assert TIME.fullmatch(found["last_published_at"])
    [tag] = registry.get("/gitlab/v1/repositories/team/app/tags/list/").get_json()
    assert tag["published_at"] == found["last_published_at"]


def test_a_repository_that_nothing_was_published_in(registry: Registry) -> None:
    registry.start_upload("team/app")
    found = details(registry, "team/app", SELF)
    assert "last_published_at" not in found
    assert "updated_at" not in found
    assert (found["size_bytes"], found["size_precision"]) == (0, "default")


def test_a_name_of_one_part(registry: Registry) -> None:
    registry.push_image("group", "v1", Image(layers=(b"12345",)))
    assert details(registry, "group", SELF)["size_bytes"] == 5


@pytest.mark.parametrize("value", ["all", "Self", "self,", "0"])
def test_a_size_that_is_none(registry: Registry, value: str) -> None:
    response = registry.get(DETAILS.format("team/app"), query_string={"size": value})
    assert (response.status_code, registry.error_code(response)) == (400, "INVALID_QUERY_PARAMETER_VALUE")
    assert response.get_json()["errors"][0]["detail"] == {
        "parameter": "size", "takes": ["self", "self_with_descendants"],
    }  # fmt: skip


def test_no_size_is_shown_unless_asked_for(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    assert "size_bytes" not in details(registry, "team/app", "?size=")


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [
        ("team/none", "", 404),
        ("team/none", SELF, 404),
        ("team/none", DEEP, 200),
        ("team", DEEP, 200),
        ("team", SELF, 404),
        ("nobody", DEEP, 404),
        ("nobody/app", DEEP, 404),
    ],
)
def test_a_repository_that_is_not_there(registry: Registry, name: str, query: str, status: int) -> None:
    """GitLab asks for the size of a group, which is no repository itself."""
    registry.push_image("team/app", "v1", Image(layers=(b"12345",)))
    response = registry.get(DETAILS.format(name) + query)
    assert response.status_code == status
    if status == 200:
        below = 5 if name == "team" else 0
        assert response.get_json() == {
            "name": name.rpartition("/")[2], "path": name, "size_bytes": below, "size_precision": "default",
            "created_at": "",
        }  # fmt: skip
    else:
        assert registry.error_code(response) == "NAME_UNKNOWN"


# ---- sizes


def test_a_size_counts_each_layer_that_a_tag_leads_to_once(database: Database) -> None:
    shared, own, untagged = b"s" * 1000, b"o" * 200, b"u" * 30
    first = push_image(database, APP, "v1", image=Image(layers=(shared, own)))
    second = push_image(database, APP, image=Image(layers=(shared,)))
    push_image(database, APP, image=Image(layers=(untagged,)))
    assert size(database, "team/app") == (1200, "default")
    push_index(database, APP, "multi", of=[first, second])
    assert size(database, "team/app") == (1200, "default")
    third = push_image(database, APP, image=Image(layers=(b"t" * 4,)))
    push_index(database, APP, "multi", of=[first, third])
    assert size(database, "team/app") == (1204, "default"), "through an index too"


def test_a_size_with_descendants_counts_a_shared_layer_once(database: Database) -> None:
    shared = b"s" * 1000
    for name, own in [("team/app", b"1"), ("team/app/sub", b"22"), ("team/app-x", b"333"), ("team/b", b"4444")]:
        push_image(database, RepositoryName(name), "v1", image=Image(layers=(shared, own)))
    assert size(database, "team/app", with_below=True) == (1003, "default")
    assert size(database, "team/app") == (1001, "default")
    assert size(database, "team", with_below=True) == (1010, "default")


@pytest.mark.parametrize("most", [0, 1, 2, 4])
def test_a_size_that_takes_too_long_to_look_at_is_an_estimate(database: Database, most: int) -> None:
    """It is the sum of all blobs, configs and untagged ones too."""
    image = push_image(database, APP, "v1", image=Image(layers=(b"12345", b"6789")))
    push_blob(database, APP, b"loose")
    all_bytes = len(image.config) + 5 + 4 + 5
    expected = (9, "default") if most > 1 else (all_bytes, "untagged")
    assert size(database, "team/app", most=most) == expected
    assert size(database, "team", with_below=True, most=most) == expected


def test_an_estimate_of_a_namespace_counts_a_shared_blob_once(database: Database) -> None:
    image = Image(layers=(b"12345",))
    for name in ("team/app", "team/other"):
        push_image(database, RepositoryName(name), "v1", image=image)
    once = len(image.config) + 5
    assert size(database, "team", with_below=True, most=0) == (once, "untagged")


def test_references_beyond_the_bound_are_not_read(database: Database) -> None:
    push_image(database, APP, "v1", image=Image(layers=tuple(bytes([n]) for n in range(20))))
    assert size(database, "team/app", most=10)[1] == "untagged"
    assert size(database, "team/app", most=20) == (20, "default")


def size(db: Database, name: str, *, with_below: bool = False, most: int = 1000) -> tuple[int, str]:
    found = gitlab.size(db, RepositoryName(name), with_below=with_below, most=most)
    return found.bytes, found.precision


def test_details_with_a_size_are_two_statements(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    assert registry.statements("GET", DETAILS.format("team/app") + DEEP) == ["gitlab_details", "gitlab_size"]


# ---- what lies below a name


@pytest.fixture
def group(registry: Registry) -> Registry:
    image = Image(layers=())
    for name in ("team", "team/app", "team/app/a", "team/app/b/c", "team/app-x", "team/app.y", "team/b", "teams"):
        registry.push_image(name, "v1", image)
    registry.push_image("team/app/untagged", image=image)
    return registry


def below(registry: Registry, name: str, **query: str) -> list[str]:
    response = registry.get(BELOW.format(name), query_string=query)
    assert response.status_code == 200, response.text
    return [each["path"] for each in response.get_json()]


def test_repositories_below_a_name(group: Registry) -> None:
    assert below(group, "team/app") == ["team/app", "team/app/a", "team/app/b/c"]
    assert below(group, "team/app/b") == ["team/app/b/c"]
    whole = ["team", "team/app", "team/app-x", "team/app.y", "team/app/a", "team/app/b/c", "team/b"]
    assert below(group, "team") == sorted(whole)
    [first, *_] = group.get(BELOW.format("team/app")).get_json()
    assert list(first) == ["name", "path", "created_at"]
    assert (first["name"], bool(TIME.fullmatch(first["created_at"]))) == ("app", True)


@pytest.mark.parametrize(
    ("query", "expected", "following"),
    [
        ({"n": "1"}, ["team/app"], {"n": "1", "last": "team/app"}),
        ({"n": "2"}, ["team/app", "team/app/a"], {"n": "2", "last": "team/app/a"}),
        ({"n": "3"}, ["team/app", "team/app/a", "team/app/b/c"], None),
        ({"n": "1", "last": "team/app"}, ["team/app/a"], {"n": "1", "last": "team/app/a"}),
        ({"last": "team/app/a"}, ["team/app/b/c"], None),
        ({"last": "team/app/aa"}, ["team/app/b/c"], None),
        ({"last": "team/app/b/c"}, [], None),
        ({"last": "zzz"}, [], None),
        ({"last": "aaa"}, ["team/app", "team/app/a", "team/app/b/c"], None),
    ],
)
def test_pages_of_them(
    group: Registry, query: dict[str, str], expected: list[str], following: dict[str, str] | None
) -> None:
    response = group.get(BELOW.format("team/app"), query_string=query)
    assert [each["path"] for each in response.get_json()] == expected
    assert links(response) == ({"next": following} if following else {})


def test_their_link_is_a_path(group: Registry) -> None:
    link = group.get(BELOW.format("team/app") + "?n=1").headers["Link"]
    assert link == '</gitlab/v1/repository-paths/team/app/repositories/list/?last=team%2Fapp&n=1>; rel="next"'


@pytest.mark.parametrize(
    ("n", "code"),
    [
        ("0", "INVALID_QUERY_PARAMETER_VALUE"),
        ("1001", "INVALID_QUERY_PARAMETER_VALUE"),
        ("-1", "INVALID_QUERY_PARAMETER_VALUE"),
        ("", "INVALID_QUERY_PARAMETER_TYPE"),
        ("x", "INVALID_QUERY_PARAMETER_TYPE"),
        ("1.5", "INVALID_QUERY_PARAMETER_TYPE"),
    ],
)
def test_a_page_of_another_size(group: Registry, n: str, code: str) -> None:
    response = group.get(BELOW.format("team/app"), query_string={"n": n})
    assert (response.status_code, group.error_code(response)) == (400, code)


def test_nothing_below_a_name(group: Registry) -> None:
    assert below(group, "team/none") == []
    response = group.get(BELOW.format("nobody/app"))
    assert (response.status_code, group.error_code(response)) == (404, "NAME_UNKNOWN")
    assert response.get_json()["errors"][0]["detail"] == {"namespace": "nobody"}


def test_a_page_of_them_is_one_statement(group: Registry) -> None:
    assert group.statements("GET", BELOW.format("team/app")) == ["gitlab_below"]


# ---- who may


@pytest.mark.parametrize(
    ("path", "granted", "asked"),
    [
        (DETAILS, ["team/app"], "repository:team/app:pull"),
        (DETAILS + SELF, ["team/app"], "repository:team/app:pull"),
        (DETAILS + DEEP, ["team/app", "team/app/*"], "repository:team/app:pull repository:team/app/*:pull"),
        (BELOW, ["team/app", "team/app/*"], "repository:team/app:pull repository:team/app/*:pull"),
        (DETAILS + "tags/list/", ["team/app"], "repository:team/app:pull"),
        (DETAILS + "tags/detail/v1/", ["team/app"], "repository:team/app:pull"),
        ("/gitlab/v1/statistics/", ["statistics"], "registry:statistics:*"),
        ("/gitlab/v1/background-migrations/", ["background-migrations"], "registry:background-migrations:*"),
        ("/gitlab/v1/background-migrations/1/", ["background-migrations"], "registry:background-migrations:*"),
    ],
)
def test_the_scopes_that_a_token_needs(external: Registry, path: str, granted: list[str], asked: str) -> None:
    push_image(external.services.database, APP, "v1", image=Image(layers=()))
    action = "*" if granted[0] in {"statistics", "background-migrations"} else "pull"
    path = path.format("team/app")
    enough = [access(name, action) for name in granted]
    assert Rails(external, token(*enough)).ask("GET", path).status_code != 401
    for lesser in [[], enough[:-1], [access("team", "*"), access("team/*", "*"), access("catalog", "*")]]:
        response = Rails(external, token(*lesser)).ask("GET", path)
        assert response.status_code == 401, lesser
        assert f'scope="{asked}",error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    nobody = external.get(path)
    assert nobody.status_code == 401
    assert nobody.headers["WWW-Authenticate"].endswith(f'scope="{asked}"'), "without an error"


def test_a_name_with_a_star_is_no_pattern(external: Registry) -> None:
    push_image(external.services.database, APP, "v1", image=Image(layers=()))
    rails = Rails(external, token(access("team/*", "*"), access("team/app/*", "*")))
    assert rails.ask("GET", "/v2/team/app/tags/list").status_code == 401
    assert rails.ask("GET", DETAILS.format("team/app")).status_code == 401


def test_our_own_tokens(guarded: Guarded) -> None:
    """They name no descendants: those take an administrator."""
    push_image(guarded.services.database, APP, "v1", image=Image(layers=()))
    people = {
        "reader": guarded.robot("reader", ("team/app", "reader")),
        "stranger": guarded.robot("stranger", ("elsewhere/**", "admin")),
        "boss": guarded.robot("boss", is_admin=True),
    }
    expected = {
        DETAILS.format("team/app") + SELF: {"reader": 200, "stranger": 403, "boss": 200, None: 401},
        DETAILS.format("team/app") + "tags/list/": {"reader": 200, "stranger": 403, "boss": 200, None: 401},
        DETAILS.format("team/app") + "tags/detail/v1/": {"reader": 200, "stranger": 403, "boss": 200, None: 401},
        DETAILS.format("team/app") + DEEP: {"reader": 403, "stranger": 403, "boss": 200, None: 401},
        BELOW.format("team"): {"reader": 403, "stranger": 403, "boss": 200, None: 401},
        "/gitlab/v1/statistics/": {"reader": 403, "stranger": 403, "boss": 200, None: 401},
        "/gitlab/v1/background-migrations/": {"reader": 403, "stranger": 403, "boss": 200, None: 401},
        "/gitlab/v1/background-migrations/1/": {"reader": 403, "stranger": 403, "boss": 200, None: 401},
    }
    for path, statuses in expected.items():
        for name, status in statuses.items():
            ours = guarded.token(name, people.get(name or ""), "repository:team/app:pull")
            response = guarded.get(path, headers=guarded.as_bearer(ours))
            assert response.status_code == status, (path, name, response.text)


def test_digests_of_configs_do_not_count(database: Database) -> None:
    """Unless an image has it as a layer as well."""
    config = b'{"os":"linux"}'
    push_image(database, APP, "v1", image=Image(config=config, layers=(b"12345",)))
    assert size(database, "team/app") == (5, "default")
    push_image(database, APP, "v2", image=Image(layers=(config,)))
    assert size(database, "team/app") == (5 + len(config), "default")
    named = query(database, "SELECT count(*) FROM manifest_blobs WHERE digest = :d", d=Digest.of(config).to_bytes())
    assert named == [[2]]
