"""The machine finds what it is there to find: each of these mistakes fails it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import pytest
from hypothesis import Phase
from hypothesis.errors import Flaky

from functions.migrate.imports.bulk import Importing
from functions.migrate.imports.delta import Delta
from functions.registry.imports.fetching import Fetching
from functions.registry.metadata.db import Statement
from functions.registry.metadata.imports.bulk import bulk_steps, deltas, last_steps, listed_tags, pieces
from tests.property.moving.machine import MovingMachine
from tests.property.running import run
from tests.property.test_machine_bites import replaced
from tests.support import Registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

# As soon as the mistake is found, it ends.
RUNS: Final = 400
STEPS: Final = 40

# A statement, and what it says by mistake instead.
STATEMENTS: Final[dict[str, tuple[Statement[Any], str, str]]] = {
    "a base goes forward without its tag": (
        listed_tags._PUT_BASES,
        "AND NOT (base.state = 'applied'",
        "AND NOT (false AND base.state = 'applied'",
    ),
    "the end of a claim clears what a pass has marked": (
        last_steps._RELEASE,
        "nullif(old.due_at, old.lease_until)",
        "NULL",
    ),
    "a pass that is asked for beside another one is none": (pieces._NOTE_AGAIN, "AND EXISTS", "AND false AND EXISTS"),
    "whoever slept past a lease goes on": (bulk_steps._FENCE, "AND old.lease = mine.lease", ""),
    "what was pushed here is taken for imported": (deltas._MOVE, "AND tags.updated_at = base.updated_at", ""),
}

# A method, and what stands in for it by mistake.
METHODS: Final[dict[str, tuple[type, str, Callable[..., Any]]]] = {
    "what was fetched is not compared at the end of an import": (Importing, "_differing", lambda *_: ([], [])),
    "what is collected beside a comparison is not looked at again": (Delta, "_require_here", lambda *_: None),
    "nothing is fetched": (Fetching, "fetch_manifest", lambda *_: False),
}

# A function of the database, and what it says by mistake instead.
FUNCTIONS: Final = {
    "a deleted tag is not remembered": ("remember_deleted_tags", "BEGIN", "BEGIN RETURN NULL;"),
    "a deleted repository is not remembered": ("drop_imported", "BEGIN", "BEGIN RETURN NULL;"),
    "manifests of repositories that are not imported yet are collected": (
        "is_awaiting_import",
        "BEGIN",
        "BEGIN RETURN false;",
    ),
    "objects of the older registry are deleted": ("is_held", "SELECT EXISTS", "SELECT false AND EXISTS"),
}


def fails(machine: type[MovingMachine]) -> None:
    """Without making the history short. What depends on threads may not come twice: that is found as well."""
    with pytest.raises((AssertionError, Flaky, ExceptionGroup)):
        run(machine, RUNS, STEPS, phases=(Phase.generate,))


@pytest.mark.parametrize("mistake", STATEMENTS)
def test_a_mistake_in_a_statement(moving_machine: type[MovingMachine], mistake: str) -> None:
    statement, right, wrong = STATEMENTS[mistake]
    before = statement.sql
    assert right in before
    object.__setattr__(statement, "sql", before.replace(right, wrong))
    try:
        fails(moving_machine)
    finally:
        object.__setattr__(statement, "sql", before)


@pytest.mark.parametrize("mistake", METHODS)
def test_a_mistake_in_the_program(moving_machine: type[MovingMachine], mistake: str) -> None:
    kind, method, wrong = METHODS[mistake]
    with mock.patch.object(kind, method, wrong):
        fails(moving_machine)


@pytest.mark.parametrize("mistake", FUNCTIONS)
def test_a_mistake_in_the_database(moving_machine: type[MovingMachine], registry: Registry, mistake: str) -> None:
    name, right, wrong = FUNCTIONS[mistake]
    with replaced(registry, name, right, wrong):
        fails(moving_machine)
