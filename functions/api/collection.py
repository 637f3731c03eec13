"""The garbage collection, for operators: how it stands, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import Any

from flask import Response

from functions.api.context import Context
from functions.api.responses import json_response
from functions.registry.metadata import collection, repositories
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import NameUnknown
from functions.registry.oci.route import GetCollection, PreviewCollection


def get(context: Context, _: GetCollection) -> Response:
    """Reads whole queues: for people who ask now and then."""
    database = context.services.database
    return json_response(
        {
            "queues": _rows(collection.queues(database)),
            "condemned_bytes": collection.condemned_bytes(database),
            "failures": _rows(collection.failures(database)),
            "collected": _rows(collection.totals(database)),
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
            "manifests": _rows(collection.preview(database, route.repository)),
            "bytes_freed_in_repository": freed.in_repository,
            "bytes_freed_in_registry": freed.in_registry,
        }
    )


def _rows(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON objects: times in ISO 8601, digests as they are written everywhere."""
    return [{column.name: _plain(getattr(row, column.name)) for column in fields(row)} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Digest) else value
