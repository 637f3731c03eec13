"""What is due is judged: what stays is looked at again when that may change, what would go joins its policy's run.

Nothing is removed here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.retention import facts, policies, reviews, scheduled, verdicts
from functions.registry.metadata.retention.facts import Situation
from functions.registry.metadata.retention.policies import StoredPolicy
from functions.registry.metadata.retention.reviews import Key
from functions.registry.metadata.retention.verdicts import NewVerdict
from functions.registry.retention import judging
from functions.registry.retention.judging import Known
from functions.registry.retention.verdicts import SECOND, Judge

# Verdicts on so many tags are given in one transaction: those of one repository share the walk to its newest.
MOST_REVIEWS: Final = 5000
_DAY: Final = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many tags were judged; `found` are those that would go, by policy."""

    judged: int
    found: Counter[str]


def gather(db: Database, leeway: int, limit: int = MOST_REVIEWS, claimed: list[Key] | None = None) -> Gathered:
    """Judges tags that are due, and fills `claimed` with them, which tells whose fault a failure may be."""
    keys = [] if claimed is None else claimed

    def work(session: Session) -> Gathered:
        keys[:] = reviews.claim(session, limit)
        return _judge(session, keys, leeway) if keys else Gathered(0, Counter())

    return db.transaction(work)


def _judge(session: Session, keys: list[Key], leeway: int) -> Gathered:
    ids = sorted({repository_id for repository_id, _ in keys})
    situations = facts.situations(session, ids)
    entries = facts.of_tags(session, [key[0] for key in keys], [key[1] for key in keys])
    known = {(repository_id, entry[0]): judging.read(entry) for repository_id, entry in entries}
    deciding = policies.deciding(session, situations.values())
    judges = _judges(situations, deciding, leeway)
    judging.note_newest(session, judges, ((key[0], each.facts) for key, each in known.items()))
    due: dict[Key, int | None] = dict.fromkeys(keys)
    found: dict[int, list[NewVerdict]] = {}
    for key, each in known.items():
        situation = situations[key[0]]
        policy = None if situation.policy_id is None else deciding.get(situation.policy_id)
        if policy is None:
            continue
        if key[0] not in judges:
            due[key] = situation.now + _DAY
            continue
        due[key] = _decide(key, each, judges[key[0]], situation, found.setdefault(policy.id, []))
    session.batch(reviews.settling(due))
    for policy_id, rows in found.items():
        if rows:
            _add(session, deciding[policy_id], rows)
    return Gathered(
        len(keys), Counter({deciding[policy_id].name: len(rows) for policy_id, rows in found.items() if rows})
    )


def _decide(key: Key, known: Known, judge: Judge, situation: Situation, rows: list[NewVerdict]) -> int | None:
    """Returns when the tag is looked at again."""
    verdict = judge.verdict(known.facts)
    if not verdict.removes:
        return verdict.again_at
    rows.append(judging.as_row(key[0], known, verdict))
    return situation.now + _DAY


def _judges(situations: dict[int, Situation], deciding: dict[int, StoredPolicy], leeway: int) -> dict[int, Judge]:
    """Returns the judges; of a repository that another registry decides about there is none, nor under a policy that
    rests.
    """
    judges = {}
    for each in situations.values():
        policy = None if each.policy_id is None else deciding.get(each.policy_id)
        if policy is not None and policy.mode != "paused" and not each.is_followed:
            judges[each.id] = Judge(judging.compiled(policy), each.now, leeway)
    return judges


def _add(session: Session, policy: StoredPolicy, rows: list[NewVerdict]) -> None:
    """Adds to the policy's run, unless the policy was changed meanwhile: then all is looked at again anyway."""
    for run_id in session.all(scheduled.current(policy.id, policy.revision, judging.written(policy))):
        session.batch([verdicts.adding(run_id, rows), scheduled.counting_waiting(run_id)])
