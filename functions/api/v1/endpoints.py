"""The endpoints under `/api/` that belong to no larger subject."""

from __future__ import annotations

from typing import Final

from functions.api.endpoint import Endpoint
from functions.api.permission import Administrator, Anybody, RightTo
from functions.api.route import in_repository, plain
from functions.api.v1 import collection, description, paths, routes

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
        path=paths.COLLECTION,
        route=routes.GetCollection,
        parse=plain(routes.GetCollection),
        handler=collection.get,
        permission=Administrator(),
        action="collection.get",
    ),
    Endpoint(
        method="GET",
        path=paths.COLLECTION_OF_REPOSITORY,
        route=routes.PreviewCollection,
        parse=in_repository(routes.PreviewCollection),
        handler=collection.preview,
        permission=RightTo("pull"),
        action="collection.preview",
    ),
    Endpoint(
        method="POST",
        path=paths.COLLECTION_RUNS,
        route=routes.RunCollection,
        parse=plain(routes.RunCollection),
        handler=collection.run,
        permission=Administrator(),
        action="gc.run",
    ),
)
