"""On whose behalf a thread changes what the registry holds, and why: every transaction that does is told both.

Triggers read them as the settings `slipway.actor`, `slipway.cause` and `slipway.request` of the transaction, which end
with it. What nobody told is '' there, or NULL, and means unknown. A new thread knows nothing of the one that made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

# Together with names and quotes this stays below 1 KiB.
_LONGEST: Final = {"method": 8, "host": 255, "address": 64, "agent": 200, "id": 64}


@dataclass(frozen=True, slots=True)
class Request:
    """What is told of the request behind a change. Clients choose most of it: any text, of any length."""

    method: str
    host: str
    address: str
    agent: str
    id: str

    def as_json(self) -> str:
        """Returns an object of at most 1 KiB. Each value is cut by itself, so that what is left is JSON still; letters
        that have to be escaped, one of which PostgreSQL does not take, are left out.
        """
        values = {name: getattr(self, name) for name in _LONGEST}
        kept = {
            name: "".join(letter for letter in value if " " <= letter <= "~" and letter not in '"\\')[: _LONGEST[name]]
            for name, value in values.items()
        }
        return json.dumps(kept, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Told:
    """`actor` is a caller's label, as in `robot:ci`, or the part of the registry that acts by itself.

    `cause` is `client`, `collection`, `import`, `operator`, `restore`, `purge` or `usage`; a policy or a replica has a
    colon and its name behind.
    """

    actor: str
    cause: str
    request: Request | None = None


COLLECTION: Final = Told("collection", "collection")
IMPORT: Final = Told("import", "import")
OPERATOR: Final = Told("operator", "operator")
# Pulls and pushes are counted on behalf of nobody.
USAGE: Final = Told("usage", "usage")

_current: Final[ContextVar[Told | None]] = ContextVar("told", default=None)


def current() -> Told | None:
    """Returns who and why of the work in hand; None if nobody told."""
    return _current.get()


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """Whatever is changed until the end of the block, on this thread, is changed on this behalf."""
    token = _current.set(told)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def because(cause: str) -> Iterator[None]:
    """In the block the cause is another one; who acts, and by which request, stays."""
    told = _current.get()
    with telling(Told("unknown", cause) if told is None else replace(told, cause=cause)):
        yield
