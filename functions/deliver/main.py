"""The function `deliver`: woken by Pub/Sub, it sends events to whoever subscribed to them.

A message may be lost, doubled or late: the database knows what is to be sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import functions_framework
from cloudevents.http import CloudEvent

from functions.deliver.parts import parts
from functions.deliver.run import run
from functions.registry import telemetry
from functions.registry.events.trigger import DELIVER, is_trigger, message_data
from functions.registry.metadata.db import MetadataUnavailable, NotMigrated
from functions.registry.metadata.schema_version import SchemaUnknown

telemetry.take_logging()


@functions_framework.cloud_event
def deliver(event: CloudEvent) -> None:
    """Acknowledges what is no trigger of ours, for sending it again would not make it one; and what comes too early."""
    if not is_trigger(message_data(event.data), DELIVER):
        telemetry.log("WARNING", "not a trigger of the delivery", event_id=event["id"], source=event["source"])
        return
    try:
        parts().schema.require()
    except (SchemaUnknown, NotMigrated) as error:
        telemetry.log("WARNING", "no delivery without the schema", reason=str(error))
        return
    run(parts())


# A message that has no data, or is no message at all, never comes to the function: the framework refuses it. It would
# come again and again, and end as a dead letter that nobody can use.
@functions_framework.errorhandler(400)  # type: ignore[untyped-decorator]  # the framework has no types
def unreadable(error: Any) -> tuple[str, int]:
    telemetry.log("WARNING", "not a message", error=type(error).__name__, characters=len(str(error.description)))
    return "", 204


# All else, so that no answer is a page for people: an event that can't be carried out now comes again.
@functions_framework.errorhandler(500)  # type: ignore[untyped-decorator]  # as above
@functions_framework.errorhandler(Exception)  # type: ignore[untyped-decorator]  # as above
def failed(error: Exception) -> tuple[dict[str, str], int]:
    error = getattr(error, "original_exception", None) or error
    status = getattr(error, "code", HTTPStatus.INTERNAL_SERVER_ERROR)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return {"error": "POST an event to /"}, max(status, HTTPStatus.NOT_FOUND)
    if isinstance(error, MetadataUnavailable):
        telemetry.log("ERROR", "no delivery", reason=str(error))
        return {"error": "temporarily unavailable: send it again"}, 503
    telemetry.log_exception("unexpected error", error)
    return {"error": "unknown error"}, 500
