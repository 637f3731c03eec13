"""GitLab's API: lists of tags with all their parameters, and one tag."""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.metadata.gitlab import tag_images
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.gitlab.rails import links
from tests.metadata.build import query
from tests.support import CONFIG_TYPE, Image, Registry, descriptor, encode, index_of

LIST: Final = "/gitlab/v1/repositories/team/app/tags/list/"
DETAIL: Final = "/gitlab/v1/repositories/team/app/tags/detail/{}/"
TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
VALUE: Final = "INVALID_QUERY_PARAMETER_VALUE"
TYPE: Final = "INVALID_QUERY_PARAMETER_TYPE"


def ask(registry: Registry, **parameters: str) -> TestResponse:
    response = registry.get(LIST, query_string=parameters)
    assert response.status_code == 200, response.text
    return response


def names(response: TestResponse) -> str:
    return "".join(tag["name"] for tag in response.get_json())


def marker(registry: Registry, tag: str) -> str:
    """Returns what GitLab gets from the link after this tag."""
    [[moment]] = query(
        registry.services.database,
        "SELECT to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM tags WHERE name = :n",
        n=tag,
    )
    return base64.b64encode(f"{moment}|{tag}".encode()).decode()


# ---- pages

PAGES: Final = [
    # asked, tags, before of the previous page, last of the next
    ({}, "abcdef", None, None),
    ({"n": "6"}, "abcdef", None, None),
    ({"n": "4"}, "abcd", None, "d"),
    ({"n": "2", "last": "b"}, "cd", "c", "d"),
    ({"n": "4", "last": "b"}, "cdef", "c", None),
    ({"last": "bb"}, "cdef", "c", None),
    ({"last": "f"}, "", None, None),
    ({"last": "A"}, "abcdef", None, None),
    ({"before": "d", "n": "2", "sort": "name"}, "bc", "b", "c"),
    ({"before": "c", "sort": "-name", "n": "2"}, "ed", "e", "d"),
    ({"last": "e", "n": "2", "sort": "-name"}, "dc", "d", "c"),
    ({"before": "d"}, "abc", None, "c"),
    ({"before": "c", "n": "2"}, "ab", None, "b"),
    ({"before": "zz", "n": "2"}, "ef", "e", None),
    ({"before": "a"}, "", None, None),
    ({"sort": "-name"}, "fedcba", None, None),
    ({"sort": "-name", "n": "2"}, "fe", None, "e"),
    ({"sort": " -NAME ", "n": "5"}, "fedcb", None, "b"),
    ({"sort": "-name", "before": "f"}, "", None, None),
]


@pytest.mark.parametrize(("asked", "expected", "before", "last"), PAGES, ids=str)
def test_pages_by_name(
    tagged: Registry, asked: dict[str, str], expected: str, before: str | None, last: str | None
) -> None:
    response = ask(tagged, **asked)
    assert names(response) == expected
    found = links(response)
    assert (found.get("previous", {}).get("before"), found.get("next", {}).get("last")) == (before, last)
    for query_of_link in found.values():
        assert query_of_link["n"] == asked.get("n", "100")
        assert query_of_link.get("sort") == ("-name" if "NAME" in asked.get("sort", "") else asked.get("sort"))


TIMES: Final = [
    ("published_at", "", "", "cbafed"),
    ("-published_at", "", "", "defabc"),
    ("published_at", "last", "a", "fed"),
    ("-published_at", "last", "a", "bc"),
    ("published_at", "before", "a", "cb"),
    ("-published_at", "before", "a", "def"),
]


@pytest.mark.parametrize(("sort", "parameter", "tag", "expected"), TIMES)
@pytest.mark.parametrize("is_name", [False, True])
def test_pages_by_time(tagged: Registry, sort: str, parameter: str, tag: str, expected: str, is_name: bool) -> None:
    """A marker is a time and a name; a name alone stands for the tag's own time."""
    place = {parameter: tag if is_name else marker(tagged, tag)} if parameter else {}
    assert names(ask(tagged, sort=sort, **place)) == expected


@pytest.mark.parametrize(
    ("sort", "parameter", "expected", "relations"),
    [
        ("published_at", "last", "fe", {"previous": "before", "next": "last"}),
        ("published_at", "before", "cb", {"next": "last"}),
        ("-published_at", "last", "bc", {"previous": "before"}),
        ("-published_at", "before", "ef", {"previous": "before", "next": "last"}),
    ],
)
def test_markers_of_a_page_by_time_lead_on(
    tagged: Registry, sort: str, parameter: str, expected: str, relations: dict[str, str]
) -> None:
    response = ask(tagged, sort=sort, n="2", **{parameter: marker(tagged, "a")})
    assert names(response) == expected
    places = {"next": expected[-1], "previous": expected[0]}
    assert links(response) == {
        relation: {"n": "2", "sort": sort, name: marker(tagged, places[relation])}
        for relation, name in relations.items()
    }


def test_tags_of_the_same_moment_are_in_the_order_of_their_names(tagged: Registry) -> None:
    query(tagged.services.database, "UPDATE tags SET updated_at = '2023-02-01T00:00:01Z' WHERE name IN ('b', 'd', 'f')")
    assert names(ask(tagged, sort="published_at")) == "bdfcae"
    assert names(ask(tagged, sort="-published_at")) == "eacfdb"
    latest = base64.b64encode(b"2023-02-01T00:00:01.000000Z|c").decode()
    assert names(ask(tagged, sort="published_at", last=latest, n="2")) == "df"
    assert names(ask(tagged, sort="-published_at", last=latest)) == "b"


def test_a_marker_of_a_time_with_a_plus_sign_that_was_not_escaped(tagged: Registry) -> None:
    moment = next(
        encoded
        for n in range(1000)
        if "+" in (encoded := base64.b64encode(f"2023-02-01T00:00:01.{n:06}Z|~~>?".encode()).decode())
    )
    assert names(tagged.get(f"{LIST}?sort=published_at&last={moment}")) == "cbafed"


def test_a_marker_that_is_no_time_is_a_name(tagged: Registry) -> None:
    """It may look like one: base64 of something else, or of a time that is none."""
    for odd in ("bWFzdGVy", base64.b64encode(b"yesterday|b").decode(), base64.b64encode(b"2023-02-01|").decode()):
        assert ask(tagged, last=odd).status_code == 200
        assert ask(tagged, last=odd, sort="published_at").status_code == 200


def test_markers_need_not_be_tags(tagged: Registry) -> None:
    assert names(ask(tagged, last="kb0j5/pic0i")) == ""
    assert names(ask(tagged, before="kb0j5/pic0i")) == "abcdef"


def test_the_link_header_is_built_as_gitlab_reads_it(tagged: Registry) -> None:
    response = ask(tagged, n="1", last="b", sort="name", name="c", referrers="true", referrer_type="a/b", other="x")
    assert "Link" not in response.headers, "one tag alone has it"
    response = ask(tagged, n="4", last="a", referrers="true", referrer_type="a/b", other="x")
    assert response.headers["Link"] == (f'<{LIST}?before=b&n=4>; rel="previous", <{LIST}?last=e&n=4>; rel="next"')
    response = ask(tagged, n="1", sort="-published_at")
    escaped = marker(tagged, "d").replace("=", "%3D").replace("/", "%2F").replace("+", "%2B")
    assert response.headers["Link"] == f'<{LIST}?last={escaped}&n=1&sort=-published_at>; rel="next"'


# ---- filters


@pytest.fixture
def named(registry: Registry) -> Registry:
    image = registry.push_image("team/app")
    for tag in ("1.0", "1.0-rc", "2.0", "v1.0", "v1_0", "latest", "Latest", "_x"):
        registry.put_manifest("team/app", tag, image.manifest)
    return registry


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"name": "1.0"}, ["1.0", "1.0-rc", "v1.0"]),
        ({"name": "1.0", "sort": "-name"}, ["v1.0", "1.0-rc", "1.0"]),
        ({"name": "_"}, ["_x", "v1_0"]),
        ({"name": "latest"}, ["latest"]),
        ({"name": "atest"}, ["Latest", "latest"]),
        ({"name": "nothing"}, []),
        ({"name": ""}, ["1.0", "1.0-rc", "2.0", "Latest", "_x", "latest", "v1.0", "v1_0"]),
        ({"name": "1.0", "last": "1.0"}, ["1.0-rc", "v1.0"]),
        ({"name": "1.0", "before": "v1.0", "n": "1"}, ["1.0-rc"]),
        ({"name_exact": "1.0"}, ["1.0"]),
        ({"name_exact": "1"}, []),
        ({"name_exact": "1.0", "last": "zzz", "n": "1", "sort": "-published_at"}, ["1.0"]),
        ({"name_exact": "", "n": "1"}, ["1.0"]),
    ],
)
def test_tags_by_their_names(named: Registry, asked: dict[str, str], expected: list[str]) -> None:
    assert [tag["name"] for tag in ask(named, **asked).get_json()] == expected


@pytest.mark.parametrize(
    ("asked", "previous", "following"),
    [
        ({"name": "1.0", "n": "1"}, None, "1.0"),
        ({"name": "1.0", "n": "1", "last": "1.0"}, "1.0-rc", "1.0-rc"),
        ({"name": "1.0", "n": "1", "last": "1.0-rc"}, "v1.0", None),
        ({"name": "1.0", "n": "2", "last": "1.0-rc"}, "v1.0", None),
        ({"name": "1.0", "before": "1.0-rc"}, None, "1.0"),
        ({"name": "v", "last": "2.0"}, None, None),
        ({"name_exact": "1.0", "n": "1"}, None, None),
    ],
)
def test_links_are_judged_with_the_filter(
    named: Registry, asked: dict[str, str], previous: str | None, following: str | None
) -> None:
    found = links(ask(named, **asked))
    assert (found.get("previous", {}).get("before"), found.get("next", {}).get("last")) == (previous, following)
    assert {query_of_link["name"] for query_of_link in found.values()} <= {asked.get("name")}


@pytest.mark.parametrize(
    ("asked", "code", "parameter"),
    [
        ({"n": "0"}, VALUE, "n"),
        ({"n": "1001"}, VALUE, "n"),
        ({"n": "-1"}, VALUE, "n"),
        ({"n": ""}, TYPE, "n"),
        ({"n": "ten"}, TYPE, "n"),
        ({"n": "1.0"}, TYPE, "n"),
        ({"n": "9" * 30}, TYPE, "n"),
        ({"last": ""}, VALUE, "last"),
        ({"before": ""}, VALUE, "before"),
        ({"last": "-"}, VALUE, "last"),
        ({"before": "-"}, VALUE, "before"),
        ({"last": "a", "before": "b"}, VALUE, "before"),
        ({"name": "a/b"}, VALUE, "name"),
        ({"name": "a b"}, VALUE, "name"),
        ({"name": "a" * 129}, VALUE, "name"),
        ({"name_exact": "-a"}, VALUE, "name_exact"),
        ({"name_exact": "a", "name": "a"}, VALUE, "name_exact"),
        ({"sort": ""}, VALUE, "sort"),
        ({"sort": "size"}, VALUE, "sort"),
        ({"sort": "name,published_at"}, VALUE, "sort"),
        ({"sort": "+name"}, VALUE, "sort"),
    ],
    ids=str,
)
def test_parameters_that_are_refused(tagged: Registry, asked: dict[str, str], code: str, parameter: str) -> None:
    response = tagged.get(LIST, query_string=asked)
    assert (response.status_code, tagged.error_code(response)) == (400, code)
    [error] = response.get_json()["errors"]
    assert error["detail"]["parameter"] == parameter
    assert error["detail"]["takes"]


def test_a_list_of_nothing(registry: Registry) -> None:
    response = registry.get(LIST)
    assert (response.status_code, registry.error_code(response)) == (404, "NAME_UNKNOWN")
    assert response.get_json()["errors"][0]["detail"] == {"name": "team/app"}
    assert registry.get(LIST, query_string={"name_exact": "v1"}).status_code == 404
    registry.push_image("team/app")
    response = registry.get(LIST)
    assert (response.status_code, response.get_json(), response.headers.get("Link")) == (200, [], None)
    assert registry.get(LIST, query_string={"name_exact": "v1"}).get_json() == []


# ---- what is shown


def test_what_a_list_shows_of_an_image(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    [tag] = registry.get(LIST).get_json()
    times = {name: tag.pop(name) for name in ("created_at", "published_at")}
    assert tag == {
        "name": "v1",
        "digest": str(image.digest),
        "config_digest": str(Digest.of(image.config)),
        "media_type": OCI_MANIFEST,
        "size_bytes": len(image.manifest) + len(image.config) + 3000,
    }
    assert times["created_at"] == times["published_at"]
    assert TIME.fullmatch(times["created_at"])


def test_a_tag_that_moved_was_updated(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    [before] = registry.get(LIST).get_json()
    assert "updated_at" not in before
    query(registry.services.database, "UPDATE tags SET created_at = created_at - interval '1 day'")
    registry.push_image("team/app", "v1")
    [after] = registry.get(LIST).get_json()
    assert after["created_at"] < after["updated_at"]
    assert after["published_at"] == after["updated_at"]


def test_what_a_list_shows_of_an_index(registry: Registry) -> None:
    """It shows the true sum of its images, where GitLab's registry says 0."""
    image = registry.push_image("team/app")
    index = index_of(image.manifest)
    registry.put_manifest("team/app", "multi", index)
    [tag] = registry.get(LIST).get_json()
    assert (tag["media_type"], "config_digest" in tag) == (OCI_INDEX, False)
    assert tag["size_bytes"] == len(index) + len(image.manifest) + len(image.config) + 3000


def attached(registry: Registry, image: Image, kind: str) -> str:
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind,
                       "subject": descriptor(image.manifest, OCI_MANIFEST)})  # fmt: skip
    assert registry.put_manifest("team/app", Digest.of(manifest), manifest).status_code == 201
    return str(Digest.of(manifest))


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ({"referrers": "true"}, ["application/sbom", "Application/Signature"]),
        ({"referrers": "true", "referrer_type": "application/sbom"}, ["application/sbom"]),
        ({"referrers": "true", "referrer_type": "application/SIGNATURE"}, ["Application/Signature"]),
        ({"referrers": "true", "referrer_type": "x/y,application/sbom"}, ["application/sbom"]),
        ({"referrers": "true", "referrer_type": "x/y"}, []),
        ({"referrers": "1"}, []),
        ({"referrers": "false"}, []),
        ({"referrer_type": "application/sbom"}, []),
        ({"referrers": "true", "name_exact": "v1"}, ["application/sbom", "Application/Signature"]),
    ],
    ids=str,
)
def test_referrers(registry: Registry, asked: dict[str, str], kinds: list[str]) -> None:
    image = registry.push_image("team/app", "v1")
    there = {kind: attached(registry, image, kind) for kind in ("application/sbom", "Application/Signature")}
    [tag] = ask(registry, **asked).get_json()
    expected = [{"artifactType": kind, "digest": there[kind]} for kind in sorted(kinds, key=there.__getitem__)]
    assert tag.get("referrers", []) == expected
    assert ("referrers" in tag) == bool(kinds)


def test_a_referrer_without_a_type_of_its_own_has_that_of_its_config(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    registry.push_image("team/app", image=Image(more={"subject": descriptor(image.manifest, OCI_MANIFEST)}))
    [tag] = ask(registry, referrers="true", referrer_type=CONFIG_TYPE).get_json()
    assert [each["artifactType"] for each in tag["referrers"]] == [CONFIG_TYPE]


@pytest.mark.parametrize(
    ("asked", "statements"),
    [
        ("", ["gitlab_tags_by_name_up"]),
        ("?sort=-name&referrers=true", ["gitlab_tags_by_name_down"]),
        ("?sort=published_at", ["gitlab_tags_by_published_at_up"]),
        ("?sort=-published_at&name=a", ["gitlab_tags_by_published_at_down"]),
        ("?name_exact=a", ["gitlab_tags_one"]),
        ("?sort=published_at&last=a", ["gitlab_tags_times", "gitlab_tags_by_published_at_up"]),
    ],
)
def test_a_page_is_one_statement(tagged: Registry, asked: str, statements: list[str]) -> None:
    assert tagged.statements("GET", LIST + asked) == statements


# ---- one tag


def detail(registry: Registry, tag: str) -> dict[str, Any]:
    response = registry.get(DETAIL.format(tag))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


def test_one_tag_of_an_image(registry: Registry) -> None:
    config = encode({"architecture": "arm64", "os": "linux", "rootfs": {}})
    image = registry.push_image("team/app", "v1", Image(config=config))
    found = detail(registry, "v1")
    assert TIME.fullmatch(found.pop("created_at"))
    assert TIME.fullmatch(found.pop("published_at"))
    assert found == {
        "repository": "team/app",
        "name": "v1",
        "image": {
            "size_bytes": len(image.manifest) + len(config) + 3000,
            "manifest": {"digest": str(image.digest), "media_type": OCI_MANIFEST},
            "config": {
                "digest": str(Digest.of(config)),
                "media_type": CONFIG_TYPE,
                "platform": {"architecture": "arm64", "os": "linux"},
            },
        },
    }


@pytest.mark.parametrize("config", [b"{}", b"[]", b"no json", b'{"architecture": 5, "os": null}'])
def test_a_config_that_names_no_platform(registry: Registry, config: bytes) -> None:
    registry.push_image("team/app", "v1", Image(config=config))
    platform = detail(registry, "v1")["image"]["config"]["platform"]
    assert platform == {"architecture": "5" if b"5" in config else "", "os": ""}


def test_a_config_of_another_kind_has_no_platform(registry: Registry) -> None:
    config, kind = encode({"os": "linux"}), "application/vnd.cncf.helm.config.v1+json"
    registry.push_blob("team/app", config)
    chart = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, kind), "layers": []})
    registry.put_manifest("team/app", "chart", chart)
    assert detail(registry, "chart")["image"]["config"] == {"digest": str(Digest.of(config)), "media_type": kind}


def test_one_tag_of_an_index(registry: Registry) -> None:
    first, second = registry.push_image("team/app"), registry.push_image("team/app")
    platforms = [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"}]
    inner = encode({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [
            descriptor(image.manifest, OCI_MANIFEST, platform=platform)
            for image, platform in zip((second, first), platforms, strict=True)
        ],
    })  # fmt: skip
    registry.put_manifest("team/app", Digest.of(inner), inner)
    outer = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(inner, OCI_INDEX)]})
    registry.put_manifest("team/app", "multi", outer)
    image = detail(registry, "multi")["image"]
    assert "config" not in image
    [listed] = image["manifest"]["references"]
    assert listed["manifest"]["digest"] == str(Digest.of(inner))
    images = listed["manifest"]["references"]
    assert [each["manifest"]["digest"] for each in images] == [str(second.digest), str(first.digest)]
    assert [each["config"]["platform"]["architecture"] for each in images] == ["amd64", "arm64"]
    assert image["size_bytes"] == len(outer) + listed["size_bytes"]
    assert listed["size_bytes"] == len(inner) + sum(each["size_bytes"] for each in images)


def test_an_index_that_lists_the_same_many_times_is_cut(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_images, "MOST_IMAGES", 5)
    image = registry.push_image("team/app", image=Image(layers=()))
    level = index_of(*[image.manifest] * 4)
    for _ in range(3):
        registry.put_manifest("team/app", Digest.of(level), level)
        level = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(level, OCI_INDEX)] * 4})
    registry.put_manifest("team/app", "many", level)
    assert registry.get(DETAIL.format("many")).text.count('"manifest":') == 6


def test_a_tag_that_moved_has_its_own_times(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    assert "updated_at" not in detail(registry, "v1")
    query(registry.services.database, "UPDATE tags SET created_at = created_at - interval '1 day'")
    found = detail(registry, "v1")
    assert found["created_at"] < found["updated_at"] == found["published_at"]


@pytest.mark.parametrize(
    ("path", "status", "code", "told"),
    [
        ("/gitlab/v1/repositories/team/none/tags/detail/v1/", 404, "NAME_UNKNOWN", {"name": "team/none"}),
        (DETAIL.format("none"), 404, "TAG_UNKNOWN", {"tagName": "none"}),
        (DETAIL.format("-v1"), 400, "TAG_INVALID", {"tagName": "-v1"}),
        (DETAIL.format("v" * 129), 400, "TAG_INVALID", {"tagName": "v" * 129}),
        (DETAIL.format("v+1"), 404, "UNSUPPORTED", None),
        (DETAIL.format("v%201"), 404, "UNSUPPORTED", None),
    ],
)
def test_a_tag_that_is_none(registry: Registry, path: str, status: int, code: str, told: dict[str, str] | None) -> None:
    registry.push_image("team/app", "v1")
    response = registry.get(path)
    assert (response.status_code, registry.error_code(response)) == (status, code)
    assert response.get_json()["errors"][0].get("detail") == told
