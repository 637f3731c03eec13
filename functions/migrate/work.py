"""The function `work`: woken by Pub/Sub, it goes on with what takes long: moving a registry in, migrations of large
tables in the background, and checks.

A message may be lost, doubled or late: the database knows what is to be done.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final

import functions_framework
from cloudevents.http import CloudEvent

from functions.migrate.background.runner import Runner
from functions.migrate.backups.work import ask_for_what_is_due, back_up
from functions.migrate.checks.work import Checks
from functions.migrate.imports.exporting.work import export_one
from functions.migrate.imports.layouts import Layouts
from functions.migrate.imports.remote.work import Remotes
from functions.migrate.imports.wishes import seal_wished
from functions.registry import telemetry, told
from functions.registry.events.trigger import WORK, is_trigger, message_data
from functions.registry.metadata.checks import checks
from functions.registry.metadata.db import MetadataUnavailable, NotMigrated
from functions.registry.metadata.imports.remote import passes
from functions.registry.metadata.schema_version import SchemaUnknown
from functions.registry.wiring import Services, services

# Well below the ten minutes after which a message is delivered again.
BUDGET_SECONDS: Final = 240.0


@functions_framework.cloud_event
def work(event: CloudEvent) -> None:
    """Acknowledges what is no trigger of ours, for sending it again would not make it one; and what comes too early."""
    if not is_trigger(message_data(event.data), WORK):
        telemetry.log("WARNING", "not a trigger of work", event_id=event["id"], source=event["source"])
        return
    try:
        services().schema.require()
    except (SchemaUnknown, NotMigrated) as error:
        telemetry.log("WARNING", "no work without the schema", reason=str(error))
        return
    run(services())


def run(services: Services, budget_seconds: float = BUDGET_SECONDS) -> int:
    """Returns how many pieces of work were done. Several runs at once are fine: each claims its own.

    Out of time, it sends the next trigger itself. Raises MetadataUnavailable: then the message comes again.
    """
    deadline = time.monotonic() + budget_seconds
    done = 0
    with (
        telemetry.recording() as record,
        told.telling(told.IMPORT),
        Layouts(services) as layouts,
        Remotes(services) as remotes,
        Checks(services) as checking,
    ):
        passes.list_late(services.database)
        ask_for_what_is_due(services)
        checks.start_due(services.database, services.settings.check_days)
        background = Runner(services.database)

        def work_on() -> int:
            pieces = layouts.work(deadline) + remotes.work(deadline) + export_one(services) + seal_wished(services)
            pieces += back_up(services, deadline)
            pieces += checking.work(deadline)
            # Its rests hold nothing else up.
            return pieces + background.work(deadline, waits=not pieces)

        while time.monotonic() < deadline and (pieces := work_on()):
            done += pieces
        is_out_of_time = time.monotonic() >= deadline
        if is_out_of_time:
            services.work_trigger.publish()
        background.tell()
        if done:
            telemetry.log(
                "INFO",
                "work",
                ms=record.milliseconds,
                statements=len(record.statements),
                pieces=done,
                out_of_time=is_out_of_time,
            )
    return done


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
        telemetry.log("ERROR", "no work", reason=str(error))
        return {"error": "temporarily unavailable: send it again"}, 503
    telemetry.log_exception("unexpected error", error)
    return {"error": "unknown error"}, 500
