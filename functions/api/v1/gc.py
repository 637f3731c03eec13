"""The garbage collection, for operators: how it stands, and what it would take."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.routes import GetGc, PreviewGc, RunGc
from functions.api.web import json_body as document
from functions.api.web.context import Context
from functions.api.web.errors import ResourceExists
from functions.api.web.responses import answer, json_response, unavailable
from functions.api.web.rows import rows
from functions.registry.metadata.access import audit
from functions.registry.metadata.backups import drills
from functions.registry.metadata.checks import upkeep
from functions.registry.metadata.content import repositories
from functions.registry.metadata.gc import status
from functions.registry.oci.errors import NameUnknown, TooManyRequests

_RUN: Final = "gc.run"
_SECONDS_BETWEEN_RUNS: Final = 60


def get(context: Context, _: GetGc) -> Response:
    """Reads whole queues: for people who ask now and then."""
    database = context.services.database
    return json_response(
        {
            "queues": rows(status.queues(database)),
            "pending_deletion_bytes": status.pending_deletion_bytes(database),
            "failures": rows(status.failures(database)),
            "collected": rows(status.totals(database)),
            "upkeep": rows([upkeep.get(database)])[0] | {"drill": drills.last(database)},
        }
    )


def preview(context: Context, route: PreviewGc) -> Response:
    """Shows what would go; nothing is changed."""
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


def run(context: Context, _: RunGc) -> Response:
    """Publishes the hint that wakes it. The trail tells when that was done last, on whatever instance."""
    document.read(context, {}, {})
    services = context.services
    if not services.settings.topic:
        raise ResourceExists("nothing can wake the collection: SLIPWAY_TOPIC is not set")
    if audit.was_done_within(services.database, _RUN, _SECONDS_BETWEEN_RUNS):
        raise TooManyRequests("the collection was woken less than a minute ago", _SECONDS_BETWEEN_RUNS)
    if not services.gc_trigger.publish():
        return unavailable()
    registry_changed(context, _RUN, "", None)
    return answer({"state": "woken"}, HTTPStatus.ACCEPTED)
