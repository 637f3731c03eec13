"""What the collector does with policies: it fills, judges, holds and removes, step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from functions.registry.metadata.content import moves
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import policies, progress, verdicts
from functions.registry.metadata.retention.verdicts import Wanted
from functions.registry.oci.name import RepositoryName
from functions.registry.retention import judging
from tests.metadata.build import APP, push_image, query, value
from tests.retention.conftest import NEWEST_TWO, age, all_runs, fall_due, put_policy, tag_names

Collect = Callable[[], None]


def _push(database: Database, count: int) -> None:
    """The tags 1, 2, …, each pushed an hour and a bit after the one before."""
    for number in range(1, count + 1):
        push_image(database, APP, str(number))
        age(database, 2)


def test_what_is_due_goes_and_the_newest_stay(database: Database, collect: Collect) -> None:
    _push(database, 5)
    put_policy(database)
    collect()
    assert tag_names(database) == ["1", "2", "3", "4", "5"]
    fall_due(database)
    collect()
    assert tag_names(database) == ["4", "5"]
    [run] = all_runs(database)
    assert (run.state, run.removed, run.waiting, run.left_alone) == ("done", 3, 0, 0)


def test_without_a_policy_nothing_is_queued_and_one_statement_is_run(database: Database, collect: Collect) -> None:
    _push(database, 2)
    collect()
    assert query(database, "SELECT FROM retention_reviews") == []
    assert query(database, "SELECT FROM retention_scopes") == []


def test_the_first_run_is_held_until_somebody_applies_it(database: Database, collect: Collect) -> None:
    _push(database, 5)
    put_policy(database, is_seen=False)
    collect()
    fall_due(database)
    collect()
    [run] = all_runs(database)
    assert (run.state, run.reason, run.waiting) == ("held", policies.UNSEEN, 3)
    assert len(tag_names(database)) == 5
    assert progress.begin(database, run.id, "user:someone")
    collect()
    assert tag_names(database) == ["4", "5"]
    _push(database, 2)
    fall_due(database)
    collect()
    fall_due(database)
    collect()
    assert tag_names(database) == ["1", "2"]


def test_a_preview_removes_nothing_and_lists_what_would_go(database: Database, collect: Collect) -> None:
    _push(database, 4)
    put_policy(database, mode="preview")
    collect()
    for _ in range(2):
        fall_due(database)
        collect()
    [run] = all_runs(database)
    assert (run.state, run.waiting) == ("preview", 2)
    shown = verdicts.list_page(database, run.id, Wanted(), (0, ""), 10)
    assert [each.tag for each in shown] == ["1", "2"]
    assert "not among the newest 2" in shown[0].why
    assert len(tag_names(database)) == 4


def test_a_moved_repository_is_judged_by_the_policy_of_its_new_name(database: Database, collect: Collect) -> None:
    _push(database, 4)
    put_policy(database, repositories="other/**")
    collect()
    assert query(database, "SELECT FROM retention_reviews") == []
    moves.move(database, APP, RepositoryName("other/app"), with_below=False, dry_run=False)
    collect()
    assert value(database, "SELECT count(*) FROM retention_reviews") == 4
    fall_due(database)
    collect()
    fall_due(database)
    collect()
    assert tag_names(database, "other/app") == ["3", "4"]


def test_the_newest_are_looked_for_among_all_of_one_moment(
    database: Database, collect: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of a page is of the moment of those that are judged, and they come behind it."""
    monkeypatch.setattr(judging, "_LEAST_PAGE", 2)
    for name in ("a", "b", "z1", "z2"):
        push_image(database, APP, name)
    query(database, "UPDATE tags SET updated_at = now() - interval '2 hours'")
    put_policy(database, rules=[{"tags": "z*", "keep": "all"}, *NEWEST_TWO])
    for _ in range(3):
        collect()
        fall_due(database)
    assert tag_names(database) == ["a", "b", "z1", "z2"]
