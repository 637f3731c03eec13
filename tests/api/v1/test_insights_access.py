"""To whom lists and figures are shown."""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

import pytest

from functions.registry.auth.sealing import Seal, SealBroken
from functions.registry.oci.digest import Digest
from tests.metadata.list_rows import (
    fill_repositories,
    known_repositories,
)
from tests.security.people import Guarded, basic

REPOSITORIES = "/api/v1/repositories"
NAMESPACES = "/api/v1/namespaces"


def test_a_list_shows_what_its_reader_may_see(guarded: Guarded) -> None:
    database = guarded.services.database
    fill_repositories(database, 27)
    secret = guarded.robot("ci", ("ash/**", "reader"), ("cedar/r1*", "writer"))
    token = guarded.as_bearer(guarded.token("ci", secret))
    expected = [
        name for name in known_repositories(database).sorted_by("pulls") if name.startswith(("ash/", "cedar/r1"))
    ]
    found, path = [], f"{REPOSITORIES}?sort=pulls&n=2"
    while path:
        response = guarded.get(path, headers=token)
        found += [item["name"] for item in response.get_json()["repositories"]]
        following = re.search(r'<([^>]+)>; rel="next"', response.headers.get("Link", ""))
        path = following[1] if following else ""
    assert found == expected
    anonymous = guarded.as_bearer(guarded.token(None, None, "registry:catalog:*"))
    assert guarded.get(REPOSITORIES, headers=anonymous).get_json()["repositories"] == []
    administrator = guarded.robot("boss", is_admin=True)
    everything = guarded.get(REPOSITORIES, headers={"Authorization": basic("boss", administrator)}).get_json()
    assert len(everything["repositories"]) == 27
    assert guarded.get(REPOSITORIES).status_code == 401


def test_a_cursor_hides_the_place_that_it_stands_for(guarded: Guarded) -> None:
    """A walk may be given up at a repository that its reader may not see."""
    fill_repositories(guarded.services.database, 18)
    secret = guarded.robot("ci", ("*/r0*", "reader"))
    headers = guarded.as_bearer(guarded.token("ci", secret))
    body = guarded.get(f"{REPOSITORIES}?n=1", headers=headers).get_json()
    cursor, name = body["next"], body["repositories"][0]["name"]
    opened = Seal(guarded.services.settings.pepper).open(cursor, f"{REPOSITORIES}?sort=name")
    assert name.encode() in opened
    assert name.encode() not in base64.urlsafe_b64decode(cursor + "===")
    with pytest.raises(SealBroken):
        Seal("").open(cursor, f"{REPOSITORIES}?sort=name")


@pytest.mark.parametrize("path", [NAMESPACES, "/api/v1/usage", "/api/v1/rankings/largest"])
def test_figures_of_the_registry_are_for_its_administrators(guarded: Guarded, path: str) -> None:
    owner = guarded.robot("owner", ("team/**", "admin"))
    boss = guarded.robot("boss", is_admin=True)
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, headers={"Authorization": basic("owner", owner)}).status_code == 403
    assert guarded.get(path, headers={"Authorization": basic("boss", boss)}).status_code == 200


def test_an_administrator_of_a_namespace_sees_its_figures(guarded: Guarded) -> None:
    fill_repositories(guarded.services.database, 6)
    headers = {"Authorization": basic("owner", guarded.robot("owner", ("ash/**", "admin")))}
    assert guarded.get(f"{NAMESPACES}/ash", headers=headers).get_json()["name"] == "ash"
    ranked = guarded.get("/api/v1/rankings/largest?namespace=ash", headers=headers).get_json()
    assert [item["namespace"] for item in ranked["repositories"]] == ["ash"]
    for path in (f"{NAMESPACES}/beech", f"{NAMESPACES}/nowhere", "/api/v1/rankings/largest?namespace=beech"):
        assert guarded.get(path, headers=headers).status_code == 403


def test_a_repository_is_for_those_who_may_pull_from_it(guarded: Guarded) -> None:
    fill_repositories(guarded.services.database, 6)
    headers = {"Authorization": basic("ci", guarded.robot("ci", ("ash/**", "reader")))}
    for rest in ("", "/-/tags", "/-/tags/none", f"/-/manifests/{Digest.of(b'')}"):
        assert guarded.get(f"{REPOSITORIES}/ash/r03{rest}", headers=headers).status_code in {200, 404}
        assert guarded.get(f"{REPOSITORIES}/beech/r01{rest}", headers=headers).status_code == 403
        assert guarded.get(f"{REPOSITORIES}/ash/r03{quote(rest)}").status_code == 401
