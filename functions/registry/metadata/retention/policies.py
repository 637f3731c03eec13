"""Retention policies as they are kept. What their rules mean is worked out in functions/registry/retention."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Conflict, Database, Session, Statement, compose
from functions.registry.metadata.retention.facts import Situation

# Why the next run of a policy waits for somebody.
UNSEEN: Final = "it is the first run since the policy was made or changed"


class PolicyChanged(Exception):
    """Somebody else has changed the policy since; `revision` is what it is now, None if it is gone."""

    def __init__(self, revision: int | None) -> None:
        super().__init__(revision)
        self.revision = revision


class TooManyPolicies(Exception):
    """The namespace has its fill; the message says how many there may be."""


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """`rules` as they are written; `new_for` in seconds; the brake holds a run that would take more than
    `brake_share` per cent of a repository, or more than `brake_tags` tags.
    """

    name: str
    position: int
    repositories: str
    mode: str
    rules: list[dict[str, Any]]
    new_for: int
    brake_share: int
    brake_tags: int


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """`held_because` is why the next run waits for somebody to look at it; None if it does not."""

    id: int
    name: str
    position: int
    repositories: str
    namespace: str
    mode: str
    rules: list[dict[str, Any]]
    new_for: int
    brake_share: int
    brake_tags: int
    held_because: str | None
    revision: int
    changed_at: datetime
    changed_by: str


_COLUMNS: Final = """id, name, position, repositories, namespace, mode, rules,
           CAST(extract(epoch FROM new_for) AS bigint), brake_share, brake_tags, held_because, revision, changed_at,
           changed_by"""

_GET: Final = Statement(
    "retention_policies_get",
    StoredPolicy,
    compose("SELECT $columns FROM retention_policies WHERE name = :name", columns=_COLUMNS),
)

_DECIDING: Final = Statement(
    "retention_policies_deciding",
    StoredPolicy,
    compose("SELECT $columns FROM retention_policies WHERE id = ANY (CAST(:ids AS bigint[]))", columns=_COLUMNS),
)

_LIST: Final = Statement(
    "retention_policies_list",
    StoredPolicy,
    compose(
        """
    SELECT $columns FROM retention_policies
     WHERE namespace >= :lowest AND namespace <= :highest
     ORDER BY namespace, position, id
    """,
        columns=_COLUMNS,
    ),
)

_ADD: Final = Statement(
    "retention_policies_add",
    int,
    """
    INSERT INTO retention_policies (name, position, repositories, mode, rules, new_for, brake_share, brake_tags,
                                    held_because, changed_by)
    SELECT :name, :position, :repositories, :mode, CAST(:rules AS jsonb), make_interval(secs => :new_for),
           :brake_share, :brake_tags, :held_because, :author
     WHERE retention_policies_in(pattern_namespace(:repositories)) < CAST(:most AS bigint)
    RETURNING id
    """,
)

_LOCK: Final = Statement(
    "retention_policies_lock",
    StoredPolicy,
    compose("SELECT $columns FROM retention_policies WHERE name = :name FOR UPDATE", columns=_COLUMNS),
)

_CHANGE: Final = Statement(
    "retention_policies_change",
    int,
    """
    UPDATE retention_policies
       SET position = :position, repositories = :repositories, mode = :mode, rules = CAST(:rules AS jsonb),
           new_for = make_interval(secs => :new_for), brake_share = :brake_share, brake_tags = :brake_tags,
           held_because = :held_because, revision = revision + 1, changed_at = now(), changed_by = :author
     WHERE id = :id
    """,
)

_REMOVE: Final = Statement("retention_policies_remove", int, "DELETE FROM retention_policies WHERE id = :id")

# What it found so far is told no more, and nothing of it is removed: it was by another policy.
_END_RUNS: Final = Statement(
    "retention_policies_end_runs",
    int,
    """
    UPDATE retention_runs SET state = 'expired', reason = 'the policy was changed'
     WHERE policy_id = :id AND kind = 'scheduled' AND state IN ('open', 'preview', 'held')
    """,
)

# Names that begin as the namespace does come along: to look at a few too many is no harm.
_ASK_FILL: Final = Statement(
    "retention_fills_ask",
    int,
    """
    INSERT INTO retention_fills (lowest, highest)
    SELECT CAST(:namespace AS text), CAST(:namespace AS text) || '~'
    ON CONFLICT (lowest, highest)
    DO UPDATE SET phase = 'asked', after_transaction = NULL, repository = '', tag = '', queued = 0
    """,
)


def get(db: Database, name: str) -> StoredPolicy | None:
    return db.one_or_none(reading(name))


def reading(name: str) -> Call[StoredPolicy]:
    """Returns what `get` asks, for a batch."""
    return _GET(name=name)


def list_all(db: Database, namespace: str | None = None) -> list[StoredPolicy]:
    """Returns policies in the order in which they are asked, namespace by namespace; None for all of them."""
    return db.all(listing(namespace))


def listing(namespace: str | None = None) -> Call[StoredPolicy]:
    """Returns what `list_all` asks, for a batch."""
    bounds = ("", "~") if namespace is None else (namespace, namespace)
    return _LIST(lowest=bounds[0], highest=bounds[1])


def deciding(session: Session, situations: Iterable[Situation]) -> dict[int, StoredPolicy]:
    """Returns, by their ids, the policies that decide about some of these repositories."""
    ids = sorted({each.policy_id for each in situations if each.policy_id is not None})
    return {policy.id: policy for policy in session.all(_DECIDING(ids=ids))}


def put(db: Database, policy: NewPolicy, author: str, most: int, revision: int | None, *, is_seen: bool) -> bool:
    """Makes the policy, or puts it in place of the one of its name. Returns whether it is new.

    It decides from now on; its first run is held unless `is_seen`. With a `revision` it replaces that one alone: 0 is
    none. Raises PolicyChanged, TooManyPolicies and PatternInvalid.
    """
    repository_regex(policy.repositories)
    values = {
        "position": policy.position,
        "repositories": policy.repositories,
        "mode": policy.mode,
        "rules": json.dumps(policy.rules),
        "new_for": policy.new_for,
        "brake_share": policy.brake_share,
        "brake_tags": policy.brake_tags,
        "held_because": None if is_seen else UNSEEN,
        "author": author,
    }

    def work(session: Session) -> bool:
        known = session.one_or_none(_LOCK(name=policy.name))
        if revision is not None and revision != (known.revision if known else 0):
            raise PolicyChanged(known.revision if known else None)
        if known is None:
            if not session.all(_ADD(name=policy.name, most=most, **values)):
                raise TooManyPolicies(f"a namespace has at most {most} retention policies: join some in one")
        else:
            session.batch([_CHANGE(id=known.id, **values), _END_RUNS(id=known.id)])
            session.count(_ASK_FILL(namespace=known.namespace))
        session.count(_ASK_FILL(namespace=namespace_of(policy.repositories)))
        return known is None

    try:
        return db.transaction(work)
    except Conflict as conflict:
        if conflict.constraint != "retention_policies_name":
            raise
        # Somebody made one of this name at the same moment.
        raise PolicyChanged(1) from conflict


def remove(db: Database, name: str, revision: int | None) -> StoredPolicy | None:
    """Returns what it was; None if there is none. Raises PolicyChanged."""

    def work(session: Session) -> StoredPolicy | None:
        known = session.one_or_none(_LOCK(name=name))
        if known is None:
            return None
        if revision not in {None, known.revision}:
            raise PolicyChanged(known.revision)
        session.batch([_REMOVE(id=known.id), _END_RUNS(id=known.id), _ASK_FILL(namespace=known.namespace)])
        return known

    return db.transaction(work)


def namespace_of(repositories: str) -> str:
    """Returns the namespace whose administrators a pattern belongs to; empty for the registry's."""
    first = repositories.partition("/")[0]
    return "" if "*" in first else first
