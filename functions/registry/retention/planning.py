"""A plan: the verdict on every tag that a policy decides about, and a sentence that says why. Nothing is changed."""

from __future__ import annotations

import time
from functools import partial
from typing import Final, NamedTuple

from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.retention import facts, freed, plans, runs, verdicts
from functions.registry.metadata.retention.facts import START, Place
from functions.registry.metadata.retention.runs import Run
from functions.registry.retention import judging
from functions.registry.retention.verdicts import Judge

# Verdicts that are written in one transaction, and so the most that is held in memory.
_PAGE: Final = 1000


class _Progress(NamedTuple):
    """Where a repository's tags have been judged up to; without a judge none of them will be."""

    judge: Judge | None
    place: Place
    tags: int


def make(db: Database, leeway: int, deadline: float, run_id: int | None = None) -> int:
    """Works at a plan that is being made, until the deadline; returns how many verdicts that gave, and one more.

    0 if there is no such plan, or somebody else works at it.
    """
    making = db.one_or_none(plans.take(run_id))
    run = None if making is None else runs.get(db, making.id)
    if making is None or run is None:
        return 0
    given, last = 1, making.repository
    while time.monotonic() < deadline:
        following = db.transaction(partial(_next, run=run, last=last))
        if following is None:
            db.batch([plans.finishing(run.id)])
            return given
        tags = _judge_repository(db, run, following.id, leeway, deadline)
        if tags is None:
            break
        given, last = given + tags, following.name
        frees = db.transaction(partial(freed.look, run=run.id, repository_id=following.id))
        db.batch([plans.moving_on(run.id, last, frees)])
    # Whoever is next need not wait, and begins with the repository that was not finished.
    db.batch([plans.leaving(run.id)])
    return given


def _next(session: Session, run: Run, last: str) -> plans.Next | None:
    return plans.next_repository(session, run, last)


def _judge_repository(db: Database, run: Run, repository_id: int, leeway: int, deadline: float) -> int | None:
    """Returns how many tags it has; None if the time was over first."""
    db.batch([verdicts.forgetting(run.id, repository_id)])
    progress, tags = _Progress(None, START, _PAGE), 0
    while time.monotonic() < deadline:
        progress = db.transaction(
            partial(_judge_page, run=run, repository_id=repository_id, leeway=leeway, so_far=progress)
        )
        tags += progress.tags
        if progress.tags < _PAGE:
            return tags
    return None


def _judge_page(session: Session, run: Run, repository_id: int, leeway: int, so_far: _Progress) -> _Progress:
    """The newest tags come first, so each is judged when all that are newer are known."""
    judge, place = so_far.judge or _judge(session, run, repository_id, leeway), so_far.place
    if judge is None:
        return _Progress(None, place, 0)
    rows = []
    for known in map(judging.read, facts.page(session, repository_id, place, _PAGE)):
        judge.note(known.facts.name, known.facts.manifest_id)
        rows.append(judging.as_row(repository_id, known, judge.verdict(known.facts)))
        place = Place(known.facts.pushed_at, known.facts.name)
    if rows:
        session.batch([verdicts.adding(run.id, rows), plans.renewing(run.id)])
    return _Progress(judge, place, len(rows))


def _judge(session: Session, run: Run, repository_id: int, leeway: int) -> Judge | None:
    """Returns None for a repository that another registry decides about, or that is gone."""
    situation = facts.situations(session, [repository_id]).get(repository_id)
    if situation is None or situation.is_followed:
        return None
    return Judge(judging.of_document(run.document), situation.now, leeway)
