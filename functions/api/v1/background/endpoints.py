"""The endpoints of background migrations. All of them take an administrator of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator
from functions.api.route import plain
from functions.api.v1.background import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.background import migrations
else:
    migrations = Later("functions.api.v1.background.migrations")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.MIGRATIONS,
        route=routes.ListBackgroundMigrations,
        parse=plain(routes.ListBackgroundMigrations),
        handler=migrations.list_all,
        permission=Administrator(),
        action="background-migration.list",
    ),
    Endpoint(
        method="GET",
        path=paths.MIGRATION,
        route=routes.GetBackgroundMigration,
        parse=paths.get,
        handler=migrations.get,
        permission=Administrator(),
        action="background-migration.get",
    ),
    Endpoint(
        method="POST",
        path=paths.ACT,
        route=routes.ActOnBackgroundMigration,
        parse=paths.act,
        handler=migrations.act,
        permission=Administrator(),
        action="background-migration.act",
    ),
)
