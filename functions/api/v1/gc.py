"""The garbage collection, for operators: how it stands, and what it would take."""

from __future__ import annotations

from flask import Response

from functions.api.v1.routes import GetGc, PreviewGc
from functions.api.web.context import Context
from functions.api.web.responses import json_response
from functions.api.web.rows import rows
from functions.registry.metadata.content import repositories
from functions.registry.metadata.gc import status
from functions.registry.oci.errors import NameUnknown


def get(context: Context, _: GetGc) -> Response:
    """Reads whole queues: for people who ask now and then."""
    database = context.services.database
    return json_response(
        {
            "queues": rows(status.queues(database)),
            "pending_deletion_bytes": status.pending_deletion_bytes(database),
            "failures": rows(status.failures(database)),
            "collected": rows(status.totals(database)),
        }
    )


def preview(context: Context, route: PreviewGc) -> Response:
    """A dry run: nothing is changed."""
    database = context.services.database
    if not repositories.exists(database, route.repository):
        raise NameUnknown(name=route.repository)
    freed = status.freed(database, route.repository)
    return json_response(
        {
            "manifests": rows(status.preview(database, route.repository)),
            "bytes_freed_in_repository": freed.in_repository,
            "bytes_freed_in_registry": freed.in_registry,
        }
    )
