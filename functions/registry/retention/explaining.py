"""The verdict on one tag, as it is now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.retention import facts, policies
from functions.registry.metadata.retention.policies import StoredPolicy
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.retention import judging
from functions.registry.retention.judging import Known
from functions.registry.retention.verdicts import Judge, Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """`policy` is None where none decides, `verdict` where that, or another registry, leaves nothing to judge."""

    known: Known
    policy: StoredPolicy | None
    is_followed: bool
    verdict: Verdict | None


def explain(db: Database, repository: RepositoryName, tag: Tag, leeway: int) -> Explanation | None:
    """Returns None if there is no such tag."""
    return db.transaction(partial(_explain, repository=repository, tag=tag, leeway=leeway))


def _explain(session: Session, repository: RepositoryName, tag: Tag, leeway: int) -> Explanation | None:
    repository_id = facts.id_of(session, repository)
    found = [] if repository_id is None else facts.of_tags(session, [repository_id], [tag])
    if not found or repository_id is None:
        return None
    known = judging.read(found[0][1])
    situation = facts.situations(session, [repository_id])[repository_id]
    policy = policies.deciding(session, [situation]).get(situation.policy_id or 0)
    if policy is None or situation.is_followed:
        return Explanation(known, policy, situation.is_followed, None)
    judge = Judge(judging.compiled(policy), situation.now, leeway)
    judging.note_newest(session, {repository_id: judge}, [(repository_id, known.facts)])
    return Explanation(known, policy, is_followed=False, verdict=judge.verdict(known.facts))
