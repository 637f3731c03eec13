"""The endpoints under `/api/` that belong to no larger subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator, Anybody, RightTo
from functions.api.route import in_repository, plain
from functions.api.v1 import paths, routes

if TYPE_CHECKING:
    from functions.api.v1 import description, gc
else:
    description = Later("functions.api.v1.description")
    gc = Later("functions.api.v1.gc")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.DESCRIPTION,
        route=routes.GetDescription,
        parse=plain(routes.GetDescription),
        handler=description.get,
        permission=Anybody(),
        action="description.get",
        needs_schema=False,
    ),
    Endpoint(
        method="GET",
        path=paths.GC,
        route=routes.GetGc,
        parse=plain(routes.GetGc),
        handler=gc.get,
        permission=Administrator(),
        action="gc.get",
    ),
    Endpoint(
        method="GET",
        path=paths.GC_OF_REPOSITORY,
        route=routes.PreviewGc,
        parse=in_repository(routes.PreviewGc),
        handler=gc.preview,
        permission=RightTo("pull"),
        action="gc.preview",
    ),
    Endpoint(
        method="POST",
        path=paths.GC_RUNS,
        route=routes.RunGc,
        parse=plain(routes.RunGc),
        handler=gc.run,
        permission=Administrator(),
        action="gc.run",
    ),
)
