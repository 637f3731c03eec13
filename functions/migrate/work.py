"""The function `work`: woken by Pub/Sub, it goes on with what takes long: moving a registry in, migrations of large
tables in the background, and checks.
"""

from __future__ import annotations

import time
from typing import Final

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
from functions.registry.events.trigger import WORK
from functions.registry.events.triggered import answer_failures, has_schema, is_to_run
from functions.registry.imports import news
from functions.registry.metadata.checks import checks
from functions.registry.metadata.imports.remote import passes
from functions.registry.wiring import Services, services

# Well below the ten minutes after which a message is delivered again.
BUDGET_SECONDS: Final = 240.0


answer_failures(WORK)


@functions_framework.cloud_event
def work(event: CloudEvent) -> None:
    """Runs for a trigger; and for what the bucket of a source tells of its objects, once that is noted."""
    change = news.object_change(event.data)
    if change is None:
        is_due = is_to_run(event, WORK, services().schema)
    else:
        is_due = has_schema(WORK, services().schema) and news.take_object(services().database, change)
    if is_due:
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
        checks.start_due(services.database, services.settings.check_days, services.settings.check_bytes)
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
