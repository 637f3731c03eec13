"""Principals: the users and robots that a registry knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose
from functions.registry.oci.page import Page

PrincipalKind = Literal["user", "robot"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")
# What clients send as a user's name where a token or another system's identity is the password, and whom logs call so.
_RESERVED: Final = frozenset({"token", "oidc", "oauth2accesstoken", "anonymous", "anyone", "nobody"})
# With a robot's name behind it: which of those that trust an identity is meant.
_WAYS: Final = ("oidc+", "oauth2accesstoken+")


class PrincipalInvalid(ValueError):
    """The message says what a name is made of."""


class PrincipalExists(Exception):
    """A user or a robot has that name."""


class LastAdministrator(Exception):
    """Nobody would administer the registry any more."""


@dataclass(frozen=True, slots=True)
class Principal:
    """`namespace` is a robot's, if it belongs to one. An admin has every right."""

    id: int
    kind: PrincipalKind
    name: str
    namespace: str | None
    is_admin: bool
    disabled: bool

    @property
    def label(self) -> str:
        """Names it as in `robot:ci`: what it does and what is done to it stand in the audit trail under this name."""
        return f"{self.kind}:{self.name}"


_CREATE: Final = Statement(
    "principals_create",
    Principal,
    """
    INSERT INTO principals (kind, name, namespace, is_admin) VALUES (:kind, :name, :namespace, :is_admin)
    RETURNING id, kind, name, namespace, is_admin, is_disabled
    """,
)

_GET: Final = Statement(
    "principals_get",
    Principal,
    "SELECT id, kind, name, namespace, is_admin, is_disabled FROM principals WHERE name = :name",
)

_LIST: Final = Statement(
    "principals_list",
    Principal,
    """
    SELECT id, kind, name, namespace, is_admin, is_disabled FROM principals WHERE name > :last ORDER BY name LIMIT :size
    """,
)

_LIST_OF_NAMESPACE: Final = Statement(
    "principals_list_of_namespace",
    Principal,
    """
    SELECT id, kind, name, namespace, is_admin, is_disabled
      FROM principals
     WHERE namespace = :namespace AND name > :last
     ORDER BY name
     LIMIT :size
    """,
)

_ENABLE: Final = Statement("principals_enable", int, "UPDATE principals SET is_disabled = false WHERE id = :id")

# Of two administrators who take each other away the second waits here, and then sees that the first did it.
_LOCK_ADMINISTRATORS: Final = Statement(
    "principals_lock_administrators",
    int,
    "SELECT id FROM principals WHERE is_admin AND NOT is_disabled ORDER BY id FOR NO KEY UPDATE",
)

_IS_NOT_LAST: Final = """
    (NOT is_admin OR is_disabled
     OR EXISTS (SELECT FROM principals AS other WHERE other.is_admin AND NOT other.is_disabled AND other.id <> :id))
"""

_DISABLE: Final = Statement(
    "principals_disable",
    int,
    compose("UPDATE principals SET is_disabled = true WHERE id = :id AND $is_not_last", is_not_last=_IS_NOT_LAST),
)

_IS_THERE: Final = Statement("principals_is_there", int, "SELECT 1 FROM principals WHERE id = :id")

# Who knew the old password must not stay signed in by it.
_SET_PASSWORD: Final = Statement(
    "principals_set_password",
    int,
    """
    WITH forgotten AS (
        DELETE FROM refresh_tokens WHERE principal_id = :id AND secret_id IS NULL AND trusted_publisher_id IS NULL
    ), closed AS (
        DELETE FROM console_sessions WHERE principal_id = :id AND secret_id IS NULL
    )
    UPDATE principals SET password_hash = :hash WHERE id = :id AND kind = 'user'
    """,
)

_DELETE: Final = Statement(
    "principals_delete",
    int,
    compose("DELETE FROM principals WHERE id = :id AND $is_not_last", is_not_last=_IS_NOT_LAST),
)

_ENSURE_ADMIN: Final = Statement(
    "principals_ensure_admin",
    int,
    "INSERT INTO principals (kind, name, is_admin) VALUES ('user', :name, true) ON CONFLICT (name) DO NOTHING",
)

# Nobody who happens to have the name becomes an administrator by it. One that is there is hashed anew, by the pepper of
# today: it may not have been used since an older one was taken away.
_ENSURE_SECRET: Final = Statement(
    "principals_ensure_secret",
    int,
    """
    INSERT INTO secrets (id, principal_id, name, hash)
    SELECT :secret_id, id, 'first administrator', :hash FROM principals
     WHERE name = :name AND kind = 'user' AND is_admin
    ON CONFLICT (id) DO UPDATE SET hash = excluded.hash
     WHERE secrets.principal_id = excluded.principal_id AND secrets.revoked_at IS NULL AND secrets.hash <> excluded.hash
    """,
)

_IS_ADMINS: Final = Statement(
    "principals_is_admins_secret",
    int,
    """
    SELECT 1 FROM secrets JOIN principals ON principals.id = secrets.principal_id
     WHERE secrets.id = :secret_id AND principals.is_admin
    """,
)


def create_user(db: Database, name: str, *, is_admin: bool = False) -> Principal:
    """Raises PrincipalInvalid and PrincipalExists."""
    return _create(db, "user", name, None, is_admin=is_admin)


def create_robot(db: Database, name: str, namespace: str | None = None) -> Principal:
    """Raises PrincipalInvalid and PrincipalExists."""
    return _create(db, "robot", name, namespace, is_admin=False)


def _create(db: Database, kind: str, name: str, namespace: str | None, *, is_admin: bool) -> Principal:
    if not _NAME.fullmatch(name):
        raise PrincipalInvalid("a name has 1 to 128 lower-case letters, digits, . _ @ + - and starts with none of them")
    if name in _RESERVED or name.startswith(_WAYS):
        raise PrincipalInvalid(f"nobody can be called {name}: it stands for a way to sign in")
    try:
        return db.all(_CREATE(kind=kind, name=name, namespace=namespace, is_admin=is_admin))[0]
    except Conflict as conflict:
        if conflict.constraint != "principals_name":
            raise
        raise PrincipalExists(f"there is a user or a robot called {name}") from conflict


def get(db: Database, name: str) -> Principal | None:
    return db.one_or_none(reading(name))


def reading(name: str) -> Call[Principal]:
    """Returns what `get` asks, for a batch."""
    return _GET(name=name)


def list_page(db: Database, page: Page, namespace: str | None = None) -> list[Principal]:
    """Returns principals by name, one more than the page holds if there are more; of a namespace its robots only."""
    return db.all(listing(page, namespace))


def listing(page: Page, namespace: str | None = None) -> Call[Principal]:
    """Returns what `list_page` asks, for a batch."""
    if namespace is None:
        return _LIST(last=page.last, size=page.size + 1)
    return _LIST_OF_NAMESPACE(namespace=namespace, last=page.last, size=page.size + 1)


def disable(db: Database, principal_id: int) -> bool:
    """Disables it: nothing signs it in from now on; its tokens end by themselves. Raises LastAdministrator."""
    return _take_away(db, _DISABLE(id=principal_id), principal_id)


def enable(db: Database, principal_id: int) -> bool:
    return db.count(_ENABLE(id=principal_id)) > 0


def set_password(db: Database, principal_id: int, password_hash: str | None) -> bool:
    """Sets it; None takes it away. What the old one is remembered by goes too. False if there is no such user."""
    return db.count(_SET_PASSWORD(id=principal_id, hash=password_hash)) > 0


def delete(db: Database, principal_id: int) -> bool:
    """Deletes it with its secrets, trusted publishers and grants. Raises LastAdministrator."""
    return _take_away(db, _DELETE(id=principal_id), principal_id)


def _take_away(db: Database, call: Call[int], principal_id: int) -> bool:
    """Returns False if it is not there."""
    _, taken, left = db.batch([_LOCK_ADMINISTRATORS(), call, _IS_THERE(id=principal_id)])
    if not taken.count and left.count:
        raise LastAdministrator("this is the only administrator: make another one first")
    return taken.count > 0


def ensure_admin(db: Database, name: str, secret_id: str, secret_hash: bytes) -> bool:
    """Makes the first administrator, with this secret. Any number may do so at once, any number of times.

    False if the secret is not an administrator's: somebody else has that name.
    """
    secret = {"secret_id": secret_id}
    outcomes = db.batch(
        [_ENSURE_ADMIN(name=name), _ENSURE_SECRET(**secret, name=name, hash=secret_hash), _IS_ADMINS(**secret)]
    )
    return outcomes[-1].count > 0
