"""What the functions that messages trigger have in common: which message they run for, and how they answer a failure.

A message may be lost, doubled or late: the database knows what is to be done.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent

from functions.registry import telemetry
from functions.registry.events.trigger import is_trigger, message_data
from functions.registry.metadata.db import MetadataUnavailable, NotMigrated
from functions.registry.metadata.schema_version import SchemaCheck, SchemaUnknown


def is_to_run(event: CloudEvent, kind: str, schema: SchemaCheck) -> bool:
    """Says whether the message is a trigger of that kind, and the schema is there. If not, it is to be acknowledged.

    What is no trigger of ours would not become one by being sent again. What comes too early is followed by another:
    whoever deploys calls migrate next, and the schedule goes on. Raises MetadataUnavailable.
    """
    if not is_trigger(message_data(event.data), kind):
        telemetry.log("WARNING", "not a trigger", of=kind, event_id=event["id"], source=event["source"])
        return False
    return has_schema(kind, schema)


def has_schema(kind: str, schema: SchemaCheck) -> bool:
    """Says whether the schema is there that a run for such a message needs. Raises MetadataUnavailable."""
    try:
        schema.require()
    except (SchemaUnknown, NotMigrated) as error:
        telemetry.log("WARNING", "no run without the schema", of=kind, reason=str(error))
        return False
    return True


def answer_failures(kind: str) -> None:
    """Has the framework answer failures of the function that it is loading, so that no answer is a page for people."""

    # A message that has no data, or is no message at all, never comes to the function: the framework refuses it. It
    # would come again and again, and end as a dead letter that nobody can use.
    @functions_framework.errorhandler(400)  # type: ignore[untyped-decorator]  # the framework has no types
    def unreadable(error: Any) -> tuple[str, int]:
        # What the framework says of it holds every header of the request.
        telemetry.log("WARNING", "not a message", error=type(error).__name__, characters=len(str(error.description)))
        return "", HTTPStatus.NO_CONTENT

    # All else: an event that can't be carried out now comes again.
    @functions_framework.errorhandler(500)  # type: ignore[untyped-decorator]  # as above
    @functions_framework.errorhandler(Exception)  # type: ignore[untyped-decorator]  # as above
    def failed(error: Exception) -> tuple[dict[str, str], int]:
        error = getattr(error, "original_exception", None) or error
        status = getattr(error, "code", HTTPStatus.INTERNAL_SERVER_ERROR)
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            # The framework's own: another path or method, or a redirect to one.
            return {"error": "POST an event to /"}, max(status, HTTPStatus.NOT_FOUND)
        if isinstance(error, MetadataUnavailable):
            telemetry.log("ERROR", "no run", of=kind, reason=str(error))
            return {"error": "temporarily unavailable: send it again"}, HTTPStatus.SERVICE_UNAVAILABLE
        telemetry.log_exception("unexpected error", error)
        return {"error": "unknown error"}, HTTPStatus.INTERNAL_SERVER_ERROR
