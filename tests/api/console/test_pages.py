"""The console's pages: what they show, in one round trip to the database each."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from functions.registry.metadata.lists import configs
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.api.console.browser import Browser, text_of
from tests.security.people import Guarded
from tests.support import CONFIG_TYPE, Image, Registry, descriptor, encode, index_of

CONFIG: Final = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "10001",
        "Entrypoint": ["/app/api"],
        "Cmd": ["serve", "a b"],
        "Env": ["LANG=C.UTF-8", "DB_PASSWORD=hunter2"],
        "Labels": {"org.opencontainers.image.version": "1.0"},
    },
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:base in /"},
        {"created_by": "ENV LANG=C.UTF-8", "empty_layer": True},
        {"created_by": "/bin/sh -c make install"},
    ],
}


def image(**more: Any) -> Image:
    return Image(config=encode(CONFIG), **more)


def test_a_fresh_registry_shows_what_to_do_with_its_own_address(browser: Browser) -> None:
    page = browser.page("/console/")
    for command in ("docker push localhost/demo/hello:1", "docker pull localhost/demo/hello:1"):
        assert command in page


def test_the_registrys_address_leads_browsers_to_the_console(browser: Browser) -> None:
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/console/")
    assert browser.client.get("/", headers={"Accept": "application/json"}).status_code == 404
    assert browser.client.get("/").status_code == 404


@pytest.mark.parametrize("setting", [{"SLIPWAY_CONSOLE": "off"}])
def test_switched_off_it_is_not_there(
    browser: Browser, setting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.registry import wiring  # noqa: PLC0415  # read again below
    from tests.forgotten import forget_services  # noqa: PLC0415  # as above

    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    forget_services()
    try:
        assert browser.get("/console/").status_code == 404
        assert browser.get("/").get_json()["errors"][0]["code"] == "UNSUPPORTED"
    finally:
        wiring.services().database.close()


def test_a_tags_page_shows_layers_with_their_history_and_covers_what_looks_secret(
    browser: Browser, registry: Registry
) -> None:
    pushed = registry.push_image("team/api", "v1", image())
    page = browser.page("/console/r/team/api/-/tags/v1")
    text = text_of(page)
    for line in ("ADD file:base in /", "RUN make install", "ENV LANG=C.UTF-8", 'serve "a b"', "User 10001"):
        assert line in text.replace("&#34;", '"'), line
    assert "docker pull localhost/team/api:v1" in text
    assert f"docker pull localhost/team/api@{pushed.digest}" in text
    covered = page.index("looks like a secret")
    assert covered < page.index("hunter2"), "it stands in what is opened by a click"
    assert page.rindex("<details", 0, page.index("hunter2")) < covered


def test_an_index_shows_one_of_its_images_and_the_others_by_a_link(browser: Browser, registry: Registry) -> None:
    children = [registry.push_image("team/api", None, image()), registry.push_image("team/api", None)]
    registry.put_manifest("team/api", "v1", index_of(*[child.manifest for child in children]))
    assert "RUN make install" in browser.page("/console/r/team/api/-/tags/v1")
    second = browser.page(f"/console/r/team/api/-/tags/v1?image={children[1].digest}")
    assert "RUN make install" not in second
    assert str(children[1].blob_digests[1])[:19] in second


def test_a_manifests_page_names_its_tags_and_what_refers_to_it(browser: Browser, registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1")
    subject = descriptor(pushed.manifest, "application/vnd.oci.image.manifest.v1+json")
    signature = registry.push_image("team/api", None, Image(more={"subject": subject, "artifactType": "text/spdx"}))
    page = browser.page(f"/console/r/team/api/-/manifests/{pushed.digest}")
    assert "/console/r/team/api/-/tags/v1" in page
    assert f"/console/r/team/api/-/manifests/{signature.digest}" in page


def test_a_lost_config_leaves_the_rest_of_the_page(browser: Browser, registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1", image())
    [inside] = registry.services.database.all(configs.reading(RepositoryName("team/api"), Tag("v1")))
    assert inside.object_name is not None
    registry.services.bucket.remove(inside.object_name)
    page = browser.page("/console/r/team/api/-/tags/v1")
    assert "config is not in the bucket" in page
    assert str(pushed.blob_digests[1])[:19] in page


def test_lists_are_sorted_filtered_and_gone_through_both_ways(browser: Browser, registry: Registry) -> None:
    manifest = registry.push_image("team/api", "v0")
    for number in range(1, 60):
        registry.put_manifest("team/api", f"v{number}", manifest.manifest)
    first = browser.page("/console/r/team/api?sort=name")
    assert first.count("<tr data-row>") == 50
    following = _link(first, "next")
    second = browser.page(following)
    assert second.count("<tr data-row>") == 10
    assert _names(browser.page(_link(second, "prev"))) == _names(first)
    assert _names(browser.page("/console/r/team/api?name=v59")) == ["v59"]
    assert "No tag fits" in browser.page("/console/r/team/api?name=nothing")
    assert browser.get("/console/r/team/api?sort=colour").status_code == 400
    assert browser.get("/console/r/team/api?cursor=made-up").status_code == 400


def test_the_search_finds_repositories_tags_and_what_was_pasted(browser: Browser, registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1")
    registry.push_image("team/web", "v1")
    assert "/console/r/team/web" in browser.page("/console/search?q=eb")
    assert "/console/r/team/api/-/tags/v1" in browser.page("/console/search?q=team/api:v")
    assert browser.get("/console/search?q=docker+pull+localhost/team/api").headers["Location"] == "/console/r/team/api"
    by_digest = browser.get(f"/console/search?q=team/api@{pushed.digest}")
    assert by_digest.headers["Location"] == f"/console/r/team/api/-/manifests/{pushed.digest}"
    assert "Nothing that you may pull from" in browser.page("/console/search?q=zzz")


def test_signatures_by_tag_are_out_of_sight(browser: Browser, registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1")
    auxiliary = f"sha256-{str(pushed.digest).partition(':')[2]}.sig"
    registry.push_image("team/api", auxiliary)
    page = browser.page("/console/r/team/api")
    assert page.index("1 tag of signatures and the like") < page.index(auxiliary)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/console/nope", "There is no such page"),
        ("/console/r/nobody/here", "There is no repository nobody/here"),
        ("/console/r/team/api/-/tags/nope", "There is no nope in team/api"),
        (f"/console/r/team/api/-/manifests/sha256:{'0' * 64}", "in team/api"),
    ],
)
def test_what_is_not_there_is_said_on_a_page(browser: Browser, registry: Registry, path: str, said: str) -> None:
    registry.push_image("team/api", "v1")
    answer = browser.get(path)
    assert answer.status_code == 404
    assert said in answer.text


def test_every_page_is_one_round_trip(visitor: Browser, guarded: Guarded) -> None:
    """The session is asked for in the same trip, for an administrator and for somebody with a grant."""
    boss = guarded.robot("boss", is_admin=True)
    owner = guarded.token("boss", boss, "repository:team/api:pull,push")
    pushed = Image()
    for blob in pushed.blobs:
        location = guarded.request("POST", "/v2/team/api/blobs/uploads/", headers=guarded.as_bearer(owner)).headers
        guarded.request(
            "PUT", f"{location['Location']}?digest={Digest.of(blob)}", data=blob, headers=guarded.as_bearer(owner)
        )
    guarded.put_manifest("team/api", "v1", pushed.manifest, headers=guarded.as_bearer(owner))
    assert visitor.sign_in("boss", boss).status_code == 303
    for path in PAGES:
        trips = visitor.statements(path)
        assert len(trips) == 1, (path, trips)
        assert trips[0][0] == "console_sessions_use"
        assert len(trips[0]) <= 8, (path, trips)


PAGES: Final = (
    "/console/",
    "/console/search?q=team/api:v",
    "/console/repositories",
    "/console/r/team/api",
    "/console/r/team/api/-/usage",
    "/console/r/team/api/-/history",
    "/console/lifecycle",
    "/console/r/team/api/-/tags/v1",
    "/console/sessions",
    "/console/usage",
    "/console/access",
    "/console/access/grants",
    "/console/access/rules",
    "/console/access/new",
    "/console/access/principals/boss",
    "/console/trail",
    "/console/operations",
    "/console/operations/safety",
    "/console/operations/imports",
    "/console/lifecycle/policies",
    "/console/events",
)


def _link(page: str, relation: str) -> str:
    found = page.split(f'rel="{relation}" href="')[1].split('"', maxsplit=1)[0]
    return found.replace("&amp;", "&")


def _names(page: str) -> list[str]:
    rows = page.split("<tr data-row>")[1:]
    return [row.split("</a>")[0].rsplit(">", 1)[1] for row in rows]


def test_configs_are_given_by_the_api_too(registry: Registry) -> None:
    pushed = registry.push_image("team/api", "v1", image())
    answer = registry.get(f"/api/v1/repositories/team/api/-/manifests/{pushed.digest}/config")
    assert answer.get_json() == {"digest": str(pushed.digest), "config": CONFIG}
    broken = registry.push_image("team/api", "v2", Image(config=json.dumps(["no object"]).encode()))
    answer = registry.get(f"/api/v1/repositories/team/api/-/manifests/{broken.digest}/config")
    assert registry.error_code(answer) == "NOT_FOUND"
    assert CONFIG_TYPE in broken.manifest.decode()
