"""Every table is in one of the two lists: whoever adds one decides what a backup and a restore do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from functions.migrate.backups import rows
from functions.migrate.backups.tables import COPIED, DUE_NAMES, EMPTY, LEFT_OUT, UNTOUCHED
from functions.migrate.grants import _privileges
from functions.registry.metadata.db import Database
from tests.metadata.build import APP, push_image, query, value

_COLUMNS: Final = """
    SELECT table_name::text, column_name::text, data_type::text
      FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""


# What would go on at once, as it stands in the rows of a backup.
_AT_WORK: Final = """
    WITH policy AS (
        INSERT INTO retention_policies (name, position, repositories, mode, rules, new_for, brake_share, brake_tags,
                                        changed_by)
        VALUES ('p', 1, 'team/*', 'enforce', '[]', '1 day', 50, 100, 'admin')
    ), run AS (
        INSERT INTO retention_runs (kind, state, policy, namespace, revision, document, made_by, expires_at)
        VALUES ('plan', 'applying', 'p', 'team', 1, '{}', 'admin', now() + interval '1 day')
    )
    INSERT INTO subscriptions (name, pattern, pattern_regex, target, created_by)
    VALUES ('s', 'team/*', '', 'https://example.com', 'admin')
"""


@pytest.fixture
def columns(database: Database) -> dict[str, dict[str, str]]:
    """The type of each column, by table."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in query(database, _COLUMNS):
        found.setdefault(table, {})[column] = kind
    return found


def test_every_table_is_in_one_of_the_lists(columns: dict[str, dict[str, str]]) -> None:
    """If this fails: say in functions/migrate/backups/tables.py what becomes of the new table's rows."""
    assert columns.keys() - COPIED.keys() - LEFT_OUT.keys() == set()
    assert COPIED.keys() & LEFT_OUT.keys() == set()
    assert all(LEFT_OUT.values())


def test_what_is_due_at_some_moment_moves_or_is_said_to_stay(columns: dict[str, dict[str, str]]) -> None:
    for table, copied in COPIED.items():
        if table not in columns:
            continue
        times = {name for name, kind in columns[table].items() if kind.startswith(("timestamp", "date"))}
        assert {*copied.due, *copied.until} <= times, table
        looks_due = {name for name in times if name.endswith(DUE_NAMES)}
        assert looks_due - {*copied.due, *copied.until, *copied.stays} == set(), table


def test_what_is_emptied_and_looked_at_is_known(columns: dict[str, dict[str, str]]) -> None:
    assert set(EMPTY) <= columns.keys()
    assert LEFT_OUT.keys() >= UNTOUCHED


def test_what_would_act_at_once_waits_for_somebody_to_look_at_it(database: Database, database_url: str) -> None:
    query(database, _AT_WORK)
    rows.settle(database_url, datetime.now(UTC))
    assert query(database, "SELECT mode FROM retention_policies") == [["preview"]]
    assert query(database, "SELECT state FROM retention_runs") == [["dropped"]]
    assert query(database, "SELECT state FROM subscriptions") == [["paused"]]


def test_what_would_be_taken_away_at_once_waits_for_a_day(database: Database, database_url: str) -> None:
    push_image(database, APP)
    for table in ("manifest_reviews", "link_reviews"):
        query(database, f"UPDATE {table} SET review_after = now() - interval '1 hour'")  # noqa: S608
    rows.settle(database_url, datetime.now(UTC))
    for table in ("manifest_reviews", "link_reviews"):
        soon = f"SELECT count(*) FROM {table} WHERE review_after < now() + interval '23 hours'"  # noqa: S608
        assert value(database, soon) == 0


def test_work_may_read_what_a_backup_has_and_nothing_more_than_before() -> None:
    assert _privileges("secrets", "work") == ["SELECT"]
    assert _privileges("refresh_tokens", "work") == []
    assert _privileges("secrets", "gc") == []
