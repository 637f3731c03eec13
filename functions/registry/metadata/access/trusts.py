"""Trusts: identities that another issuer vouches for, each of which acts as one of our principals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.access.credentials import used_hash
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Database, Statement


class TooManyTrusts(Exception):
    """Of the namespace's robots. The message says how many there may be."""


@dataclass(frozen=True, slots=True)
class Trust:
    """A token of `issuer` that makes all of `claims` is the principal's."""

    id: int
    issuer: str
    claims: Mapping[str, str]
    principal: Principal


@dataclass(frozen=True, slots=True)
class Sought:
    """Trusts of an issuer that name one of the tenants, for an identity with these claims; `globs` may be patterns.

    With a robot's name: its own only. `asked` are the repositories in which a role counts, `token_id` is what may have
    been used.
    """

    issuer: str
    tenants: Sequence[Mapping[str, str]]
    claims: Mapping[str, str]
    globs: Sequence[str] = ()
    robot: str | None = None
    asked: Sequence[str] = ()
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trust that an identity may be good for: `has_role` says whether its robot has one in what is asked for, and
    `was_exchanged` whether the identity was used, once for all.
    """

    id: int
    claims: Mapping[str, str]
    principal: Principal
    has_role: bool
    was_exchanged: bool = False


_ADD: Final = Statement(
    "trusts_add",
    int,
    """
    INSERT INTO trusts (principal_id, issuer, claims)
    SELECT :principal_id, :issuer, CAST(:claims AS jsonb)
     WHERE CAST(:most AS bigint) IS NULL
        OR trusts_in((SELECT namespace FROM principals WHERE id = :principal_id)) < CAST(:most AS bigint)
    RETURNING id
    """,
)

_REMOVE: Final = Statement("trusts_remove", int, "DELETE FROM trusts WHERE id = :id AND principal_id = :principal_id")

_LIST: Final = Statement(
    "trusts_list",
    Trust,
    """
    SELECT trusts.id, issuer, claims, principals.id, kind, name, namespace, is_admin, is_disabled
      FROM trusts JOIN principals ON principals.id = trusts.principal_id
     WHERE trusts.principal_id = :principal_id
     ORDER BY trusts.id
    """,
)

# Found by the tenant that a trust names, so that those of others are not looked at; what may be a pattern is compared
# later. Those that may be meant come first: nobody pushes them out by adding others.
_MATCHING: Final = Statement(
    "trusts_matching",
    Candidate,
    """
    SELECT trusts.id, trusts.claims, principals.id, kind, name, principals.namespace, is_admin, is_disabled,
           EXISTS (SELECT FROM unnest(CAST(:asked AS text[])) AS asked (name)
                     JOIN grants ON grants.principal_id = principals.id
                                AND grants.namespace IN ('', split_part(asked.name, '/', 1))
                                AND asked.name >= grants.pattern_prefix AND asked.name < grants.pattern_prefix || '~'
                                AND asked.name LIKE grants.pattern_like
                                AND glob_fits(asked.name, grants.pattern, grants.pattern_form, grants.pattern_regex)
                  ) AS has_role,
           EXISTS (SELECT FROM used_tokens WHERE hash = :used)
      FROM trusts JOIN principals ON principals.id = trusts.principal_id
     WHERE trusts.claims @> ANY (CAST(:tenants AS jsonb[])) AND trusts.issuer = :issuer AND NOT is_disabled
       AND (CAST(:robot AS text) IS NULL OR principals.name = :robot)
     ORDER BY trusts.claims - CAST(:globs AS text[]) <@ CAST(:claims AS jsonb) DESC, has_role DESC, trusts.id
     LIMIT :limit
    """,
)

_MOST: Final = 100


def add(db: Database, principal_id: int, issuer: str, claims: Mapping[str, str], most: int | None = None) -> int:
    """Its id. Raises Conflict if the principal is gone, or no claim is named.

    Raises TooManyTrusts if the robots of its namespace have as many as `most`; None for no bound.
    """
    added = db.all(_ADD(principal_id=principal_id, issuer=issuer, claims=json.dumps(dict(claims)), most=most))
    if not added:
        raise TooManyTrusts(f"the robots of a namespace have at most {most} trusts: remove some")
    return added[0]


def remove(db: Database, principal_id: int, trust_id: int) -> bool:
    """What was signed in by it is forgotten too. False if the principal has no such trust."""
    return db.count(_REMOVE(id=trust_id, principal_id=principal_id)) > 0


def list_of(db: Database, principal_id: int) -> list[Trust]:
    """The principal's own, the oldest first."""
    return db.all(_LIST(principal_id=principal_id))


def matching(db: Database, sought: Sought) -> list[Candidate]:
    """First those of whose claims all but the globs are among the identity's. Disabled principals' are left out."""
    call = _MATCHING(
        issuer=sought.issuer,
        tenants=[json.dumps(tenant) for tenant in sought.tenants],
        claims=json.dumps(dict(sought.claims)),
        globs=list(sought.globs),
        robot=sought.robot,
        asked=list(sought.asked),
        limit=_MOST,
        used=used_hash(sought.issuer, sought.token_id) if sought.token_id else None,
    )
    return db.all(call)
