"""Every role against every operation; docs/security.md shows the same table."""

from __future__ import annotations

import sys

import pytest

from functions.api import dispatch, route
from functions.registry.events.trigger import Trigger
from tests.conftest import ROOT
from tests.security.matrix import OPERATIONS, PEOPLE, outcomes_of, table
from tests.security.people import Guarded

# The weakest of PEOPLE who gets past the gate; those behind it do too, but "no role" is no more than anonymous.
_PULLS = ("GET tags", "GET manifest", "HEAD manifest", "GET blob", "HEAD blob", "GET referrers")
# What belongs to the whole registry, by how its operations are called.
_OF_THE_REGISTRY = (" check", " findings", " migration", " migrations")
_LEAST = {
    **dict.fromkeys(
        ("GET /v2/", "GET catalog", "GET repositories with figures", "GET who asks", "GET search"), "anonymous"
    ),
    **dict.fromkeys((*_PULLS, "GET gc of a repository", "GET tags with figures", "GET retention of a tag"), "reader"),
    **dict.fromkeys(
        [name for name in OPERATIONS if name.startswith(("GET figures of a ", "GET days of a "))], "reader"
    ),
    **dict.fromkeys(
        ("DELETE tag", "DELETE manifest", "DELETE blob", "POST delete-tags", "DELETE repository"), "maintainer"
    ),
    **dict.fromkeys(("GET history", "GET config of a manifest"), "reader"),
    **dict.fromkeys(("POST purge", "POST restore-repository", "POST purge-repository"), "maintainer"),
    **dict.fromkeys(("PATCH repository", "POST move"), "administrator"),
    **dict.fromkeys([name for name in OPERATIONS if " quota" in name], "administrator"),
    "GET gc": "administrator",
    # It is for users, and the others here are robots.
    "POST link to the console": "administrator",
    "POST run of the collection": "administrator",
    **dict.fromkeys(
        [name for name in OPERATIONS if name.endswith((" the namespace", " its robot"))], "namespace admin"
    ),
    **dict.fromkeys(
        [name for name in OPERATIONS if " all " in name or name.endswith((" beyond", *_OF_THE_REGISTRY))],
        "administrator",
    ),
    **dict.fromkeys(("POST user", "POST secret of another robot"), "administrator"),
}


@pytest.fixture
def woken(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a topic, and whatever is published arrives."""
    environment["SLIPWAY_TOPIC"] = "a-topic"
    environment["SLIPWAY_BACKUPS"] = "gs://elsewhere"
    monkeypatch.setattr(Trigger, "publish", lambda *_: True)


@pytest.mark.usefixtures("woken")
def test_the_matrix_is_as_documented(guarded: Guarded) -> None:
    outcomes = outcomes_of(guarded)
    for (name, person), status in outcomes.items():
        may = PEOPLE.index(person) >= PEOPLE.index(_LEAST.get(name, "writer"))
        assert (status < 400) == may, (name, person, status)
        if not may:
            assert status == (401 if person == "anonymous" else 403), (name, person, status)
    lines = "\n".join(table(outcomes))
    assert lines in (ROOT / "docs" / "security.md").read_text(), lines


def test_every_route_has_an_endpoint() -> None:
    """Without one nothing would lead to it; an endpoint without a permission or a handler is not one at all."""
    modules = [module for name, module in sys.modules.items() if name.startswith("functions.api.")]
    routes = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, route.Route)
    }
    shared = {kind for kind in routes if any(kind in other.__bases__ for other in routes)}
    assert {row.route for row in dispatch.endpoints().rows} == routes - shared


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "POST"])
def test_other_methods_are_refused_whoever_asks(guarded: Guarded, method: str) -> None:
    assert guarded.request(method, "/v2/team/app/manifests/v1").status_code in {401, 405}
