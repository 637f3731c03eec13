"""The endpoints of backups. All of them take an administrator of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator
from functions.api.route import plain
from functions.api.v1.backups import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.backups import backups, drills
else:
    backups = Later("functions.api.v1.backups.backups")
    drills = Later("functions.api.v1.backups.drills")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.BACKUPS,
        route=routes.ListBackups,
        parse=paths.list_backups,
        handler=backups.list_backups,
        permission=Administrator(),
        action="backup.list",
    ),
    Endpoint(
        method="POST",
        path=paths.BACKUPS,
        route=routes.AddBackup,
        parse=plain(routes.AddBackup),
        handler=backups.add,
        permission=Administrator(),
        action="backup.add",
    ),
    Endpoint(
        method="GET",
        path=paths.BACKUP,
        route=routes.GetBackup,
        parse=paths.get_backup,
        handler=backups.get,
        permission=Administrator(),
        action="backup.get",
    ),
    Endpoint(
        method="POST",
        path=paths.DRILLS,
        route=routes.AddDrill,
        parse=paths.add_drill,
        handler=drills.add,
        permission=Administrator(),
        action="backup.drill",
    ),
)
