"""Checks: one is asked for and watched; what all of them found is shown."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.checks import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ResourceExists, ResourceUnknown
from functions.api.web.json_body import Reader, flag, number
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.checks import checks, findings, mending
from functions.registry.metadata.checks.checks import Check, CheckRunning

_OPTIONS: Final[Mapping[str, Reader]] = {
    "repair": flag,
    "delete_unknown": flag,
    "dry_run": flag,
    "yes": flag,
    "hash": number(1, 100),
}
# Pieces of a large registry are worked at by as many at once.
_WORKERS: Final = 4


def list_checks(context: Context, route: routes.ListChecks) -> Response:
    found = checks.list_all(context.services.database, route.before, route.size)
    shown, more = cut(found, route.size)
    headers = link("/api/v1/checks", n=str(route.size), last=str(shown[-1].id)) if more and shown else {}
    return answer({"checks": [_shown(each) for each in shown]}, headers=headers)


def start(context: Context, _: routes.StartCheck) -> Response:
    fields = json_body.read(context, {}, _OPTIONS)
    try:
        started = checks.start(context.services.database, context.caller.label, fields)
    except CheckRunning as running:
        raise ResourceExists("a check is running: GET /api/v1/checks shows it") from running
    registry_changed(context, "check.start", str(started.id), None, **fields)
    context.services.work_trigger.publish(_WORKERS)
    response = answer(_shown(started))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = f"/api/v1/checks/{started.id}"
    return response


def get(context: Context, route: routes.GetCheck) -> Response:
    return answer(_shown(_known(context, route.id)))


def stop(context: Context, route: routes.StopCheck) -> Response:
    json_body.read(context, {}, {})
    _known(context, route.id)
    if not checks.stop(context.services.database, route.id, "somebody stopped it"):
        raise ResourceExists("it is not running")
    registry_changed(context, "check.stop", str(route.id), None)
    return answer(_shown(_known(context, route.id)))


def undo(context: Context, route: routes.UndoCheck) -> Response:
    json_body.read(context, {}, {})
    found = _known(context, route.id)
    kept = mending.undo(context.services.database, found.id)
    registry_changed(context, "check.undo", str(found.id), None, kept=kept)
    return answer({"kept": kept})


def list_findings(context: Context, route: routes.ListFindings) -> Response:
    found = findings.list_open(context.services.database, route.kind, route.last, route.size)
    shown, more = cut(found, route.size)
    query = {"n": str(route.size)} | ({"kind": route.kind} if route.kind else {})
    headers = link("/api/v1/findings", **query, last=str(shown[-1].id)) if more and shown else {}
    return answer({"findings": rows(shown)}, headers=headers)


def _known(context: Context, check_id: int) -> Check:
    found = checks.get(context.services.database, check_id)
    if found is None:
        raise ResourceUnknown("no such check")
    return found


def _shown(check: Check) -> dict[str, Any]:
    (shown,) = rows([check])
    return shown
