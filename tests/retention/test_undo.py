"""A run is undone: its tags come back as they were, and no policy takes them, or others in their place, at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from functions.registry.metadata.content import removal
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import runs, verdicts
from functions.registry.metadata.retention.verdicts import Wanted
from functions.registry.retention import undoing
from tests.metadata.build import APP, push_image, query, value
from tests.retention.conftest import age, all_runs, fall_due, put_policy, tag_names
from tests.support import Image

Collect = Callable[[], None]
NAMES = [f"b{number:02}" for number in range(12)]


def _removed(database: Database, collect: Collect) -> int:
    """Removes the oldest four of twelve tags, and returns the run's id."""
    for name in NAMES:
        push_image(database, APP, name, image=Image(config=name.encode()))
        age(database, 2)
    put_policy(database, rules=[{"tags": "*", "keep": {"newest": 8}}])
    collect()
    for _ in range(2):
        fall_due(database)
        collect()
    assert tag_names(database) == NAMES[4:]
    return all_runs(database)[0].id


def _undo(database: Database, run: int) -> dict[str, str | None]:
    """What became of each tag."""
    assert runs.set_state(database, run, "undoing", ("done",))
    assert undoing.undo_until(database, run, time.monotonic() + 60)
    found = runs.get(database, run)
    assert found is not None
    assert found.state == "undone"
    return {each.tag: each.outcome for each in verdicts.list_page(database, run, Wanted(), (0, ""), 100)}


def test_what_comes_back_is_as_it_was_and_the_next_run_removes_nothing(database: Database, collect: Collect) -> None:
    before = query(database, "SELECT count(*) FROM tags")
    run = _removed(database, collect)
    assert _undo(database, run) == dict.fromkeys(NAMES[:4], "restored")
    assert tag_names(database) == NAMES
    assert before != query(database, "SELECT count(*) FROM tags WHERE updated_at < now() - interval '1 hour'")
    order = query(database, "SELECT name FROM tags ORDER BY updated_at")
    assert [name for (name,) in order] == NAMES
    for _ in range(3):
        fall_due(database)
        collect()
    assert tag_names(database) == NAMES
    query(database, "UPDATE tags SET restored_at = restored_at - interval '8 days'")
    for _ in range(2):
        fall_due(database)
        collect()
    assert tag_names(database) == NAMES[4:]


def test_a_tag_that_somebody_has_set_since_is_left(database: Database, collect: Collect) -> None:
    run = _removed(database, collect)
    push_image(database, APP, NAMES[0], image=Image(config=b"another"))
    outcomes = _undo(database, run)
    assert outcomes == {NAMES[0]: "taken", **dict.fromkeys(NAMES[1:4], "restored")}


def test_a_repository_that_was_deleted_since_stays_so(database: Database, collect: Collect) -> None:
    run = _removed(database, collect)
    assert removal.remove(database, APP)
    assert set(_undo(database, run).values()) == {"lost"}


def test_the_history_tells_which_policy_and_which_run(database: Database, collect: Collect) -> None:
    run = _removed(database, collect)
    assert query(database, "SELECT DISTINCT actor, cause FROM tag_history WHERE NOT is_move") == [
        ["policy:tidy", f"policy:tidy/{run}"]
    ]
    _undo(database, run)
    assert value(database, "SELECT details ->> 'tags' FROM audit WHERE action = 'tags.restore'") == "4"


def test_a_repository_that_is_set_aside_is_not_judged(database: Database, collect: Collect) -> None:
    _removed(database, collect)
    assert removal.remove(database, APP)
    collect()
    assert query(database, "SELECT FROM retention_scopes") == []
    fall_due(database)
    collect()
    assert query(database, "SELECT FROM retention_reviews") == []
