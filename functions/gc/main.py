"""The function `collect`: woken by Pub/Sub, it collects what is due.

What a message says is of no account: it is a hint, which may be lost, doubled or late. The database knows what is due.
"""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent

from functions.gc.run import run
from functions.registry.wiring import services


@functions_framework.cloud_event
def collect(_: CloudEvent) -> None:
    run(services())
