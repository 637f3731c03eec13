"""Runs: plans that somebody asked for, and what a policy found due. Each has a verdict for every tag it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from functions.registry.metadata.db import Call, Database, Statement, compose

Kind = Literal["plan", "scheduled"]
State = Literal[
    "making", "ready", "open", "preview", "held", "applying", "done", "undoing", "undone", "dropped", "expired",
    "failed",
]  # fmt: skip
STATES: Final[tuple[State, ...]] = get_args(State)

# How long a plan, or a run that waits for somebody, is good for; and how long what was done is told, and undone.
GOOD_FOR_DAYS: Final = 7
TOLD_FOR_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Run:
    """`document` is the policy as it was then. `bytes` is what the removal would free that nothing else in the registry
    needs, known of a plan once it is made; `counts` says how many tags there are by reason.
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
    bytes_in_namespace: int | None
    counts: dict[str, int]


COLUMNS: Final = """id, kind, state, reason, policy_id, policy, namespace, revision, document, repositories, made_at,
           made_by, applied_at, applied_by, expires_at, waiting, removed, left_alone, bytes,
           bytes_in_namespace, counts"""

_GET: Final = Statement(
    "retention_runs_get", Run, compose("SELECT $columns FROM retention_runs WHERE id = :id", columns=COLUMNS)
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
        columns=COLUMNS,
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
        columns=COLUMNS,
    ),
)

_SET_STATE: Final = Statement(
    "retention_runs_set_state",
    int,
    """
    UPDATE retention_runs SET state = :state, reason = :reason, gone_through = 0
     WHERE id = :id AND state = ANY (CAST(:states AS text[]))
    """,
)

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


def get(db: Database, run_id: int) -> Run | None:
    return db.one_or_none(reading(run_id))


def reading(run_id: int) -> Call[Run]:
    """Returns what `get` asks, for a batch."""
    return _GET(id=run_id)


def list_page(db: Database, size: int, before: int, namespace: str | None, policy: str | None) -> list[Run]:
    """Returns the newest first, one more than `size` if there are more."""
    return db.all(listing(size, before, namespace, policy))


def listing(size: int, before: int, namespace: str | None, policy: str | None) -> Call[Run]:
    """Returns what `list_page` asks, for a batch."""
    asked = {"size": size + 1, "before": before, "policy": policy}
    return _LIST(**asked) if namespace is None else _LIST_OF_NAMESPACE(namespace=namespace, **asked)


def set_state(db: Database, run_id: int, state: State, states: tuple[State, ...], reason: str | None = None) -> bool:
    """Returns false if the run is in none of the `states`."""
    return db.count(_SET_STATE(id=run_id, state=state, states=list(states), reason=reason)) > 0


def expire(db: Database, limit: int) -> int:
    """Forgets a part of a run that is told no longer. Returns 0 if there is none."""
    return db.one_or_none(_EXPIRE(limit=limit)) or 0
