"""The endpoints of repository management."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator, RightTo
from functions.api.route import in_repository
from functions.api.v1.management import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.management import quotas, repositories
else:
    quotas = Later("functions.api.v1.management.quotas")
    repositories = Later("functions.api.v1.management.repositories")

ENDPOINTS: Final = (
    Endpoint(
        method="PATCH",
        path=paths.REPOSITORY,
        route=routes.ChangeRepository,
        parse=in_repository(routes.ChangeRepository),
        handler=repositories.change,
        permission=Administrator(),
        action="repository.change",
        leaves_garbage=True,
    ),
    Endpoint(
        method="DELETE",
        path=paths.REPOSITORY,
        route=routes.DeleteRepository,
        parse=in_repository(routes.DeleteRepository),
        handler=repositories.delete,
        permission=RightTo("delete"),
        action="repository.delete",
        makes_events=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="POST",
        path=paths.MOVE,
        route=routes.MoveRepository,
        parse=in_repository(routes.MoveRepository),
        handler=repositories.move,
        permission=Administrator(),
        action="repository.move",
        makes_events=True,
    ),
    Endpoint(
        method="POST",
        path=paths.DELETE_TAGS,
        route=routes.DeleteTags,
        parse=in_repository(routes.DeleteTags),
        handler=repositories.delete_tags,
        permission=RightTo("delete"),
        action="tags.delete",
        makes_events=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="PATCH",
        path=paths.NAMESPACE,
        route=routes.ChangeNamespace,
        parse=paths.in_namespace(routes.ChangeNamespace),
        handler=repositories.change_namespace,
        permission=Administrator(),
        action="namespace.change",
    ),
    Endpoint(
        method="GET",
        path=paths.QUOTA,
        route=routes.GetQuota,
        parse=paths.in_namespace(routes.GetQuota),
        handler=quotas.get,
        permission=Administrator(),
        action="quota.get",
    ),
    Endpoint(
        method="PUT",
        path=paths.QUOTA,
        route=routes.SetQuota,
        parse=paths.in_namespace(routes.SetQuota),
        handler=quotas.put,
        permission=Administrator(),
        action="quota.set",
    ),
    Endpoint(
        method="DELETE",
        path=paths.QUOTA,
        route=routes.RemoveQuota,
        parse=paths.in_namespace(routes.RemoveQuota),
        handler=quotas.remove,
        permission=Administrator(),
        action="quota.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.QUOTAS,
        route=routes.ListQuotas,
        parse=paths.list_quotas,
        handler=quotas.list_quotas,
        permission=Administrator(),
        action="quota.list",
    ),
)
