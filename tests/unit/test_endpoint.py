"""The table of endpoints: what is incomplete or contradicts itself is refused when the program is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from functions.api.dispatch import endpoints
from functions.api.endpoint import Endpoint, EndpointIncomplete, Endpoints
from functions.api.permission import AdministratorOf, Anybody, RightTo
from functions.api.route import ListMethods, Query
from functions.api.tokens.routes import GetKeySet
from functions.api.v2.routes import CheckVersion, GetBlob
from functions.registry.oci.errors import EndpointUnknown, MethodNotAllowed

ROW = next(row for row in endpoints().rows if row.route is GetBlob)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "get"},
        {"method": ""},
        {"path": None},
        {"parse": None},
        {"action": "GetBlob"},
        {"action": ""},
        {"action": "blob"},
        {"route": CheckVersion, "permission": RightTo("pull")},
        {"route": CheckVersion, "permission": AdministratorOf()},
    ],
)
def test_an_incomplete_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EndpointIncomplete):
        replace(ROW, **change)


@pytest.mark.parametrize("left_out", ["permission", "handler", "action", "route"])
def test_a_row_without_one_of_its_parts_is_none(left_out: str) -> None:
    parts = {name: getattr(ROW, name) for name in ROW.__dataclass_fields__ if name != left_out}
    with pytest.raises(TypeError):
        Endpoint(**parts)


def test_two_rows_of_one_route_or_of_one_path_are_refused() -> None:
    with pytest.raises(EndpointIncomplete, match="one route"):
        Endpoints([ROW, replace(ROW, path="/elsewhere")])
    with pytest.raises(EndpointIncomplete, match="two endpoints answer GET"):
        Endpoints([ROW, replace(ROW, route=CheckVersion, permission=Anybody())])


def test_a_path_that_ends_in_a_name_is_tried_last() -> None:
    paths = [pattern.pattern for pattern, _ in endpoints().paths]
    assert paths[-1].endswith("(?P<name>.+)")
    assert sum(path.endswith("(?P<name>.+)") for path in paths) == 1


def test_what_is_asked_of_a_path_in_vain_is_told() -> None:
    table = Endpoints(endpoints().rows)
    assert table.match("OPTIONS", "/.well-known/jwks.json", Query())[1] == ListMethods(("GET", "HEAD"))
    assert isinstance(table.match("HEAD", "/.well-known/jwks.json", Query())[1], GetKeySet)
    with pytest.raises(MethodNotAllowed):
        table.match("PUT", "/.well-known/jwks.json", Query())
    with pytest.raises(EndpointUnknown):
        table.match("GET", "/.well-known/jwks.json/", Query())


def test_actions_are_one_each() -> None:
    actions = [row.action for row in endpoints().rows]
    assert len(set(actions)) == len(actions)
