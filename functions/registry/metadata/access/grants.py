"""Grants: the role that a principal, or anyone, has in the repositories that a pattern matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose

NOBODY: Final = 0


class GrantRefused(ValueError):
    """The message says why."""


class TooManyGrants(Exception):
    """The namespace has its fill, which all who look at it pay for. The message says how many there may be."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """They say how many grants a namespace may have, how many of these for one principal, or for anyone, and how many
    characters their patterns may have from a star on that isn't the end; None for no bound.
    """

    all: int | None
    each: int | None
    starred: int | None


UNBOUNDED: Final = Bounds(None, None, None)


@dataclass(frozen=True, slots=True)
class Grant:
    """`principal` is None for anyone's."""

    id: int
    principal: str | None
    pattern: str
    role: str


@dataclass(frozen=True, slots=True)
class Standing:
    """It is what a principal may administer: everything, or what the patterns of its grants as an admin cover."""

    is_admin: bool
    patterns: list[str]


# One row for all: the best role in each repository that there is a grant for.
_ROLES: Final = Statement(
    "grants_roles",
    dict,
    """
    SELECT coalesce(json_object_agg(held.name, held.rank), '{}')
      FROM (SELECT asked.name, max(role_rank(grants.role)) AS rank
              FROM unnest(CAST(:names AS text[])) AS asked (name)
              JOIN grants ON (grants.principal_id = :principal_id OR grants.principal_id IS NULL)
                         AND grants.namespace IN ('', split_part(asked.name, '/', 1))
                         AND asked.name >= grants.pattern_prefix AND asked.name < grants.pattern_prefix || '~'
                         AND asked.name LIKE grants.pattern_like
                         AND glob_fits(asked.name, grants.pattern, grants.pattern_form, grants.pattern_regex)
             GROUP BY asked.name) AS held
    """,
    is_hot=True,
)

# Whatever covers a namespace ends with a star.
_STANDING: Final = Statement(
    "grants_standing",
    Standing,
    """
    SELECT is_admin, ARRAY(SELECT pattern FROM grants
                            WHERE principal_id = principals.id AND role = 'admin' AND right(pattern, 1) = '*')
      FROM principals WHERE id = :principal_id AND NOT is_disabled
    """,
    is_hot=True,
)

# A pattern has one role for one principal: the latest.
_ADD: Final = Statement(
    "grants_add",
    int,
    """
    INSERT INTO grants (principal_id, pattern, pattern_regex, role)
    SELECT :principal_id, :pattern, :regex, :role
     WHERE CAST(:most AS bigint) IS NULL
        OR has_place_for_grant(pattern_namespace(:pattern), CAST(:principal_id AS bigint), :pattern,
                               CAST(:most AS bigint), CAST(:most_each AS bigint), CAST(:most_starred AS bigint))
        OR EXISTS (SELECT FROM grants WHERE principal_id IS NOT DISTINCT FROM CAST(:principal_id AS bigint)
                                        AND namespace = pattern_namespace(:pattern) AND pattern = :pattern)
    ON CONFLICT ON CONSTRAINT grants_pattern DO UPDATE SET role = excluded.role
    RETURNING id
    """,
)

_GET: Final = Statement(
    "grants_get",
    Grant,
    """
    SELECT grants.id, principals.name, grants.pattern, grants.role
      FROM grants LEFT JOIN principals ON principals.id = grants.principal_id
     WHERE grants.id = :id
    """,
)

_REMOVE: Final = Statement("grants_remove", int, "DELETE FROM grants WHERE id = :id")


def _listing(name: str, condition: str) -> Statement[Grant]:
    return Statement(
        name,
        Grant,
        compose(
            """
    SELECT grants.id, principals.name, grants.pattern, grants.role
      FROM grants LEFT JOIN principals ON principals.id = grants.principal_id
     WHERE $condition AND (grants.pattern, grants.id) > (:last_pattern, CAST(:last_id AS bigint))
     ORDER BY grants.pattern, grants.id
     LIMIT :size
    """,
            condition=condition,
        ),
    )


_LIST: Final = _listing("grants_list", "true")
# The patterns that begin with a namespace and a slash.
_LIST_OF_NAMESPACE: Final = _listing(
    "grants_list_of_namespace",
    """grants.pattern >= :namespace || '/' AND grants.pattern < :namespace || '0'
       AND (CAST(:principal_id AS bigint) IS NULL OR grants.principal_id = :principal_id)""",
)
_LIST_OF_PRINCIPAL: Final = _listing("grants_list_of_principal", "grants.principal_id = :principal_id")


def roles(db: Database, principal_id: int | None, names: Sequence[str]) -> dict[str, int]:
    """Returns the rank of the best role in each of the repositories, but for those without one. None is anonymous."""
    return db.one_or_none(holding(principal_id, names)) or {}


def holding(principal_id: int | None, names: Sequence[str]) -> Call[dict[str, int]]:
    """Returns what `roles` asks, for a batch."""
    return _ROLES(principal_id=principal_id or NOBODY, names=list(names))


def standing(db: Database, principal_id: int) -> Standing | None:
    """Returns what the principal may administer; None if it is disabled or gone."""
    return db.one_or_none(_STANDING(principal_id=principal_id))


def add(db: Database, principal_id: int | None, pattern: str, role: str, bounds: Bounds = UNBOUNDED) -> int:
    """Returns its id. It takes the place of the role that the principal, or anyone, had by the same pattern.

    Raises PatternInvalid; TooManyGrants if the namespace has as many as `bounds` says; and GrantRefused if the role is
    none, the principal is gone, or anyone would write.
    """
    grant = {"principal_id": principal_id, "pattern": pattern, "role": role}
    try:
        call = _ADD(
            **grant,
            regex=repository_regex(pattern),
            most=bounds.all,
            most_each=bounds.each,
            most_starred=bounds.starred,
        )
        added = db.all(call)
    except Conflict as conflict:
        reasons = {
            "grants_anyone": "anyone may be reader, and no more",
            "grants_role_check": f"there is no role {role}",
            "grants_principal_id_fkey": "there is no such principal",
        }
        raise GrantRefused(reasons.get(conflict.constraint, conflict.constraint)) from conflict
    if not added:
        raise TooManyGrants(
            f"a namespace has at most {bounds.all} grants, {bounds.each} of them for one principal or for anyone, and"
            f" in the patterns of these {bounds.starred} characters from a star on that isn't the end: take some away"
        )
    return added[0]


def get(db: Database, grant_id: int) -> Grant | None:
    return db.one_or_none(_GET(id=grant_id))


def remove(db: Database, grant_id: int) -> bool:
    return db.count(_REMOVE(id=grant_id)) > 0


def list_page(
    db: Database, size: int, after: Grant | None = None, principal_id: int | None = None, namespace: str | None = None
) -> list[Grant]:
    """Returns grants by pattern; one more than `size`, if there are more.

    With a principal: its own only. With a namespace: those whose patterns match nothing elsewhere.
    """
    return db.all(listing(size, after, principal_id, namespace))


def listing(
    size: int, after: Grant | None = None, principal_id: int | None = None, namespace: str | None = None
) -> Call[Grant]:
    """Returns what `list_page` asks, for a batch."""
    last = {"last_pattern": after.pattern if after else "", "last_id": after.id if after else 0, "size": size + 1}
    if namespace is not None:
        return _LIST_OF_NAMESPACE(namespace=namespace, principal_id=principal_id, **last)
    if principal_id is None:
        return _LIST(**last)
    return _LIST_OF_PRINCIPAL(principal_id=principal_id, **last)
