"""The function `deliver`: woken by Pub/Sub, it sends events to whoever subscribed to them."""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from functions.deliver.parts import parts
from functions.deliver.run import run
from functions.registry import telemetry
from functions.registry.events.trigger import DELIVER
from functions.registry.events.triggered import answer_failures, is_to_run

telemetry.take_logging()
answer_failures(DELIVER)


@functions_framework.cloud_event
def deliver(event: CloudEvent) -> None:
    if is_to_run(event, DELIVER, parts().schema):
        run(parts())
