"""The making of a plan: the repositories in order, and how far it has come."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Database, Session, Statement
from functions.registry.metadata.retention.freed import Freed
from functions.registry.metadata.retention.runs import GOOD_FOR_DAYS, Run

_LEASE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class NewPlan:
    """`policy_id` is None for a policy that isn't saved; `repositories` narrows it down."""

    policy_id: int | None
    policy: str
    namespace: str
    revision: int
    document: dict[str, Any]
    repositories: str | None


@dataclass(frozen=True, slots=True)
class Making:
    """A plan that this process works at: up to `repository` all is written."""

    id: int
    repository: str


@dataclass(frozen=True, slots=True)
class Next:
    id: int
    name: str


_ADD: Final = Statement(
    "retention_plans_add",
    int,
    """
    INSERT INTO retention_runs (kind, state, policy_id, policy, namespace, revision, document, repositories, made_by,
                                expires_at)
    VALUES ('plan', 'making', :policy_id, :policy, :namespace, :revision, CAST(:document AS jsonb), :repositories,
            :author, now() + make_interval(days => :days))
    RETURNING id
    """,
)

# A lease, for verdicts are committed page by page; who finds one whose time is over goes on behind the last repository
# that was finished.
_TAKE: Final = Statement(
    "retention_plans_take",
    Making,
    """
    WITH chosen AS MATERIALIZED (
        SELECT id FROM retention_runs
         WHERE state = 'making' AND (CAST(:id AS bigint) IS NULL OR id = :id) AND lease_until < now()
         ORDER BY id LIMIT 1
           FOR UPDATE SKIP LOCKED
    )
    UPDATE retention_runs AS run SET lease_until = now() + make_interval(secs => :seconds)
      FROM chosen
     WHERE run.id = chosen.id
    RETURNING run.id, run.repository
    """,
)

_RENEW: Final = Statement(
    "retention_plans_renew",
    int,
    """
    UPDATE retention_runs
       SET lease_until = CASE WHEN CAST(:seconds AS int) > 0 THEN now() + make_interval(secs => :seconds)
                              ELSE '-infinity' END,
           repository = coalesce(CAST(:repository AS text), repository),
           bytes = coalesce(bytes, 0) + :bytes, bytes_in_namespace = coalesce(bytes_in_namespace, 0) + :in_namespace
     WHERE id = :id AND state = 'making'
    """,
)

# Those that the policy decides about: no other one stands before it. A policy that isn't saved stands where it says,
# behind those that are.
_NEXT: Final = Statement(
    "retention_plans_next",
    Next,
    """
    SELECT repositories.id, repositories.name
      FROM repositories
     WHERE repositories.name > :last AND repositories.name >= :lowest AND repositories.name <= :highest
       AND repositories.deleted_at IS NULL AND repositories.name LIKE glob_like(:pattern)
       AND glob_fits(repositories.name, :pattern, glob_form(:pattern), NULL)
       AND (CAST(:narrower AS text) IS NULL
            OR (repositories.name LIKE glob_like(:narrower)
                AND glob_fits(repositories.name, :narrower, glob_form(:narrower), NULL)))
       AND NOT EXISTS (
           SELECT FROM retention_policies AS other
            WHERE other.namespace IN ('', split_part(repositories.name, '/', 1)) AND other.name <> :policy
              AND (other.position, other.id)
                  < (CAST(:position AS int), coalesce(CAST(:policy_id AS bigint), 9223372036854775807))
              AND repositories.name LIKE other.repositories_like
              AND glob_fits(repositories.name, other.repositories, other.repositories_form, NULL))
     ORDER BY repositories.name
     LIMIT 1
    """,
)

_FINISH: Final = Statement(
    "retention_plans_finish",
    int,
    """
    UPDATE retention_runs AS run
       SET state = CASE run.state WHEN 'making' THEN 'ready' ELSE run.state END,
           waiting = (SELECT count(*) FROM retention_verdicts WHERE run_id = run.id AND outcome = 'waiting'),
           counts = coalesce((SELECT jsonb_object_agg(reason, tags)
                                FROM (SELECT reason, count(*) AS tags FROM retention_verdicts
                                       WHERE run_id = run.id GROUP BY 1) AS by_reason), '{}'),
           bytes = coalesce(bytes, 0), bytes_in_namespace = coalesce(bytes_in_namespace, 0)
     WHERE run.id = :id
    """,
)


def add(db: Database, plan: NewPlan, author: str) -> int:
    call = _ADD(
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


def take(run_id: int | None) -> Call[Making]:
    """Gives a plan that nobody works at, that one if an id is given."""
    return _TAKE(id=run_id, seconds=_LEASE_SECONDS)


def renewing(run_id: int) -> Call[int]:
    return _RENEW(id=run_id, repository=None, seconds=_LEASE_SECONDS, bytes=0, in_namespace=0)


def moving_on(run_id: int, repository: str, freed: Freed) -> Call[int]:
    """All is written of that repository, and of those before it, and what it frees is added."""
    return _RENEW(
        id=run_id,
        repository=repository,
        seconds=_LEASE_SECONDS,
        bytes=freed.in_registry,
        in_namespace=freed.in_namespace,
    )


def leaving(run_id: int) -> Call[int]:
    """Lets somebody else go on with it at once."""
    return _RENEW(id=run_id, repository=None, seconds=0, bytes=0, in_namespace=0)


def next_repository(session: Session, run: Run, last: str) -> Next | None:
    """Returns the repository behind `last` that the plan's policy decides about; None if there is none."""
    pattern: str = run.document["repositories"]
    for glob in filter(None, (pattern, run.repositories)):
        repository_regex(glob)
    call = _NEXT(
        last=last,
        lowest=run.namespace,
        highest=f"{run.namespace}~",
        pattern=pattern,
        narrower=run.repositories,
        policy=run.policy,
        policy_id=run.policy_id,
        position=run.document["position"],
    )
    return session.one_or_none(call)


def finishing(run_id: int) -> Call[Any]:
    return _FINISH(id=run_id)
