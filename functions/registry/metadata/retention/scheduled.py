"""The scheduled run of a policy, to which it adds what it finds due.

It is open for an hour, so that what is due by then goes together; then the brake decides whether it is applied or held.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.retention.runs import GOOD_FOR_DAYS, State

# Fewer tags of a repository than this never brake a run: one of three is a third.
LEAST_BRAKED: Final = 10


@dataclass(frozen=True, slots=True)
class Closed:
    id: int
    policy: str
    state: State
    reason: str | None
    waiting: int


_CURRENT: Final = Statement(
    "retention_runs_current",
    int,
    """
    INSERT INTO retention_runs AS run (kind, state, policy_id, policy, namespace, revision, document, made_by,
                                       expires_at)
    SELECT 'scheduled', CASE mode WHEN 'preview' THEN 'preview' ELSE 'open' END, id, name, namespace, revision,
           CAST(:document AS jsonb), 'policy:' || name, now() + make_interval(days => :days)
      FROM retention_policies WHERE id = :policy AND revision = :revision
    ON CONFLICT (policy_id) WHERE kind = 'scheduled' AND state IN ('open', 'preview', 'held')
    DO UPDATE SET document = run.document
    RETURNING id
    """,
)

_COUNT_WAITING: Final = Statement(
    "retention_runs_count_waiting",
    int,
    """
    UPDATE retention_runs
       SET waiting = (SELECT count(*) FROM retention_verdicts WHERE run_id = :id AND outcome = 'waiting')
     WHERE id = :id
    """,
)

# The brake looks at what the policy took in a day, not at this run alone: it would not hold many small ones.
_CLOSE: Final = Statement(
    "retention_runs_close",
    Closed,
    """
    WITH run AS MATERIALIZED (
        SELECT run.id, run.policy_id, run.revision, run.waiting
          FROM retention_runs AS run
         WHERE run.state = 'open' AND run.waiting > 0
           AND (run.made_at < now() - interval '1 hour'
                OR EXISTS (SELECT FROM retention_policies WHERE id = run.policy_id AND held_because IS NOT NULL))
         ORDER BY run.id
         LIMIT 1
           FOR UPDATE SKIP LOCKED
    ), taken AS MATERIALIZED (
        SELECT verdict.repository_id, count(*) AS tags, count(*) FILTER (WHERE verdict.outcome = 'removed') AS removed
          FROM run
          JOIN retention_runs AS today
            ON today.id = run.id OR (today.policy_id = run.policy_id AND today.applied_at > now() - interval '1 day'
                                     AND today.kind = 'scheduled')
          JOIN retention_verdicts AS verdict ON verdict.run_id = today.id AND verdict.outcome IN ('waiting', 'removed')
         GROUP BY 1
    ), decided AS (
        SELECT run.id,
               CASE WHEN policy.id IS NULL OR policy.mode <> 'enforce' THEN 'the policy was changed'
                    WHEN policy.held_because IS NOT NULL THEN policy.held_because
                    WHEN (SELECT sum(tags) FROM taken) > policy.brake_tags
                    THEN format('it would take more than %s tags in a day', policy.brake_tags)
                    WHEN EXISTS (SELECT FROM taken JOIN repository_usage AS usage USING (repository_id)
                                  WHERE taken.tags >= :least
                                    AND taken.tags * 100 > policy.brake_share * (usage.tags + taken.removed))
                    THEN format('it would take more than %s %% of a repository in a day', policy.brake_share)
               END AS reason,
               policy.id IS NULL OR policy.mode <> 'enforce' AS is_over
          FROM run
          LEFT JOIN retention_policies AS policy ON policy.id = run.policy_id AND policy.revision = run.revision
    )
    UPDATE retention_runs AS closed
       SET state = CASE WHEN decided.is_over THEN 'expired' WHEN decided.reason IS NULL THEN 'applying' ELSE 'held' END,
           reason = decided.reason,
           applied_at = CASE WHEN decided.reason IS NULL THEN now() END,
           applied_by = CASE WHEN decided.reason IS NULL THEN closed.made_by END
      FROM decided
     WHERE closed.id = decided.id
    RETURNING closed.id, closed.policy, closed.state, closed.reason, closed.waiting
    """,
)


def current(policy_id: int, revision: int, document: dict[str, Any]) -> Call[int]:
    """Gives the run to which the policy adds what it finds, made if there is none; no row if the policy was changed."""
    return _CURRENT(policy=policy_id, revision=revision, document=json.dumps(document), days=GOOD_FOR_DAYS)


def counting_waiting(run_id: int) -> Call[int]:
    return _COUNT_WAITING(id=run_id)


def close(db: Database) -> Closed | None:
    """Closes an open run whose time is over; None if there is none."""
    return db.one_or_none(_CLOSE(least=LEAST_BRAKED))
