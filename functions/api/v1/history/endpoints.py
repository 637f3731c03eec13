"""The endpoints of history and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import AdministratorOf, RightTo
from functions.api.route import in_repository
from functions.api.v1.history import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.history import lists, purging, restoring
else:
    lists = Later("functions.api.v1.history.lists")
    purging = Later("functions.api.v1.history.purging")
    restoring = Later("functions.api.v1.history.restoring")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.HISTORY,
        route=routes.ListHistory,
        parse=paths.list_history,
        handler=lists.history,
        permission=RightTo("pull"),
        action="history.list",
    ),
    Endpoint(
        method="POST",
        path=paths.RESTORE,
        route=routes.RestoreTags,
        parse=in_repository(routes.RestoreTags),
        handler=restoring.restore,
        permission=RightTo("push"),
        action="tags.restore",
        makes_events=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="POST",
        path=paths.RESTORE_REPOSITORY,
        route=routes.RestoreRepository,
        parse=in_repository(routes.RestoreRepository),
        handler=restoring.restore_repository,
        permission=RightTo("delete"),
        action="repository.restore",
        makes_events=True,
    ),
    Endpoint(
        method="POST",
        path=paths.PURGE,
        route=routes.Purge,
        parse=in_repository(routes.Purge),
        handler=purging.purge,
        permission=RightTo("delete"),
        action="tags.purge",
        makes_events=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="POST",
        path=paths.PURGE_REPOSITORY,
        route=routes.PurgeRepository,
        parse=in_repository(routes.PurgeRepository),
        handler=restoring.purge_repository,
        permission=RightTo("delete"),
        action="repository.purge",
        makes_events=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="GET",
        path=paths.DELETED_REPOSITORIES,
        route=routes.ListDeletedRepositories,
        parse=paths.list_deleted(routes.ListDeletedRepositories),
        handler=lists.deleted_repositories,
        permission=AdministratorOf(),
        action="repository.list-deleted",
    ),
    Endpoint(
        method="GET",
        path=paths.DELETED_TAGS,
        route=routes.ListDeletedTags,
        parse=paths.list_deleted(routes.ListDeletedTags),
        handler=lists.deleted_tags,
        permission=AdministratorOf(),
        action="tags.list-deleted",
    ),
)
