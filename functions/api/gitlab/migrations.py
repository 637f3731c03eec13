"""GitLab's API: migrations of large tables that run in the background, as our own API has them."""

from __future__ import annotations

from typing import Any

from flask import Response

from functions.api.audit import registry_changed
from functions.api.gitlab import routes
from functions.api.gitlab.repositories import line
from functions.api.web.context import Context
from functions.api.web.gitlab_errors import MigrationUnknown
from functions.registry.metadata.background import overview
from functions.registry.metadata.background.overview import Overview
from functions.registry.metadata.background.vocabulary import Act


def list_all(context: Context, _: routes.ListMigrations) -> Response:
    return line({"migrations": [_shown(each) for each in overview.list_all(context.services.database)]})


def get(context: Context, route: routes.GetMigration) -> Response:
    return line({"migration": _shown(_found(context, route.id))})


def pause(context: Context, _: routes.PauseMigrations) -> Response:
    return _done(f"{_act_on_all(context, 'pause')} background migrations are paused")


def resume(context: Context, _: routes.ResumeMigrations) -> Response:
    return _done(f"{_act_on_all(context, 'resume')} background migrations are active")


def restart(context: Context, route: routes.RestartMigration) -> Response:
    found = _found(context, route.id)
    if not overview.act(context.services.database, found.name, "retry"):
        return _done(f"background migration {found.name} has not failed: there is nothing to run again")
    _changed(context, "retry", found.name)
    return _done(f"background migration {found.name} runs again")


def _act_on_all(context: Context, act: Act) -> int:
    count = overview.act_on_all(context.services.database, act)
    if count:
        _changed(context, act, "*")
    return count


def _changed(context: Context, act: Act, name: str) -> None:
    registry_changed(context, f"background-migration.{act}", name, None)
    context.services.work_trigger.publish()


def _found(context: Context, id_: int) -> Overview:
    for each in overview.list_all(context.services.database):
        if each.id == id_:
            return each
    raise MigrationUnknown(id=id_)


def _shown(migration: Overview) -> dict[str, Any]:
    """Its values are those of the first column of the key, where that is a number."""
    return {
        "id": migration.id,
        "name": migration.name,
        "status": migration.state,
        "job_signature_name": migration.name,
        "target_table": migration.table,
        "target_column": migration.key[0],
        "batch_size": migration.batch,
        "min_value": _number(migration.first_key[0]),
        "max_value": _number(migration.last_key[0]),
        "batching_strategy": "keyset",
        "total_tuple_count": migration.total,
        "progress": migration.percent,
    }


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _done(message: str) -> Response:
    return line({"success": True, "message": message})
