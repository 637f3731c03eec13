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

# 1 s, then twice as long each time.
_DELAY: Final = Statement(
    "failures_delay",
    int,
    """
    SELECT CAST(greatest(0, ceil(max(extract(epoch FROM last_failed_at - now())
                                     + least(longest, 2.0 ^ least(failures - free, 20))))) AS int)
      FROM unnest(CAST(:keys AS bytea[]), CAST(:free AS int[]), CAST(:longest AS int[])) AS asked (key, free, longest)
      JOIN sign_in_failures USING (key)
     WHERE failures >= free AND last_failed_at > now() - interval '1 hour'
    """,
)

_COUNT: Final = Statement(
    "failures_count",
    int,
    """
    INSERT INTO sign_in_failures AS known (key, failures, last_failed_at)
    SELECT key, 1, now() FROM unnest(CAST(:keys AS bytea[])) AS failed (key) ORDER BY key
    ON CONFLICT (key) DO UPDATE
       SET failures = CASE WHEN known.last_failed_at > now() - interval '1 hour' THEN known.failures + 1 ELSE 1 END,
           last_failed_at = now()
    """,
    is_brief=True,
)

_FORGET: Final = Statement(
    "failures_forget",
    int,
    """
    WITH remembered AS MATERIALIZED (
        SELECT key FROM sign_in_failures WHERE key = ANY (CAST(:keys AS bytea[])) ORDER BY key FOR UPDATE
    )
    DELETE FROM sign_in_failures USING remembered WHERE sign_in_failures.key = remembered.key
    """,
    is_brief=True,
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


def delay(db: Database, keys: Keys) -> int:
    """Seconds before the next attempt is worth looking at; 0 if it is now."""
    return db.one_or_none(_DELAY(keys=keys.all(), free=_FREE, longest=_LONGEST)) or 0


def count_failure(db: Database, keys: Keys) -> None:
    db.count(_COUNT(keys=keys.all()))


def forget(db: Database, keys: Keys) -> None:
    """After a success. The address stays counted: one good account there does not speak for the others."""
    db.count(_FORGET(keys=[keys.pair, keys.user]))


def expire(db: Database, limit: int) -> int:
    """Forgets what is old, at most `limit`. Returns how many there were."""
    return db.count(_EXPIRE(limit=limit))
