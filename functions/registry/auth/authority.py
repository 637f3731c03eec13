"""What a caller may administer: the whole registry, some namespaces, or nothing.

Who holds the role admin by a pattern that covers a namespace wholly administers it: its grants, its rules, its robots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.access.grants import Standing
from functions.registry.metadata.access.patterns import is_glob_match, namespace_of, whole_namespaces

# A slash or a star in it would be taken for what it is not: part of a longer name, or any namespace.
_NAMESPACE: Final = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Authority:
    """`namespaces` are globs."""

    over_all: bool = False
    namespaces: tuple[str, ...] = ()

    @classmethod
    def of(cls, standing: Standing) -> Authority:
        covered = (whole_namespaces(pattern) for pattern in standing.patterns)
        return cls(standing.is_admin, tuple(namespaces for namespaces in covered if namespaces is not None))

    @property
    def is_some(self) -> bool:
        return self.over_all or bool(self.namespaces)

    def over(self, namespace: str | None) -> bool:
        """Says whether the namespace is administered. None stands for what belongs to no namespace: that is the
        registry's administrators'.
        """
        if self.over_all:
            return True
        if namespace is None or not _NAMESPACE.fullmatch(namespace):
            return False
        return any(is_glob_match(glob, namespace) for glob in self.namespaces)

    def over_pattern(self, repositories: str) -> bool:
        """Says whether all that the pattern can match is administered."""
        return self.over(namespace_of(repositories))


NO_AUTHORITY: Final = Authority()
ALL_AUTHORITY: Final = Authority(over_all=True)
