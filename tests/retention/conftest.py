"""A registry's tags under a policy, and the time that goes by for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from functions.gc import retention
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import policies, runs
from functions.registry.metadata.retention.policies import NewPolicy
from functions.registry.metadata.retention.runs import Run
from functions.registry.wiring import Services
from tests.metadata.build import APP, query

HOUR: Final = 3600
DAY: Final = 86_400
_PATIENCE_SECONDS: Final = 60
NEWEST_TWO: Final = [{"tags": "*", "keep": {"newest": 2}}]


def put_policy(
    database: Database, *, name: str = "tidy", is_seen: bool = True, revision: int | None = None, **more: Any
) -> None:
    chosen: dict[str, Any] = {
        "position": 1,
        "repositories": "team/**",
        "mode": "enforce",
        "rules": NEWEST_TWO,
        "new_for": HOUR,
        "brake_share": 100,
        "brake_tags": 5000,
    }
    policies.put(database, NewPolicy(name=name, **(chosen | more)), "somebody", 200, revision, is_seen=is_seen)


def age(database: Database, hours: float, repository: str = APP) -> None:
    """All tags of the repository were pushed, and pulled, so much earlier."""
    query(
        database,
        """
        UPDATE tags
           SET updated_at = updated_at - make_interval(secs => :s), pulled_at = pulled_at - make_interval(secs => :s)
          FROM repositories WHERE repositories.id = repository_id AND repositories.name = :name
        """,
        s=hours * HOUR,
        name=repository,
    )


def fall_due(database: Database) -> None:
    """All reviews are due, and all open runs have been open for long enough."""
    query(database, "UPDATE retention_reviews SET due_at = now() - interval '1 second'")
    query(database, "UPDATE retention_runs SET made_at = made_at - interval '2 hours'")


def tag_names(database: Database, repository: str = APP) -> list[str]:
    rows = query(
        database,
        """
        SELECT tags.name FROM tags JOIN repositories ON repositories.id = repository_id
         WHERE repositories.name = :name ORDER BY tags.name
        """,
        name=repository,
    )
    return [name for (name,) in rows]


def all_runs(database: Database) -> list[Run]:
    """The newest first."""
    return runs.list_page(database, 100, 2**62, None, None)


@pytest.fixture
def services(database: Database) -> Services:
    """Gives as much of them as retention asks for."""
    settings = SimpleNamespace(pulls_and_pushes_interval_seconds=10)
    return cast(Services, SimpleNamespace(database=database, settings=settings))


@pytest.fixture
def collect(services: Services, database: Database) -> Callable[[], None]:
    """Runs the collector until it finds nothing to do, and neither fill nor review waits for the next moment."""
    waiting = """
        SELECT FROM retention_fills
        UNION ALL SELECT FROM retention_reviews WHERE due_at < now() + interval '10 seconds'
    """

    def work() -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while retention.collect(services, 500) or query(database, waiting):
            assert time.monotonic() < deadline, "a fill does not end"

    return work
