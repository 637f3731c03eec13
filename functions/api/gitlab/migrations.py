"""GitLab's API: migrations that are left for later. Here a deployment runs them at once, and nobody else does.

So there is nothing to pause, and nothing that was left half done: what would do that says so, and succeeds.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from functions.api.gitlab import routes
from functions.api.gitlab.repositories import line
from functions.api.web.context import Context
from functions.api.web.gitlab_errors import MigrationUnknown
from functions.registry.metadata.gitlab import repositories as metadata
from functions.registry.metadata.gitlab.repositories import Migration


def list_all(context: Context, _: routes.ListMigrations) -> Response:
    return line({"migrations": [_shown(each) for each in metadata.migrations(context.services.database)]})


def get(context: Context, route: routes.GetMigration) -> Response:
    return line({"migration": _shown(_found(context, route.id))})


def pause(_: Context, __: routes.PauseMigrations) -> Response:
    return _nothing_done("no migration runs beside the registry's work: there is none to pause")


def resume(_: Context, __: routes.ResumeMigrations) -> Response:
    return _nothing_done("no migration is paused: the deployment runs those that are left, at once")


def restart(context: Context, route: routes.RestartMigration) -> Response:
    found = _found(context, route.id)
    return _nothing_done(f"migration {found.name} has not failed: there is nothing to run again")


def _found(context: Context, id_: int) -> Migration:
    for each in metadata.migrations(context.services.database):
        if each.id == id_:
            return each
    raise MigrationUnknown(id=id_)


def _shown(migration: Migration) -> dict[str, Any]:
    """A migration that is left is active: the next deployment runs it. There is no table and no batch to tell of."""
    status = "finished" if migration.is_applied else "active"
    return {"id": migration.id, "name": migration.name, "status": status}


def _nothing_done(message: str) -> Response:
    return line({"success": True, "message": message})
