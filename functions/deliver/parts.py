"""What the function is made of: the database and a topic. It has no bucket, no tokens and no accounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from functions.registry.config import Settings
from functions.registry.events.deliver_trigger import DeliverTrigger
from functions.registry.memory import give_back_memory
from functions.registry.metadata.db import Database
from functions.registry.metadata.schema_version import SchemaCheck


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    database: Database
    schema: SchemaCheck
    trigger: DeliverTrigger


def build(settings: Settings) -> Parts:
    database = Database(
        settings.database,
        settings.database_connections,
        wait_seconds=settings.database_wait_seconds,
        lock_seconds=settings.database_lock_seconds,
    )
    return Parts(settings, database, SchemaCheck(database), DeliverTrigger(settings.events_topic, database))


@cache
def parts() -> Parts:
    """One set for each process, made at its first message: so after the fork, where a server forks."""
    give_back_memory()
    return build(Settings.from_environment())
