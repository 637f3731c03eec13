"""Random registries under random policies: verdicts, plans and what is removed are those of a small model."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from functions.registry.metadata.access import rules as tag_rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.db import Database
from functions.registry.metadata.retention import plans, policies, runs, verdicts
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.verdicts import Wanted
from functions.registry.retention import judging, planning
from functions.registry.retention.policies import Policy, read_rules
from functions.registry.retention.verdicts import SECOND, Judge, TagFacts
from tests.metadata.build import query
from tests.retention.conftest import HOUR, fall_due, put_policy, tag_names
from tests.retention.model import ModelTag, kept, random_rules, random_tags

NOW = 1_800_000_000 * SECOND
LEEWAY = judging.leeway(10)
NEW_FORS = (HOUR, 24 * HOUR, 72 * HOUR)


def _judged(chance: random.Random) -> None:
    tags, rules, new_for = random_tags(chance, 30), random_rules(chance), chance.choice(NEW_FORS)
    judge = Judge(Policy("tidy", read_rules(rules), new_for), NOW, LEEWAY)
    expected = kept(rules, new_for, tags, LEEWAY)
    for tag in sorted(tags, key=lambda each: each.pushed):
        pulled = None if tag.pulled is None else NOW - int(tag.pulled) * SECOND
        facts = TagFacts(
            tag.name, tag.manifest, NOW - int(tag.pushed) * SECOND, pulled, 1, "no" if tag.is_protected else None
        )
        judge.note(tag.name, tag.manifest)
        verdict = judge.verdict(facts)
        assert (None if verdict.removes else verdict.reason) == expected[tag.name], (tag, rules, verdict)
        if verdict.rule is not None:
            assert verdict.why.startswith(f"rule {verdict.rule} ({rules[verdict.rule - 1]['tags']})")
        if not verdict.removes and verdict.again_at is not None:
            assert verdict.again_at > NOW


def test_verdicts_are_those_of_the_model() -> None:
    for seed in range(2000):
        _judged(random.Random(seed))  # noqa: S311  # a test's


@pytest.mark.slow
def test_verdicts_on_a_hundred_thousand_registries_are_those_of_the_model() -> None:
    for seed in range(2000, 102_000):
        _judged(random.Random(seed))  # noqa: S311  # a test's


def _store(database: Database, repository: str, tags: list[ModelTag]) -> None:
    """Straight into the tables, with the triggers that a push has; then the times are put back."""
    query(database, "INSERT INTO namespaces (name) VALUES ('team') ON CONFLICT DO NOTHING")
    query(
        database,
        "INSERT INTO repositories (namespace_id, name) SELECT id, :name FROM namespaces WHERE name = 'team'",
        name=repository,
    )
    query(
        database,
        """
        INSERT INTO manifests (repository_id, digest, media_type, payload)
        SELECT repositories.id, '\\x01' || sha256(convert_to(repositories.name || ' ' || number, 'UTF8')), 'x/y', '{}'
          FROM repositories, unnest(CAST(:numbers AS int[])) AS number WHERE repositories.name = :name
        """,
        name=repository,
        numbers=sorted({tag.manifest for tag in tags}),
    )
    query(
        database,
        """
        INSERT INTO tags (repository_id, name, manifest_id, updated_at, pulled_at)
        SELECT repositories.id, tag.name, manifests.id, now() - tag.pushed * interval '1 second',
               coalesce(now() - tag.pulled * interval '1 second', '-infinity')
          FROM unnest(CAST(:names AS text[]), CAST(:numbers AS int[]), CAST(:pushed AS int[]), CAST(:pulled AS int[]))
               AS tag (name, number, pushed, pulled)
          JOIN repositories ON repositories.name = :name
          JOIN manifests ON manifests.repository_id = repositories.id
           AND manifests.digest = '\\x01' || sha256(convert_to(repositories.name || ' ' || tag.number, 'UTF8'))
        """,
        name=repository,
        names=[tag.name for tag in tags],
        numbers=[tag.manifest for tag in tags],
        pushed=[tag.pushed for tag in tags],
        pulled=[tag.pulled for tag in tags],
    )


def _shown(database: Database, run: int) -> dict[str, str | None]:
    found = verdicts.list_page(database, run, Wanted(), (0, ""), 10_000)
    return {f"{each.repository}:{each.tag}": None if each.verdict == "remove" else each.reason for each in found}


def _planned(database: Database, name: str) -> dict[str, str | None]:
    known = policies.get(database, name)
    assert known is not None
    plan = NewPlan(known.id, name, "team", known.revision, judging.written(known), None)
    run = plans.add(database, plan, "somebody")
    assert planning.make(database, LEEWAY, time.monotonic() + 60, run)
    found = runs.get(database, run)
    assert found is not None
    assert found.state == "ready"
    shown = _shown(database, run)
    assert found.waiting == sum(reason is None for reason in shown.values())
    assert sum(found.counts.values()) == len(shown)
    return shown


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few tags, so that walks go over several."""
    monkeypatch.setattr(planning, "_PAGE", 7)
    monkeypatch.setattr(judging, "_LEAST_PAGE", 2)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("seed", range(25))
def test_what_is_planned_and_what_goes_is_the_models(
    database: Database, collect: Callable[[], None], seed: int
) -> None:
    """One policy over three repositories. What is protected is so by a rule for each of these tags."""
    chance = random.Random(seed)  # noqa: S311  # a test's
    rules, new_for = random_rules(chance), chance.choice(NEW_FORS)
    registry = {f"team/r{number}": random_tags(chance, 40) for number in range(3)}
    expected: dict[str, str | None] = {}
    for repository, tags in registry.items():
        _store(database, repository, tags)
        for tag in tags:
            if tag.is_protected:
                rule = f"{repository} {tag.name}"[:128]
                tag_rules.add(database, NewRule(rule, 0, "protected", repository, tag.name, "maintainer"))
        for name, reason in kept(rules, new_for, tags, LEEWAY).items():
            expected[f"{repository}:{name}"] = reason
    put_policy(database, rules=rules, new_for=new_for)
    assert _planned(database, "tidy") == expected
    collect()
    fall_due(database)
    collect()
    fall_due(database)
    collect()
    left = {f"{repository}:{name}" for repository in registry for name in tag_names(database, repository)}
    assert left == {name for name, reason in expected.items() if reason is not None}
