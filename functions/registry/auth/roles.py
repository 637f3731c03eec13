"""What somebody is in a repository: four steps, each with all that the one below may do."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import Final, Self


class Role(IntEnum):
    """The number is the rank that tag rules compare; the database and people know the label."""

    READER = 1
    WRITER = 2
    MAINTAINER = 3
    ADMIN = 4

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, with the choices."""
        for role in cls:
            if role.label == text:
                return role
        raise ValueError(f"must be one of {', '.join(role.label for role in cls)}")

    @property
    def label(self) -> str:
        return self.name.lower()


_MAINTAINED: Final = frozenset({"pull", "push", "delete"})
# An admin does no more with content than a maintainer: the rest are grants, rules and robots.
ACTIONS: Final[dict[Role, frozenset[str]]] = {
    Role.READER: frozenset({"pull"}),
    Role.WRITER: frozenset({"pull", "push"}),
    Role.MAINTAINER: _MAINTAINED,
    Role.ADMIN: _MAINTAINED,
}


def actions(role: Role | None) -> frozenset[str]:
    """Returns what the role may do. None, no role, may do nothing."""
    return ACTIONS[role] if role else frozenset()


def role_from(granted: AbstractSet[str]) -> Role | None:
    """Returns the largest role that some actions, granted by another issuer, are enough for: `delete` alone makes
    none.
    """
    if "*" in granted:
        return Role.ADMIN
    if "push" in granted:
        return Role.MAINTAINER if "delete" in granted else Role.WRITER
    return Role.READER if "pull" in granted else None
