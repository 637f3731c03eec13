"""Who is signed in to the console, and the links by which the command line opens it.

A session is asked for with every page, in the batch that reads the page: what is ended is ended at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Call, Database, Statement

LONGEST_SECONDS: Final = 12 * 3600
IDLE_SECONDS: Final = 3600
# An administrator's browser is worth more to whoever finds it open.
IDLE_ADMINISTRATOR_SECONDS: Final = 1800
LINK_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class NewSession:
    """`hash` is of the cookie's secret; `secret_id` is the secret that it was opened by, if it was one."""

    hash: bytes = field(repr=False)
    principal_id: int
    secret_id: str | None
    via: str
    agent: str
    address: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`patterns` are those of the grants by which the principal may administer a namespace."""

    principal: Principal
    patterns: list[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ListedSession:
    """`hash` tells one from the others, and opens none."""

    hash: bytes = field(repr=False)
    via: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    agent: str
    address: str


_OPEN: Final = Statement(
    "console_sessions_open",
    int,
    """
    INSERT INTO console_sessions (hash, principal_id, secret_id, via, expires_at, agent, address)
    VALUES (:hash, :principal_id, :secret_id, :via, now() + make_interval(secs => :seconds), :agent, :address)
    """,
    is_brief=True,
)

# What the cookie says of whose it is has to be so: the page was read for that principal. Seen is noted once a minute.
_USE: Final = Statement(
    "console_sessions_use",
    OpenSession,
    """
    WITH seen AS (
        UPDATE console_sessions SET seen_at = now()
         WHERE hash = ANY (CAST(:hashes AS bytea[])) AND seen_at < now() - interval '1 minute'
           AND seen_at > now() - make_interval(secs => :idle) AND expires_at > now()
    )
    SELECT principals.id, kind, principals.name, namespace, is_admin, is_disabled,
           ARRAY(SELECT pattern FROM grants
                  WHERE grants.principal_id = principals.id AND role = 'admin' AND right(pattern, 1) = '*'),
           session.created_at
      FROM console_sessions AS session
      JOIN principals ON principals.id = session.principal_id
      LEFT JOIN secrets ON secrets.id = session.secret_id
     WHERE session.hash = ANY (CAST(:hashes AS bytea[])) AND session.principal_id = :principal_id
       AND NOT is_disabled AND session.expires_at > now()
       AND session.seen_at > now() - make_interval(secs => CASE WHEN is_admin THEN :idle_administrator ELSE :idle END)
       AND secrets.revoked_at IS NULL AND coalesce(secrets.expires_at > now(), true)
    """,
    is_brief=True,
    is_hot=True,
)

_CLOSE: Final = Statement(
    "console_sessions_close",
    int,
    "DELETE FROM console_sessions WHERE principal_id = :principal_id AND hash = ANY (CAST(:hashes AS bytea[]))",
    is_brief=True,
)

_LIST: Final = Statement(
    "console_sessions_list",
    ListedSession,
    """
    SELECT hash, via, created_at, seen_at, expires_at, agent, address FROM console_sessions
     WHERE principal_id = :principal_id AND expires_at > now()
     ORDER BY created_at DESC, hash
     LIMIT 100
    """,
)

_ADD_LINK: Final = Statement(
    "console_links_add",
    int,
    """
    INSERT INTO console_links (hash, principal_id, expires_at)
    VALUES (:hash, :principal_id, now() + make_interval(secs => :seconds))
    """,
    is_brief=True,
)

_TAKE_LINK: Final = Statement(
    "console_links_take",
    Principal,
    """
    WITH taken AS (
        DELETE FROM console_links WHERE hash = ANY (CAST(:hashes AS bytea[])) RETURNING *
    )
    SELECT principals.id, kind, principals.name, namespace, is_admin, is_disabled
      FROM taken
      JOIN principals ON principals.id = taken.principal_id
     WHERE taken.expires_at > now() AND NOT is_disabled
    """,
    is_brief=True,
)

_EXPIRE_SESSIONS: Final = Statement(
    "console_sessions_expire",
    int,
    """
    WITH old AS MATERIALIZED (
        SELECT hash FROM console_sessions
         WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM console_sessions USING old WHERE console_sessions.hash = old.hash
    """,
)

_EXPIRE_LINKS: Final = Statement(
    "console_links_expire",
    int,
    """
    WITH old AS MATERIALIZED (
        SELECT hash FROM console_links
         WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM console_links USING old WHERE console_links.hash = old.hash
    """,
)


def open_session(db: Database, session: NewSession) -> None:
    """Opens it for LONGEST_SECONDS at most."""
    db.count(
        _OPEN(
            hash=session.hash,
            principal_id=session.principal_id,
            secret_id=session.secret_id,
            via=session.via,
            seconds=LONGEST_SECONDS,
            agent=session.agent,
            address=session.address,
        )
    )


def using(hashes: Sequence[bytes], principal_id: int) -> Call[OpenSession]:
    """Gives one row if one of the hashes is of a session of that principal which may be used, and none if not."""
    return _USE(
        hashes=list(hashes),
        principal_id=principal_id,
        idle=IDLE_SECONDS,
        idle_administrator=IDLE_ADMINISTRATOR_SECONDS,
    )


def listing(principal_id: int) -> Call[ListedSession]:
    """Gives the principal's sessions, the latest first."""
    return _LIST(principal_id=principal_id)


def close(db: Database, principal_id: int, hashes: Sequence[bytes]) -> bool:
    return db.count(_CLOSE(principal_id=principal_id, hashes=list(hashes))) > 0


def add_link(db: Database, hashed: bytes, principal_id: int) -> None:
    """Adds one that is good once, for LINK_SECONDS."""
    db.count(_ADD_LINK(hash=hashed, principal_id=principal_id, seconds=LINK_SECONDS))


def take_link(db: Database, hashes: Sequence[bytes]) -> Principal | None:
    """Returns whose it was. Whoever takes it takes it away."""
    return db.one_or_none(_TAKE_LINK(hashes=list(hashes)))


def expire(db: Database, limit: int) -> int:
    """Forgets what has expired, at most `limit` of each kind. Returns how many there were."""
    outcomes: list[Any] = db.batch([_EXPIRE_SESSIONS(limit=limit), _EXPIRE_LINKS(limit=limit)])
    return sum(outcome.count for outcome in outcomes)
