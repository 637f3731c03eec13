"""Failed sign-ins: whoever guesses waits longer and longer, and the owner is never locked out from elsewhere.

They are counted for a user from an address, for an address, and for a user; by keyed hashes of these, so that the table
tells nobody who they are. What is an hour old is forgotten.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement


@dataclass(frozen=True, slots=True)
class Keys:
    pair: bytes
    address: bytes
    user: bytes

    @classmethod
    def of(cls, pepper: bytes, user: str, address: str) -> Keys:
        def key(*parts: str) -> bytes:
            return hmac.digest(pepper, json.dumps(["failed sign-in", *parts]).encode(), "sha256")

        return cls(key("pair", user, address), key("address", address), key("user", user))

    def all(self) -> list[bytes]:
        return [self.pair, self.address, self.user]


# In the order of the keys: failures that are free, and the longest delay in seconds. An address may be many people's,
# and a user may be under attack: neither makes an owner wait for long.
_FREE: Final[Sequence[int]] = (5, 50, 5)
_LONGEST: Final[Sequence[int]] = (300, 300, 1)

# 1 s, then twice as long each time (pre/0011_neighbours.sql).
_ATTEMPT: Final = Statement(
    "failures_attempt",
    int,
    """
    SELECT attempt_sign_in(CAST(:keys AS bytea[]), CAST(:free AS int[]), CAST(:longest AS int[]))
    """,
    is_brief=True,
    is_hot=True,
)

_SUCCEED: Final = Statement(
    "failures_succeed",
    int,
    """
    WITH counted AS MATERIALIZED (
        SELECT key FROM sign_in_failures WHERE key = ANY (CAST(:keys AS bytea[])) ORDER BY key FOR UPDATE
    ), taken_back AS (
        UPDATE sign_in_failures SET failures = greatest(0, failures - 1)
          FROM counted WHERE sign_in_failures.key = counted.key AND counted.key = :address
    )
    DELETE FROM sign_in_failures USING counted
     WHERE sign_in_failures.key = counted.key AND counted.key <> :address
    """,
    is_brief=True,
    is_hot=True,
)

_EXPIRE: Final = Statement(
    "failures_expire",
    int,
    """
    WITH old AS MATERIALIZED (
        SELECT key FROM sign_in_failures
         WHERE last_failed_at < now() - interval '1 hour'
         ORDER BY last_failed_at
         LIMIT :limit
           FOR UPDATE SKIP LOCKED
    )
    DELETE FROM sign_in_failures USING old WHERE sign_in_failures.key = old.key
    """,
)


def attempt(db: Database, keys: Keys) -> int:
    """Returns the seconds before an attempt is worth looking at; if it is now, 0, and it counts as a failure until it
    succeeds.
    """
    return db.one_or_none(_ATTEMPT(keys=keys.all(), free=_FREE, longest=_LONGEST)) or 0


def attempt_from(db: Database, keys: Keys) -> int:
    """Does the same for the address alone, where there is no name to be told apart."""
    return db.one_or_none(_ATTEMPT(keys=[keys.address], free=_FREE[1:2], longest=_LONGEST[1:2])) or 0


def succeed(db: Database, keys: Keys) -> None:
    """The last attempt was right. The address' others stay counted: one good account does not speak for them."""
    db.count(_SUCCEED(keys=keys.all(), address=keys.address))


def expire(db: Database, limit: int) -> int:
    """Forgets what is old, at most `limit`. Returns how many there were."""
    return db.count(_EXPIRE(limit=limit))
