"""What a function is made of, put together once for each process, at its first request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from functions.registry.auth.guard import Guard
from functions.registry.auth.rate import RateLimit
from functions.registry.blobs.gcs import Bucket
from functions.registry.blobs.signing import SignedUrls, signer_from
from functions.registry.config import Settings
from functions.registry.events.hints import Hints
from functions.registry.metadata.db import Database


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    bucket: Bucket
    signed_urls: SignedUrls
    hints: Hints
    guard: Guard
    rate_limit: RateLimit


def build(settings: Settings) -> Services:
    database = Database(settings.database, settings.database_connections)
    return Services(
        settings=settings,
        database=database,
        bucket=Bucket(settings),
        signed_urls=SignedUrls(settings, signer_from(settings)),
        hints=Hints(settings.topic, settings.hint_interval_seconds),
        guard=Guard(settings, database),
        rate_limit=RateLimit(settings.requests_per_minute),
    )


@cache
def services() -> Services:
    """One set for each process, made at its first request: so after the fork, where a server forks."""
    return build(Settings.from_environment())
