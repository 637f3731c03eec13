"""The garbage collection, for operators: how it stands, and what it would take."""

from __future__ import annotations

from flask import Response

from functions.api.v1.routes import GetCollection, PreviewCollection
from functions.api.web.context import Context
from functions.api.web.responses import json_response
from functions.api.web.rows import rows
from functions.registry.metadata.content import repositories
from functions.registry.metadata.gc import status as collection
from functions.registry.oci.errors import NameUnknown


def get(context: Context, _: GetCollection) -> Response:
    """Reads whole queues: for people who ask now and then."""
    database = context.services.database
    return json_response(
        {
            "queues": rows(collection.queues(database)),
            "condemned_bytes": collection.condemned_bytes(database),
            "failures": rows(collection.failures(database)),
            "collected": rows(collection.totals(database)),
        }
    )


def preview(context: Context, route: PreviewCollection) -> Response:
    """A dry run: nothing is changed."""
    database = context.services.database
    if not repositories.exists(database, route.repository):
        raise NameUnknown(name=route.repository)
    freed = collection.freed(database, route.repository)
    return json_response(
        {
            "manifests": rows(collection.preview(database, route.repository)),
            "bytes_freed_in_repository": freed.in_repository,
            "bytes_freed_in_registry": freed.in_registry,
        }
    )
