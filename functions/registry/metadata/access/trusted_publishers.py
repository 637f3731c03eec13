"""Trusted publishers: identities that another issuer vouches for, each of which acts as one of our principals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.access.credentials import used_hash
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Database, Statement


class TooManyTrustedPublishers(Exception):
    """The namespace's robots have their fill. The message says how many there may be."""


@dataclass(frozen=True, slots=True)
class TrustedPublisher:
    """A token of `issuer` that makes all of `claims` is the principal's."""

    id: int
    issuer: str
    claims: Mapping[str, str]
    principal: Principal


@dataclass(frozen=True, slots=True)
class Sought:
    """It says which trusted publishers are looked for: those of an issuer that name one of the tenants.

    `claims` are the identity's; in those named by `globs` a trusted publisher may have patterns.

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
    """An identity may be good for it.

    `has_role` says whether its robot has a role in what is asked for, `was_exchanged` whether the identity was used,
    once for all.
    """

    id: int
    claims: Mapping[str, str]
    principal: Principal
    has_role: bool
    was_exchanged: bool = False


_ADD: Final = Statement(
    "trusted_publishers_add",
    int,
    """
    INSERT INTO trusted_publishers (principal_id, issuer, claims)
    SELECT :principal_id, :issuer, CAST(:claims AS jsonb)
     WHERE CAST(:most AS bigint) IS NULL
        OR trusted_publishers_in((SELECT namespace FROM principals WHERE id = :principal_id)) < CAST(:most AS bigint)
    RETURNING id
    """,
)

_REMOVE: Final = Statement(
    "trusted_publishers_remove", int, "DELETE FROM trusted_publishers WHERE id = :id AND principal_id = :principal_id"
)

_LIST: Final = Statement(
    "trusted_publishers_list",
    TrustedPublisher,
    """
    SELECT trusted_publishers.id, issuer, claims, principals.id, kind, name, namespace, is_admin, is_disabled
      FROM trusted_publishers JOIN principals ON principals.id = trusted_publishers.principal_id
     WHERE trusted_publishers.principal_id = :principal_id
     ORDER BY trusted_publishers.id
    """,
)

# Found by the tenant that a trusted publisher names, so that those of others are not looked at; what may be a pattern
# is compared later. Those that may be meant come first: nobody pushes them out by adding others.
_MATCHING: Final = Statement(
    "trusted_publishers_matching",
    Candidate,
    """
    SELECT publisher.id, publisher.claims, principals.id, kind, name, principals.namespace, is_admin, is_disabled,
           EXISTS (SELECT FROM unnest(CAST(:asked AS text[])) AS asked (name)
                     JOIN grants ON grants.principal_id = principals.id
                                AND grants.namespace IN ('', split_part(asked.name, '/', 1))
                                AND asked.name >= grants.pattern_prefix AND asked.name < grants.pattern_prefix || '~'
                                AND asked.name LIKE grants.pattern_like
                                AND glob_fits(asked.name, grants.pattern, grants.pattern_form, grants.pattern_regex)
                  ) AS has_role,
           EXISTS (SELECT FROM used_tokens WHERE hash = :used)
      FROM trusted_publishers AS publisher JOIN principals ON principals.id = publisher.principal_id
     WHERE publisher.claims @> ANY (CAST(:tenants AS jsonb[])) AND publisher.issuer = :issuer AND NOT is_disabled
       AND (CAST(:robot AS text) IS NULL OR principals.name = :robot)
     ORDER BY publisher.claims - CAST(:globs AS text[]) <@ CAST(:claims AS jsonb) DESC, has_role DESC, publisher.id
     LIMIT :limit
    """,
    is_hot=True,
)

_MOST: Final = 100


def add(db: Database, principal_id: int, issuer: str, claims: Mapping[str, str], most: int | None = None) -> int:
    """Returns its id. Raises Conflict if the principal is gone, or no claim is named.

    Raises TooManyTrustedPublishers if the robots of its namespace have as many as `most`; None for no bound.
    """
    added = db.all(_ADD(principal_id=principal_id, issuer=issuer, claims=json.dumps(dict(claims)), most=most))
    if not added:
        raise TooManyTrustedPublishers(f"the robots of a namespace have at most {most} trusted publishers: remove some")
    return added[0]


def remove(db: Database, principal_id: int, trusted_publisher_id: int) -> bool:
    """Removes it; what was signed in by it is forgotten too. False if the principal has no such trusted publisher."""
    return db.count(_REMOVE(id=trusted_publisher_id, principal_id=principal_id)) > 0


def list_of(db: Database, principal_id: int) -> list[TrustedPublisher]:
    """Lists the principal's own, the oldest first."""
    return db.all(_LIST(principal_id=principal_id))


def matching(db: Database, sought: Sought) -> list[Candidate]:
    """Returns first those whose claims, but for the globs, are all the identity's. Those of who is disabled are left
    out.
    """
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
