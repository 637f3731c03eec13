"""What a function is made of, put together once for each process, at its first request."""

from __future__ import annotations

import atexit
import gc
import sys
import weakref
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from functions.registry.auth.guard import Guard
from functions.registry.auth.rate import RateLimit, Sparing
from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.signing import SignedUrls, signer_from
from functions.registry.config import Settings
from functions.registry.events.deliver_trigger import DeliverTrigger
from functions.registry.events.pulls_and_pushes import PullsAndPushes
from functions.registry.events.trigger import WORK, Trigger
from functions.registry.imports.sources import OpenSources
from functions.registry.imports.touch import Touching
from functions.registry.memory import give_back_memory
from functions.registry.metadata.db import Database
from functions.registry.metadata.schema_version import SchemaCheck
from functions.registry.room import Room

if TYPE_CHECKING:
    from functions.registry.imports.origin import Blobs
    from functions.registry.metadata.imports.touching.lookups import Old

# How long a client that waits for an answer lets the store look for something.
_TOUCH_SECONDS: Final = 10.0
# How long a thread that computes keeps the others waiting, each time that one of them has something to do: a pull has
# several such moments, beside somebody's megabytes of JSON. Python's own is ten times as long. Threads that wait look
# again and again whether it is over, which pulls pay for that are many at once (docs/performance.md).
_TURN_SECONDS: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    schema: SchemaCheck
    bucket: Bucket
    signed_urls: SignedUrls
    gc_trigger: Trigger
    work_trigger: Trigger
    deliver_trigger: DeliverTrigger
    pulls_and_pushes: PullsAndPushes
    guard: Guard
    rate_limit: RateLimit
    refusals: Sparing
    imports: Touching
    manifest_room: Room


def build(settings: Settings) -> Services:
    database = Database(
        settings.database,
        settings.database_connections,
        wait_seconds=settings.database_wait_seconds,
        lock_seconds=settings.database_lock_seconds,
    )
    bucket = Bucket(settings)
    return Services(
        settings=settings,
        database=database,
        schema=SchemaCheck(database),
        bucket=bucket,
        signed_urls=SignedUrls(settings, signer_from(settings)),
        gc_trigger=Trigger(settings.topic, settings.gc_trigger_interval_seconds),
        work_trigger=Trigger(settings.work_topic, settings.gc_trigger_interval_seconds, WORK),
        deliver_trigger=DeliverTrigger(settings.events_topic, database),
        pulls_and_pushes=PullsAndPushes(database, settings.pulls_and_pushes_interval_seconds),
        guard=Guard(settings, database),
        rate_limit=RateLimit(settings.requests_per_minute),
        refusals=Sparing(settings.refusals_per_minute),
        imports=Touching(
            database,
            OpenSources(database),
            lambda old: _reached(settings, database, bucket, old),
            settings.largest_manifest_bytes,
        ),
        manifest_room=Room(settings.manifest_room_bytes, settings.manifest_room_seconds),
    )


def _reached(settings: Settings, database: Database, bucket: Bucket, old: Old) -> Blobs:
    # Imported here: without an import nobody needs it.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from functions.registry.imports.older_store import MOST_AT_ONCE  # noqa: PLC0415
    from functions.registry.imports.origin import Blobs, open_at_once  # noqa: PLC0415

    timeout = min(settings.storage_timeout_seconds, _TOUCH_SECONDS)
    origin = open_at_once(settings, old.source_id, old.address, old.prefix, timeout, MOST_AT_ONCE)
    return Blobs(origin, database, bucket, ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="touch"))


@cache
def services() -> Services:
    """Returns the one set for each process, made at its first request: so after the fork, where a server forks."""
    give_back_memory()
    sys.setswitchinterval(_TURN_SECONDS)
    made = build(Settings.from_environment())
    # A server that is told to stop ends its processes in order: they add what they have counted.
    atexit.register(_end, weakref.ref(made.pulls_and_pushes))
    # What stays for as long as the process isn't looked through again: a large manifest would have Python look for
    # unused objects among these ninety thousand, for 30 ms, with all other threads waiting.
    gc.freeze()
    return made


def _end(counts: weakref.ref[PullsAndPushes]) -> None:
    if (counting := counts()) is not None:
        counting.add()
