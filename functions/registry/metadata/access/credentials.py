"""What principals sign in with: secrets, passwords, and what an earlier sign-in is remembered by. Hashes, all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Database, Statement


@dataclass(frozen=True, slots=True)
class Secret:
    """It is shown as it is listed: with nothing that signs anybody in."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """It may have expired or been revoked, or its principal be disabled: whoever asks decides."""

    principal: Principal
    id: str
    hash: bytes = field(repr=False)
    expires_at: datetime | None
    is_expired: bool
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """`hash` is None for a user without a password."""

    principal: Principal
    hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """It says who signed in and by what: `via` is the way, `secret_id` or `trusted_publisher_id` what they did it with.

    `is_read_only` rights end at pull. `token_seconds` is how long a token may live, None for the setting: it is not
    remembered, so that what a sign-in is remembered by gives tokens of the usual life.
    """

    principal: Principal
    via: str
    is_read_only: bool = False
    claims: Mapping[str, str] = field(default_factory=dict)
    secret_id: str | None = None
    trusted_publisher_id: int | None = None
    token_seconds: int | None = None


_ADD_SECRET: Final = Statement(
    "credentials_add_secret",
    int,
    """
    INSERT INTO secrets (id, principal_id, name, hash, expires_at)
    VALUES (:id, :principal_id, :name, :hash, :expires_at)
    """,
)

_LIST_SECRETS: Final = Statement(
    "credentials_list_secrets",
    Secret,
    """
    SELECT id, name, created_at, expires_at, last_used_at, revoked_at
      FROM secrets WHERE principal_id = :principal_id ORDER BY created_at, id
    """,
)

# A session that came by a link of the command line knows no secret: any may have signed that in.
_REVOKE_SECRET: Final = Statement(
    "credentials_revoke_secret",
    int,
    """
    WITH closed AS (
        DELETE FROM console_sessions WHERE principal_id = :principal_id AND via = 'link'
    )
    UPDATE secrets SET revoked_at = now()
     WHERE id = :id AND principal_id = :principal_id AND revoked_at IS NULL
    """,
)

# Used is what was shown whole: an id alone is no secret. `newest` is its hash by the pepper that now makes them, and
# takes the place of one by an older pepper.
_FIND_SECRET: Final = Statement(
    "credentials_find_secret",
    StoredSecret,
    """
    WITH used AS (
        UPDATE secrets SET last_used_at = now(), hash = :newest
         WHERE id = :id AND hash = ANY (CAST(:shown AS bytea[])) AND revoked_at IS NULL
           AND (last_used_at IS NULL OR last_used_at < now() - interval '1 hour' OR hash <> :newest)
    )
    SELECT principals.id, kind, principals.name, namespace, is_admin, is_disabled,
           secrets.id, hash, expires_at, coalesce(expires_at <= now(), false), revoked_at IS NOT NULL
      FROM secrets JOIN principals ON principals.id = secrets.principal_id
     WHERE secrets.id = :id
    """,
    is_brief=True,
    is_hot=True,
)

_FIND_PASSWORD: Final = Statement(
    "credentials_find_password",
    StoredPassword,
    """
    SELECT id, kind, name, namespace, is_admin, is_disabled, password_hash
      FROM principals WHERE name = :name AND kind = 'user'
    """,
    is_hot=True,
)

_ADD_REFRESH_TOKEN: Final = Statement(
    "credentials_add_refresh_token",
    int,
    """
    INSERT INTO refresh_tokens (hash, principal_id, via, expires_at, is_read_only, claims, secret_id,
                                trusted_publisher_id)
    VALUES (:hash, :principal_id, :via, :expires_at, :is_read_only, CAST(:claims AS jsonb), :secret_id,
            :trusted_publisher_id)
    """,
    is_brief=True,
)

_FIND_REFRESH_TOKEN: Final = Statement(
    "credentials_find_refresh_token",
    SignedIn,
    """
    SELECT principals.id, kind, principals.name, namespace, is_admin, is_disabled,
           token.via, token.is_read_only, token.claims, token.secret_id, token.trusted_publisher_id, CAST(NULL AS int)
      FROM refresh_tokens AS token
      JOIN principals ON principals.id = token.principal_id
      LEFT JOIN secrets ON secrets.id = token.secret_id
     WHERE token.hash = ANY (CAST(:hashes AS bytea[])) AND token.expires_at > now() AND NOT is_disabled
       AND secrets.revoked_at IS NULL AND (secrets.expires_at IS NULL OR secrets.expires_at > now())
    """,
    is_hot=True,
)

_USE_TOKEN: Final = Statement(
    "credentials_use_token",
    int,
    "INSERT INTO used_tokens (hash, expires_at) VALUES (:hash, :expires_at) ON CONFLICT (hash) DO NOTHING",
    is_brief=True,
    is_hot=True,
)

_EXPIRE_REFRESH_TOKENS: Final = Statement(
    "credentials_expire_refresh_tokens",
    int,
    """
    WITH expired AS MATERIALIZED (
        SELECT hash FROM refresh_tokens WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM refresh_tokens USING expired WHERE refresh_tokens.hash = expired.hash
    """,
)

_EXPIRE_USED_TOKENS: Final = Statement(
    "credentials_expire_used_tokens",
    int,
    """
    WITH expired AS MATERIALIZED (
        SELECT hash FROM used_tokens WHERE expires_at <= now() ORDER BY expires_at LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM used_tokens USING expired WHERE used_tokens.hash = expired.hash
    """,
)


def add_secret(
    db: Database, principal_id: int, name: str, secret_id: str, secret_hash: bytes, expires_at: datetime | None = None
) -> None:
    """Raises Conflict if the principal is gone."""
    db.count(_ADD_SECRET(id=secret_id, principal_id=principal_id, name=name, hash=secret_hash, expires_at=expires_at))


def list_secrets(db: Database, principal_id: int) -> list[Secret]:
    """Lists the oldest first, those that are no longer good too."""
    return db.all(_LIST_SECRETS(principal_id=principal_id))


def revoke_secret(db: Database, principal_id: int, secret_id: str) -> bool:
    """Revokes it for good; False if the principal has no such secret, or it is revoked already."""
    return db.count(_REVOKE_SECRET(id=secret_id, principal_id=principal_id)) > 0


def find_secret(db: Database, secret_id: str, shown: Sequence[bytes] = ()) -> StoredSecret | None:
    """`shown` are the hashes of what somebody shows, by each pepper, the newest first.

    If one is right, the use is written down, at most once an hour, and the newest is kept from now on.
    """
    return db.one_or_none(_FIND_SECRET(id=secret_id, shown=list(shown), newest=shown[0] if shown else None))


def find_password(db: Database, name: str) -> StoredPassword | None:
    """Returns the user's hash; None if there is no such user."""
    return db.one_or_none(_FIND_PASSWORD(name=name))


def add_refresh_token(db: Database, token_hash: bytes, signed_in: SignedIn, expires_at: datetime) -> None:
    """It ends sooner if its secret, trusted publisher or principal does. Raises Conflict if one of them is gone."""
    db.count(
        _ADD_REFRESH_TOKEN(
            hash=token_hash,
            principal_id=signed_in.principal.id,
            via=signed_in.via,
            expires_at=expires_at,
            is_read_only=signed_in.is_read_only,
            claims=json.dumps(dict(signed_in.claims)),
            secret_id=signed_in.secret_id,
            trusted_publisher_id=signed_in.trusted_publisher_id,
        )
    )


def find_refresh_token(db: Database, token_hashes: Sequence[bytes]) -> SignedIn | None:
    """Looks for any of the hashes, one for each pepper. Returns None also for one that is no longer good."""
    return db.one_or_none(_FIND_REFRESH_TOKEN(hashes=list(token_hashes)))


def use_token_once(db: Database, issuer: str, token_id: str, expires_at: datetime) -> bool:
    """Returns False if it was used before. It may be forgotten after `expires_at`, when nobody takes the token any
    more.
    """
    return db.count(_USE_TOKEN(hash=used_hash(issuer, token_id), expires_at=expires_at)) > 0


def used_hash(issuer: str, token_id: str) -> bytes:
    """Hashes what may be as long as an issuer likes, and have any characters: an index takes neither."""
    return hashlib.sha256(f"{len(issuer)} {issuer} {token_id}".encode(errors="surrogatepass")).digest()


def expire(db: Database, limit: int) -> int:
    """Forgets what has expired, at most `limit` of each kind. Returns how many there were."""
    outcomes = db.batch([_EXPIRE_REFRESH_TOKENS(limit=limit), _EXPIRE_USED_TOKENS(limit=limit)])
    return sum(outcome.count for outcome in outcomes)
