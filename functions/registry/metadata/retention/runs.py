"""Runs: plans that somebody asked for, and what a policy found due. Each has a verdict for every tag that it is about.

A scheduled run is open for an hour, so that what is due by then goes together; then the brake decides whether it is
applied or held.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from functions.registry.metadata.db import Call, Database, Session, Statement, compose

Kind = Literal["plan", "scheduled"]
State = Literal[
    "making", "ready", "open", "preview", "held", "applying", "done", "undoing", "undone", "dropped", "expired",
    "failed",
]  # fmt: skip
STATES: Final[tuple[State, ...]] = get_args(State)

# How long a plan, or a run that waits for somebody, is good for; and how long what was done is told, and undone.
GOOD_FOR_DAYS: Final = 7
TOLD_FOR_DAYS: Final = 90
# Fewer tags of a repository than this never brake a run: one of three is a third.
LEAST_BRAKED: Final = 10


@dataclass(frozen=True, slots=True)
class Run:
    """`document` is the policy as it was then. `bytes` is what the tags to be removed would free at most, known of a
    plan once it is made; `counts` says how many tags there are by reason.
    """

    id: int
    kind: Kind
    state: State
    reason: str | None
    policy_id: int | None
    policy: str
    namespace: str
    revision: int
    document: dict[str, Any]
    repositories: str | None
    made_at: datetime
    made_by: str
    applied_at: datetime | None
    applied_by: str | None
    expires_at: datetime
    waiting: int
    removed: int
    left_alone: int
    bytes: int | None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Unfinished:
    id: int
    policy: str


@dataclass(frozen=True, slots=True)
class Closed:
    id: int
    policy: str
    state: State
    reason: str | None
    waiting: int


_COLUMNS: Final = """id, kind, state, reason, policy_id, policy, namespace, revision, document, repositories, made_at,
           made_by, applied_at, applied_by, expires_at, waiting, removed, left_alone, bytes, counts"""

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

_MAKE_PLAN: Final = Statement(
    "retention_runs_make_plan",
    int,
    """
    INSERT INTO retention_runs (kind, state, policy_id, policy, namespace, revision, document, repositories, made_by,
                                expires_at)
    VALUES ('plan', 'making', :policy_id, :policy, :namespace, :revision, CAST(:document AS jsonb), :repositories,
            :author, now() + make_interval(days => :days))
    RETURNING id
    """,
)

_GET: Final = Statement(
    "retention_runs_get", Run, compose("SELECT $columns FROM retention_runs WHERE id = :id", columns=_COLUMNS)
)

_LIST: Final = Statement(
    "retention_runs_list",
    Run,
    compose(
        """
    SELECT $columns FROM retention_runs
     WHERE id < :before AND (CAST(:policy AS text) IS NULL OR policy = :policy)
     ORDER BY id DESC
     LIMIT :size
    """,
        columns=_COLUMNS,
    ),
)

_LIST_OF_NAMESPACE: Final = Statement(
    "retention_runs_list_of_namespace",
    Run,
    compose(
        """
    SELECT $columns FROM retention_runs
     WHERE namespace = :namespace AND document ->> 'repositories' <> :namespace AND id < :before
       AND (CAST(:policy AS text) IS NULL OR policy = :policy)
     ORDER BY id DESC
     LIMIT :size
    """,
        columns=_COLUMNS,
    ),
)

# By the very policy that the run is of, which is asked for again, for it may have been changed since.
_APPLY: Final = Statement(
    "retention_runs_apply",
    int,
    """
    UPDATE retention_runs AS run
       SET state = 'applying', reason = NULL, applied_at = now(), applied_by = :author
      FROM retention_policies AS policy
     WHERE run.id = :id AND run.state IN ('ready', 'held') AND run.expires_at > now()
       AND policy.id = run.policy_id AND policy.revision = run.revision
    RETURNING run.waiting
    """,
)

# Somebody has looked at what the policy takes: its runs need not wait any more.
_CONFIRM: Final = Statement(
    "retention_runs_confirm",
    int,
    """
    UPDATE retention_policies AS policy SET held_because = NULL
      FROM retention_runs AS run
     WHERE run.id = :id AND run.kind = 'scheduled' AND policy.id = run.policy_id AND policy.revision = run.revision
    """,
)

_SET_STATE: Final = Statement(
    "retention_runs_set_state",
    int,
    """
    UPDATE retention_runs SET state = :state, reason = :reason, gone_through = 0
     WHERE id = :id AND state = ANY (CAST(:states AS text[]))
    """,
)

_LOCK: Final = Statement(
    "retention_runs_lock",
    Run,
    compose(
        """
    SELECT $columns FROM retention_runs
     WHERE state = :state AND id >= coalesce(CAST(:id AS bigint), 0)
       AND id <= coalesce(CAST(:id AS bigint), 9223372036854775807)
     ORDER BY id LIMIT 1
       FOR UPDATE SKIP LOCKED
    """,
        columns=_COLUMNS,
    ),
)

_UNFINISHED: Final = Statement(
    "retention_runs_unfinished",
    Unfinished,
    """
    SELECT id, policy FROM retention_runs
     WHERE state = 'applying' AND id >= coalesce(CAST(:id AS bigint), 0)
       AND id <= coalesce(CAST(:id AS bigint), 9223372036854775807)
     ORDER BY id LIMIT 1
    """,
)

_ADD_OUTCOMES: Final = Statement(
    "retention_runs_add_outcomes",
    int,
    """
    UPDATE retention_runs
       SET waiting = greatest(0, waiting - CAST(:removed AS bigint) - CAST(:left_alone AS bigint)),
           removed = removed + :removed, left_alone = left_alone + :left_alone
     WHERE id = :id
    """,
)

_FINISH: Final = Statement(
    "retention_runs_finish",
    int,
    """
    UPDATE retention_runs
       SET state = :state, waiting = 0, expires_at = now() + make_interval(days => :days)
     WHERE id = :id
    """,
)

_TELL: Final = Statement("retention_runs_tell", str, "SELECT tell_of_retention(CAST(:id AS bigint), :action, :outcome)")

_EXPIRE: Final = Statement(
    "retention_runs_expire",
    int,
    """
    WITH chosen AS MATERIALIZED (
        SELECT id FROM retention_runs WHERE expires_at < now() ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ), rows AS (
        DELETE FROM retention_verdicts USING (
            SELECT verdict.run_id, verdict.repository_id, verdict.tag
              FROM chosen JOIN retention_verdicts AS verdict ON verdict.run_id = chosen.id
             LIMIT :limit) AS old
         WHERE retention_verdicts.run_id = old.run_id AND retention_verdicts.repository_id = old.repository_id
           AND retention_verdicts.tag = old.tag
        RETURNING 1
    ), gone AS (
        DELETE FROM retention_runs USING chosen
         WHERE retention_runs.id = chosen.id
           AND (SELECT count(*) FROM (SELECT FROM retention_verdicts AS verdict
                                       WHERE verdict.run_id = chosen.id LIMIT :limit) AS left_over) < :limit
    )
    SELECT CAST(count(*) AS bigint) FROM chosen
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


@dataclass(frozen=True, slots=True)
class NewPlan:
    """`policy_id` is None for a policy that isn't saved; `repositories` narrows it down."""

    policy_id: int | None
    policy: str
    namespace: str
    revision: int
    document: dict[str, Any]
    repositories: str | None


def make_plan(db: Database, plan: NewPlan, author: str) -> int:
    call = _MAKE_PLAN(
        policy_id=plan.policy_id,
        policy=plan.policy,
        namespace=plan.namespace,
        revision=plan.revision,
        document=json.dumps(plan.document),
        repositories=plan.repositories,
        author=author,
        days=GOOD_FOR_DAYS,
    )
    return db.all(call)[0]


def get(db: Database, run_id: int) -> Run | None:
    return db.one_or_none(_GET(id=run_id))


def list_page(db: Database, size: int, before: int, namespace: str | None, policy: str | None) -> list[Run]:
    """Returns the newest first, one more than `size` if there are more."""
    asked = {"size": size + 1, "before": before, "policy": policy}
    return db.all(_LIST(**asked) if namespace is None else _LIST_OF_NAMESPACE(namespace=namespace, **asked))


def apply(db: Database, run_id: int, author: str) -> bool:
    """Lets a plan, or a run that is held, be applied; false if it is neither, too old, or of another policy."""
    return bool(db.batch([_CONFIRM(id=run_id), _APPLY(id=run_id, author=author)])[-1].count)


def set_state(db: Database, run_id: int, state: State, states: tuple[State, ...], reason: str | None = None) -> bool:
    """Returns false if the run is in none of the `states`."""
    return db.count(_SET_STATE(id=run_id, state=state, states=list(states), reason=reason)) > 0


def lock(session: Session, state: State, run_id: int | None = None) -> Run | None:
    """Returns the eldest run in that state that nobody else works at, or this one."""
    return session.one_or_none(_LOCK(state=state, id=run_id))


def unfinished(db: Database, run_id: int | None) -> Unfinished | None:
    """Returns the eldest run that is being applied, or this one if it is."""
    return db.one_or_none(_UNFINISHED(id=run_id))


def adding_outcomes(run_id: int, *, removed: int, left_alone: int) -> Call[int]:
    return _ADD_OUTCOMES(id=run_id, removed=removed, left_alone=left_alone)


def finishing(run_id: int, state: State, action: str, outcome: str) -> list[Call[Any]]:
    """Returns what ends a run, and tells the trail how many tags of each repository came to that outcome."""
    return [
        _TELL(id=run_id, action=action, outcome=outcome),
        _FINISH(id=run_id, state=state, days=TOLD_FOR_DAYS),
    ]


def expire(db: Database, limit: int) -> int:
    """Forgets a part of a run that is told no longer. Returns 0 if there is none."""
    return db.one_or_none(_EXPIRE(limit=limit)) or 0
