"""A registry whose garbage is due at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from functions.gc.run import run
from functions.registry.metadata.driver import Connection
from tests.support import Registry


def execute(registry: Registry, sql: str) -> None:
    """Runs SQL for settings and for looking inside; tests change what the registry holds through its api."""
    connection = Connection(registry.services.settings.database)
    connection.simple(sql)
    connection.close()


@pytest.fixture
def hasty(registry: Registry) -> Registry:
    """No grace, for anything."""
    execute(registry, "UPDATE gc_settings SET grace = '0'")
    return registry


def garbage(handled: Mapping[str, int]) -> dict[str, int]:
    """What was collected, without what was added up and looked at by the way."""
    return {
        name: count
        for name, count in handled.items()
        if name not in {"retention", "usage", "untagged", "trends", "days", "platforms"}
    }


def run_at_once(registry: Registry, runs: int) -> Counter[str]:
    """What so many runs at the same time handled together."""
    handled: Counter[str] = Counter()
    with ThreadPoolExecutor(runs) as pool:
        for each in [pool.submit(run, registry.services) for _ in range(runs)]:
            handled.update(each.result())
    return handled


def collect(registry: Registry) -> dict[str, int]:
    """Collects until nothing is left to do: what one run queues without grace, it may not see itself."""
    total: dict[str, int] = {}
    while any((handled := run(registry.services)).values()):
        for name, count in handled.items():
            total[name] = total.get(name, 0) + count
    return {name: count for name, count in garbage(total).items() if count}


def rows(registry: Registry, table: str) -> int:
    connection = Connection(registry.services.settings.database)
    outcome = connection.run([(f"SELECT count(*) FROM {table}", {})])  # noqa: S608  # a table's name from the test
    connection.close()
    return int(outcome[0].rows[0][0])
