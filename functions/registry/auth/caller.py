"""Whoever makes a request, and what their token lets them do. It needs no library: open mode has a caller too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from functions.registry.auth.authority import ALL_AUTHORITY, NO_AUTHORITY, Authority
from functions.registry.auth.roles import Role

if TYPE_CHECKING:
    from functions.registry.auth.tag_limits import TagLimits


CallerKind = Literal["user", "robot", "anonymous", "open", "external"]


class TokenRefused(Exception):
    """A token is not good here. The reason is for the client: it never holds the token itself."""


class IssuerUnavailable(TokenRefused):
    """Whether a token is good can't be told now: who issued it doesn't answer."""


@dataclass(frozen=True, slots=True)
class Access:
    """In one repository: what the token grants, and the role behind it, which tag rules ask for."""

    name: str
    actions: frozenset[str]
    role: Role | None


@dataclass(frozen=True, slots=True)
class Caller:
    """`refused` holds what was asked for and not granted: for that no larger token exists.

    An administrator's token, too, opens only the repositories that it names. One who is read-only administers nothing.

    `authority` is in no token: the gate asks the database for it, where it matters.
    """

    kind: CallerKind
    name: str
    principal_id: int | None = None
    is_admin: bool = False
    is_read_only: bool = False
    access: Mapping[str, Access] = field(default_factory=dict)
    refused: Mapping[str, frozenset[str]] = field(default_factory=dict)
    catalog: bool = False
    # From another issuer's token: what it opens of the type `registry`, and the project that each repository is of.
    registry: frozenset[str] = frozenset()
    projects: Mapping[str, str] = field(default_factory=dict)
    token_id: str = ""
    limits: TagLimits | None = None
    authority: Authority = NO_AUTHORITY

    @property
    def label(self) -> str:
        """Names the caller as in `robot:ci`: for logs and messages."""
        return f"{self.kind}:{self.name}" if self.name else self.kind

    def may(self, repository: str, action: str) -> bool:
        if self.kind == "open":
            return True
        access = self.access.get(repository)
        return access is not None and not access.actions.isdisjoint({action, "*"})

    def rank(self, repository: str) -> int:
        """Returns the number of the role; 0 without one."""
        if self.kind == "open":
            return Role.ADMIN
        access = self.access.get(repository)
        return access.role or 0 if access else 0


# In open mode everybody is this one.
ANYONE_OPEN: Final = Caller(kind="open", name="", is_admin=True, catalog=True, authority=ALL_AUTHORITY)
