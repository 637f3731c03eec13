"""What goes wrong, as the table "When things go wrong" in docs/lifecycle.md has it, line by line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from functions.registry.metadata.access import rules as tag_rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import removal, tags
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import clock, plans, policies, progress, runs, verdicts
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import PolicyChanged
from functions.registry.metadata.retention.runs import Run
from functions.registry.metadata.retention.verdicts import Shown, Wanted
from functions.registry.oci.name import Tag
from functions.registry.retention import applying, judging, planning
from functions.registry.retention.patterns import PatternRefused, matcher
from functions.registry.retention.policies import PolicyRefused, read_rules
from tests.metadata.build import APP, push_image, query, value
from tests.retention.conftest import age, all_runs, fall_due, put_policy, tag_names

Collect = Callable[[], None]
LEEWAY = judging.leeway(10)


def _push(database: Database, *names: str) -> None:
    """Each two hours before the next one, and the last two hours ago."""
    for name in names:
        push_image(database, APP, name)
        age(database, 2)


def _plan(database: Database) -> int:
    known = policies.get(database, "tidy")
    assert known is not None
    plan = NewPlan(known.id, "tidy", "team", known.revision, judging.written(known), None)
    run = plans.add(database, plan, "somebody")
    assert planning.make(database, LEEWAY, time.monotonic() + 60, run)
    return run


def _apply(database: Database, run: int) -> Run:
    assert progress.begin(database, run, "user:someone")
    assert applying.apply_until(database, LEEWAY, run, time.monotonic() + 60)
    found = runs.get(database, run)
    assert found is not None
    return found


def _verdict(database: Database, run: int, tag: str) -> Shown:
    (found,) = (each for each in verdicts.list_page(database, run, Wanted(), (0, ""), 100) if each.tag == tag)
    return found


def test_a_plan_is_applied_and_nothing_else_goes(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c", "d")
    run = _plan(database)
    push_image(database, APP, "e")  # b is not among the newest two any more, and neither was shown nor goes
    query(database, "UPDATE retention_verdicts SET outcome = NULL, verdict = 'keep' WHERE tag = 'b'")
    done = _apply(database, run)
    assert (done.state, done.removed, done.left_alone) == ("done", 1, 0)
    assert tag_names(database) == ["b", "c", "d", "e"]
    [entry] = query(database, "SELECT principal, resource, details FROM audit WHERE action = 'tags.delete'")
    assert entry == ["policy:tidy", APP, {"run": run, "tags": 1, "by": "user:someone"}]


def test_a_tag_that_is_pushed_between_plan_and_removal_is_left_alone(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c", "d")
    run = _plan(database)
    push_image(database, APP, "a")
    done = _apply(database, run)
    assert (done.removed, done.left_alone) == (1, 1)
    assert tag_names(database) == ["a", "c", "d"]
    assert (_verdict(database, run, "a").outcome, _verdict(database, run, "a").note) == (
        "changed",
        "it was pushed since",
    )


def test_a_tag_that_somebody_deleted_first_is_told_of(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c", "d")
    run = _plan(database)
    assert tags.delete(database, APP, Tag("a"))
    assert _apply(database, run).removed == 1
    assert _verdict(database, run, "a").outcome == "gone"


def test_a_repository_that_is_gone_is_told_of(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c")
    run = _plan(database)
    assert removal.remove(database, APP)
    assert _apply(database, run).left_alone == 1
    assert _verdict(database, run, "a").note == "the repository is gone"


def test_a_tag_that_became_one_of_the_newest_is_kept(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c")
    run = _plan(database)
    assert tags.delete(database, APP, Tag("c"))
    assert _apply(database, run).left_alone == 1
    assert _verdict(database, run, "a").outcome == "kept"
    assert "among the newest 2" in (_verdict(database, run, "a").note or "")


def test_a_tag_rule_that_comes_after_the_plan_is_obeyed(database: Database) -> None:
    put_policy(database)
    _push(database, "a", "b", "c", "d")
    run = _plan(database)
    tag_rules.add(database, NewRule("releases", 1, "protected", "team/*", "a", "writer"))
    done = _apply(database, run)
    assert (done.removed, done.left_alone) == (1, 1)
    assert "releases" in (_verdict(database, run, "a").note or "")


def test_a_tag_rule_that_comes_while_a_run_is_applied_is_obeyed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trigger refuses the removal, and the verdicts are given once more."""
    put_policy(database)
    _push(database, "a", "b", "c", "d")
    run = _plan(database)
    decide = applying._decide
    came: list[int] = []

    def and_then_a_rule(*arguments: object) -> object:
        decided = decide(*arguments)  # type: ignore[arg-type]
        if not came:
            came.append(tag_rules.add(database, NewRule("releases", 1, "protected", "team/*", "a", "writer")))
        return decided

    monkeypatch.setattr(applying, "_decide", and_then_a_rule)
    done = _apply(database, run)
    assert (done.removed, done.left_alone) == (1, 1)
    assert tag_names(database) == ["a", "c", "d"]


def test_a_plan_of_a_policy_that_was_changed_is_not_applied(database: Database, collect: Collect) -> None:
    put_policy(database, is_seen=False)
    _push(database, "a", "b", "c")
    run = _plan(database)
    collect()
    fall_due(database)
    collect()
    held = all_runs(database)[0]
    assert held.state == "held"
    put_policy(database, rules=[{"tags": "*", "keep": {"newest": 1}}])
    assert not progress.begin(database, run, "user:someone")
    ended = runs.get(database, held.id)
    assert ended is not None
    assert (ended.state, ended.reason) == ("expired", "the policy was changed")
    assert not progress.begin(database, held.id, "user:someone")


def test_two_editors_do_not_overwrite_each_other(database: Database) -> None:
    put_policy(database, revision=0)
    with pytest.raises(PolicyChanged):
        put_policy(database, revision=0)
    put_policy(database, revision=1)
    with pytest.raises(PolicyChanged):
        put_policy(database, revision=1)


def test_a_policy_that_was_deleted_removes_nothing_more(database: Database, collect: Collect) -> None:
    put_policy(database)
    _push(database, "a", "b", "c")
    collect()
    assert policies.remove(database, "tidy", None)
    fall_due(database)
    collect()
    assert tag_names(database) == ["a", "b", "c"]
    assert query(database, "SELECT FROM retention_reviews") == []
    assert query(database, "SELECT FROM retention_scopes") == []


@contextmanager
def _clock_ahead(database: Database, days: int) -> Iterator[None]:
    """All that is written was so much earlier, which is what a clock that jumped sees."""
    for table, columns in {
        "tags": ("updated_at", "pulled_at"),
        "retention_reviews": ("due_at",),
        "retention_clock": ("seen_at",),
        "retention_runs": ("made_at", "applied_at", "expires_at"),
    }.items():
        changes = ", ".join(f"{column} = {column} - make_interval(days => {days})" for column in columns)
        query(database, f"UPDATE {table} SET {changes}")  # noqa: S608  # names of ours
    yield


def test_a_clock_a_year_ahead_removes_nothing(database: Database, collect: Collect) -> None:
    """Though the policy was confirmed, and few enough tags would go for its brake."""
    rules = [{"tags": "*", "keep": {"newest": 8, "pushed_within": "30d"}}]
    put_policy(database, rules=rules)
    _push(database, *"abcdefghij")
    collect()
    fall_due(database)
    collect()
    assert len(tag_names(database)) == 10
    with _clock_ahead(database, 365):
        for _ in range(3):
            collect()
            fall_due(database)
        # So it is on the days after.
        query(database, "UPDATE retention_clock SET seen_at = now()")
        fall_due(database)
        collect()
    assert len(tag_names(database)) == 10
    [run] = all_runs(database)
    assert (run.state, run.reason, run.waiting) == ("held", clock.JUMPED, 2)


def test_a_pattern_that_matches_everything_is_braked(database: Database, collect: Collect) -> None:
    put_policy(database, rules=[{"tags": "*", "keep": {"newest": 1}}], brake_share=50)
    _push(database, *(f"t{number:02}" for number in range(12)))
    collect()
    fall_due(database)
    collect()
    fall_due(database)
    collect()
    [run] = all_runs(database)
    assert (run.state, run.waiting) == ("held", 11)
    assert run.reason == "it would take more than 50 % of a repository in a day"
    assert len(tag_names(database)) == 12


def test_many_small_runs_are_braked_as_one(database: Database, collect: Collect) -> None:
    put_policy(database, brake_tags=3)
    _push(database, *"abcde")
    collect()
    for _ in range(2):
        fall_due(database)
        collect()
    assert tag_names(database) == ["d", "e"]
    _push(database, *"fg")
    for _ in range(2):
        fall_due(database)
        collect()
    assert tag_names(database) == ["d", "e", "f", "g"]
    held = all_runs(database)[0]
    assert (held.state, held.reason) == ("held", "it would take more than 3 tags in a day")


def test_a_repository_that_another_registry_decides_about_is_not_judged(database: Database, collect: Collect) -> None:
    put_policy(database)
    _push(database, *"abcd")
    run = _plan(database)
    collect()
    query(
        database,
        """
        INSERT INTO import_sources (kind, address, state, listed_at)
        VALUES ('registry', 'https://old.example.com', 'open', now())
        """,
    )
    query(
        database,
        """
        INSERT INTO import_repositories (source_id, path, name, repository_id, state)
        SELECT import_sources.id, repositories.name, repositories.name, repositories.id, 'imported'
          FROM import_sources, repositories
        """,
    )
    for _ in range(2):
        fall_due(database)
        collect()
    assert _apply(database, run).removed == 0
    assert tag_names(database) == ["a", "b", "c", "d"]


def test_a_pull_that_is_still_being_counted_keeps_its_tag(database: Database) -> None:
    """Within the leeway after its time is over, and not beyond."""
    put_policy(database, rules=[{"tags": "*", "keep": {"pulled_within": "2h"}}])
    _push(database, "a", "b")
    for tag, seconds in (("a", 2 * 3600 + LEEWAY - 30), ("b", 2 * 3600 + LEEWAY + 30)):
        query(
            database,
            "UPDATE tags SET pulled_at = now() - make_interval(secs => :seconds) WHERE name = :tag",
            seconds=seconds,
            tag=tag,
        )
    run = _plan(database)
    assert [_verdict(database, run, tag).verdict for tag in "ab"] == ["keep", "remove"]


def test_a_review_that_fails_is_put_off_and_the_queue_goes_on(database: Database, collect: Collect) -> None:
    """A policy that this release can't read, beside one that it can."""
    push_image(database, APP.__class__("other/app"), "x")
    put_policy(database)
    put_policy(database, name="odd", repositories="other/**")
    _push(database, *"abc")
    collect()
    query(database, """UPDATE retention_policies SET rules = '[{"of": "later"}]' WHERE name = 'odd'""")
    for _ in range(2):
        fall_due(database)
        collect()
    assert tag_names(database) == ["b", "c"]
    assert tag_names(database, "other/app") == ["x"]
    assert value(database, "SELECT count(*) FROM retention_reviews WHERE error LIKE 'PolicyRefused%'") == 1


@pytest.mark.parametrize("pattern", ["", "x" * 201, "re:(", "re:(a{1000}){1000}", r"re:(?=a)", r"re:(a)\1", "a b", "é"])
def test_a_pattern_that_is_no_bounded_expression_is_refused(pattern: str) -> None:
    with pytest.raises(PatternRefused):
        matcher(pattern)


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("pr-*", ["pr-1", "pr-"], ["apr-1", "pr"]),
        ("1.*", ["1.0", "1."], ["1x0", "11.0"]),
        ("re:v?[0-9]+", ["v1", "12"], ["v1.0", "xv1"]),
        ("re:.*rc.*", ["1.0-rc1"], ["1.0"]),
        ("**", ["anything"], []),
    ],
)
def test_a_pattern_is_about_the_whole_tag(pattern: str, fits: list[str], others: list[str]) -> None:
    assert all(map(matcher(pattern), fits))
    assert not any(map(matcher(pattern), others))


def test_a_hostile_pattern_takes_no_longer_than_a_good_one() -> None:
    fits = matcher("re:(a*)*(a*)*(a*)*b")
    started = time.process_time()
    assert not fits("a" * 128)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "rules",
    [
        "all",
        [],
        [{}] * 51,
        [{"tags": "*"}],
        [{"tags": "*", "keep": {}}],
        [{"tags": "*", "keep": "some"}],
        [{"tags": "*", "keep": {"newest": 0}}],
        [{"tags": "*", "keep": {"newest": True}}],
        [{"tags": "*", "keep": {"newest": None}}],
        [{"tags": "*", "keep": {"pushed_within": "0d"}}],
        [{"tags": "*", "keep": {"pulled_within": 14}}],
        [{"tags": "*", "keep": {"older": "1d"}}],
        [{"tags": "*", "keep": "all", "delete": True}],
        [{"tags": 5, "keep": "all"}],
        [{"tags": "*", "keep": "all", "except": "latest"}],
    ],
)
def test_rules_that_say_nothing_sensible_are_refused(rules: object) -> None:
    with pytest.raises(PolicyRefused):
        read_rules(rules)
