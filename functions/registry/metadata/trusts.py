"""Trusts: identities that another issuer vouches for, each of which acts as one of our principals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.principals import Principal


@dataclass(frozen=True, slots=True)
class Trust:
    """A token of `issuer` that makes all of `claims` is the principal's."""

    id: int
    issuer: str
    claims: Mapping[str, str]
    principal: Principal


_ADD: Final = Statement(
    "trusts_add",
    int,
    """
    INSERT INTO trusts (principal_id, issuer, claims) VALUES (:principal_id, :issuer, CAST(:claims AS jsonb))
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

_LIST_FOR: Final = Statement(
    "trusts_list_for",
    Trust,
    """
    SELECT trusts.id, issuer, claims, principals.id, kind, name, namespace, is_admin, is_disabled
      FROM trusts JOIN principals ON principals.id = trusts.principal_id
     WHERE issuer = :issuer AND NOT is_disabled
     ORDER BY trusts.id
    """,
)


def add(db: Database, principal_id: int, issuer: str, claims: Mapping[str, str]) -> int:
    """Its id. Raises Conflict if the principal is gone, or no claim is named."""
    return db.all(_ADD(principal_id=principal_id, issuer=issuer, claims=json.dumps(dict(claims))))[0]


def remove(db: Database, principal_id: int, trust_id: int) -> bool:
    """What was signed in by it is forgotten too. False if the principal has no such trust."""
    return db.count(_REMOVE(id=trust_id, principal_id=principal_id)) > 0


def list_of(db: Database, principal_id: int) -> list[Trust]:
    """The principal's own, the oldest first."""
    return db.all(_LIST(principal_id=principal_id))


def list_for(db: Database, issuer: str) -> list[Trust]:
    """All that a token of this issuer may be good for, the oldest first; disabled principals' are left out."""
    return db.all(_LIST_FOR(issuer=issuer))
