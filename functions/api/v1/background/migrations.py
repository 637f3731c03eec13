"""Background migrations: how far each is, and what an administrator may do with it."""

from __future__ import annotations

from typing import Any

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.background import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ResourceExists, ResourceUnknown
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.background import overview
from functions.registry.metadata.background.overview import Overview


def list_all(context: Context, _: routes.ListBackgroundMigrations) -> Response:
    return answer({"migrations": rows(overview.list_all(context.services.database))})


def get(context: Context, route: routes.GetBackgroundMigration) -> Response:
    return answer(_shown(context, _known(context, route.name)))


def act(context: Context, route: routes.ActOnBackgroundMigration) -> Response:
    """Wakes whoever works at it; what that does shows in the answer to GET."""
    json_body.read(context, {}, {})
    found = _known(context, route.name)
    if not overview.act(context.services.database, found.name, route.act):
        raise ResourceExists(f"{found.name} is {found.state}: that can't be done with it")
    registry_changed(context, f"background-migration.{route.act}", found.name, None)
    context.services.work_trigger.publish()
    return answer(_shown(context, _known(context, found.name)))


def _known(context: Context, name: str) -> Overview:
    found = overview.get(context.services.database, name)
    if found is None:
        raise ResourceUnknown("no such background migration")
    return found


def _shown(context: Context, found: Overview) -> dict[str, Any]:
    failures = overview.list_failures(context.services.database, found.name) if found.failures else []
    return {**rows([found])[0], "failed_rows": rows(failures)}
