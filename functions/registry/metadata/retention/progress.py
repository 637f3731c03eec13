"""How a run is applied: somebody or the brake lets it begin, each part locks it, and it ends; an undo ends so, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Session, Statement, compose
from functions.registry.metadata.retention.runs import COLUMNS, TOLD_FOR_DAYS, Run, State


@dataclass(frozen=True, slots=True)
class Unfinished:
    id: int
    policy: str


# By the very policy that the run is of, which is asked for again, for it may have been changed since.
_BEGIN: Final = Statement(
    "retention_runs_begin",
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

_LOCK: Final = Statement(
    "retention_runs_lock",
    Run,
    compose(
        """
    SELECT $columns FROM retention_runs
     WHERE state = 'applying' AND id >= coalesce(CAST(:id AS bigint), 0)
       AND id <= coalesce(CAST(:id AS bigint), 9223372036854775807)
     ORDER BY id LIMIT 1
       FOR UPDATE SKIP LOCKED
    """,
        columns=COLUMNS,
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


def begin(db: Database, run_id: int, author: str) -> bool:
    """Lets a plan, or a run that is held, be applied; false if it is neither, too old, or of another policy."""
    return bool(db.batch([_CONFIRM(id=run_id), _BEGIN(id=run_id, author=author)])[-1].count)


def lock(session: Session, run_id: int | None) -> Run | None:
    """Returns the eldest run that is being applied and that nobody else works at, or this one."""
    return session.one_or_none(_LOCK(id=run_id))


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
