"""A run is applied: its tags are judged once more, under their locks, and those that are still to go are removed.

Nothing goes that the run did not show; what was pushed or moved since is left alone, and listed with the reason.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.db import ChangeRefused, Database, Followed, Session
from functions.registry.metadata.retention import facts, policies, progress, removing, verdicts
from functions.registry.metadata.retention.facts import Situation
from functions.registry.metadata.retention.policies import StoredPolicy
from functions.registry.metadata.retention.removing import Key
from functions.registry.metadata.retention.runs import Run
from functions.registry.metadata.retention.verdicts import Ending
from functions.registry.retention import judging
from functions.registry.retention.judging import Known
from functions.registry.retention.verdicts import Judge
from functions.registry.told import Told

# Tags that are locked, and removed, in one transaction, of as many repositories; pushes of them wait so long.
MOST_TAGS: Final = 200
# A tag rule, or an import, may come between the verdict and the removal: then it is given once more.
_ATTEMPTS: Final = 3

_Ended = tuple[Ending, str | None]


@dataclass(frozen=True, slots=True)
class Applied:
    """How many tags of a run were looked at in one transaction. `is_done` says that none are left."""

    run: int
    policy: str
    removed: int
    left_alone: int
    is_done: bool


def apply_some(db: Database, leeway: int, run_id: int | None = None) -> Applied | None:
    """Applies a part of a run that is being applied, the eldest or this one; None if there is none, or others do.

    What is deleted tells which policy and which run did it, and who let it if somebody did.
    """
    run = progress.unfinished(db, run_id)
    if run is None:
        return None
    actor = f"policy:{run.policy}"
    with told.telling(replace(told.current() or Told(actor, actor), cause=f"{actor}/{run.id}")):
        for attempt in range(_ATTEMPTS):
            try:
                return db.transaction(partial(_apply, leeway=leeway, run_id=run.id))
            except (ChangeRefused, Followed):
                if attempt + 1 == _ATTEMPTS:
                    raise
    raise AssertionError  # the last attempt returns or raises


def apply_until(db: Database, leeway: int, run_id: int, deadline: float) -> bool:
    """Applies a run until it is done or the deadline has come; returns which."""
    while time.monotonic() < deadline:
        applied = apply_some(db, leeway, run_id)
        if applied is None or applied.is_done:
            return applied is not None
    return False


def _apply(session: Session, leeway: int, run_id: int | None) -> Applied | None:
    run = progress.lock(session, run_id)
    if run is None:
        return None
    waiting: list[list[Any]] = session.one_or_none(verdicts.waiting(run.id, MOST_TAGS)) or []
    if not waiting:
        session.batch(progress.finishing(run.id, "done", "tags.delete", "removed"))
        return Applied(run.id, run.policy, 0, 0, is_done=True)
    shown = {
        (repository_id, tag): (manifest_id, pushed_at) for repository_id, tag, manifest_id, pushed_at, _ in waiting
    }
    session.batch([removing.locking(list(shown))])
    ended = _decide(session, run, leeway, shown)
    going = [key for key, (outcome, _) in ended.items() if outcome == "removed"]
    left_alone = len(ended) - len(going)
    calls: list[Any] = [removing.removing(going)] if going else []
    calls.append(verdicts.ending(run.id, ended))
    calls.append(progress.adding_outcomes(run.id, removed=len(going), left_alone=left_alone))
    session.batch(calls)
    return Applied(run.id, run.policy, len(going), left_alone, is_done=False)


def _decide(session: Session, run: Run, leeway: int, shown: dict[Key, tuple[int, int]]) -> dict[Key, _Ended]:
    """Decides by what holds now, which nobody changes until the end of the transaction."""
    ids = sorted({repository_id for repository_id, _ in shown})
    situations = facts.situations(session, ids)
    entries = facts.of_tags(session, [key[0] for key in shown], [key[1] for key in shown])
    known = {(repository_id, entry[0]): judging.read(entry) for repository_id, entry in entries}
    deciding = policies.deciding(session, situations.values())
    refusals = {each.id: _refusal(run, each, deciding) for each in situations.values()}
    policy = judging.of_document(run.document)
    judges = {each.id: Judge(policy, each.now, leeway) for each in situations.values() if refusals[each.id] is None}
    judging.note_newest(session, judges, ((key[0], each.facts) for key, each in known.items()))
    ended: dict[Key, _Ended] = {}
    for key, was in shown.items():
        if key[0] in judges:
            ended[key] = _outcome(judges[key[0]], known.get(key), *was)
        else:
            ended[key] = ("kept", refusals[key[0]]) if key[0] in refusals else ("gone", "the repository is gone")
    return ended


def _refusal(run: Run, situation: Situation, deciding: dict[int, StoredPolicy]) -> str | None:
    """Says what speaks against removing anything from the repository."""
    if situation.is_followed:
        return "the registry that the repository is imported from decides about it"
    policy = deciding.get(situation.policy_id or 0)
    if policy is None or (policy.id, policy.revision) != (run.policy_id, run.revision):
        return "another policy decides about the repository by now, or this one was changed"
    return None


def _outcome(judge: Judge, known: Known | None, manifest_id: int, pushed_at: int) -> _Ended:
    if known is None:
        return "gone", "somebody else deleted it"
    if (known.facts.manifest_id, known.facts.pushed_at) != (manifest_id, pushed_at):
        return "changed", "it was pushed since"
    verdict = judge.verdict(known.facts)
    return ("removed", None) if verdict.removes else ("kept", verdict.why)
