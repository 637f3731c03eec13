"""The function `collect`: woken by Pub/Sub, it collects what is due."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from functions.gc.run import run
from functions.registry import telemetry
from functions.registry.events.trigger import COLLECT
from functions.registry.events.triggered import answer_failures, is_to_run
from functions.registry.wiring import services

telemetry.take_logging()
answer_failures(COLLECT)


@functions_framework.cloud_event
def collect(event: CloudEvent) -> None:
    if is_to_run(event, COLLECT, services().schema):
        run(services())
