"""GitLab's tag protection: regular expressions that came with a token, for the engine RE2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_MOST_PATTERNS: Final = 5
_LONGEST_PATTERN: Final = 100


class PatternRefused(Exception):
    """The token's patterns can't be applied, so nothing is allowed; `code` is GitLab's."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class RepositoryLimits:
    """It answers what a token's limits forbid. Each question raises PatternRefused."""

    deny_push: tuple[str, ...] = ()
    deny_delete: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()

    def __or__(self, other: RepositoryLimits) -> RepositoryLimits:
        return RepositoryLimits(
            self.deny_push + other.deny_push, self.deny_delete + other.deny_delete, self.immutable + other.immutable
        )

    def denies_push(self, tag: str) -> bool:
        """Says whether the tag may be neither made nor moved."""
        self._require_few(self.deny_push)
        return _matches_any(self.deny_push, tag, "TAG_PROTECTION_PATTERN_INVALID")

    def denies_delete(self, tag: str) -> bool:
        self._require_few(self.deny_delete)
        return _matches_any(self.deny_delete, tag, "TAG_PROTECTION_PATTERN_INVALID")

    def is_immutable(self, tag: str) -> bool:
        """Says whether the tag, if it is there, may be neither deleted nor put again, even as it is."""
        self._require_few()
        return _matches_any(self.immutable, tag, "TAG_IMMUTABILITY_PATTERN_INVALID")

    @property
    def keeps_manifests(self) -> bool:
        """Says whether no manifest may be deleted by its digest: some of its tags might be protected."""
        return bool(self.deny_delete or self.immutable)

    def _require_few(self, others: tuple[str, ...] = ()) -> None:
        if len({*others, *self.immutable}) > _MOST_PATTERNS:
            raise PatternRefused(
                "TAG_PATTERN_COUNT_LIMIT_EXCEEDED", f"a token has at most {_MOST_PATTERNS} tag patterns"
            )


_NONE: Final = RepositoryLimits()


@dataclass(frozen=True, slots=True)
class TagLimits:
    repositories: Mapping[str, RepositoryLimits] = field(default_factory=dict)

    def of(self, repository: str) -> RepositoryLimits:
        return self.repositories.get(repository, _NONE)


def read_limits(meta: Any) -> RepositoryLimits:
    """Reads an entry's `meta`. Raises ValueError: what can't be read must not pass for no limit."""
    if meta is None:
        return _NONE
    denied = _mapping(_mapping(meta).get("tag_deny_access_patterns"))
    return RepositoryLimits(
        deny_push=_patterns(denied.get("push")),
        deny_delete=_patterns(denied.get("delete")),
        immutable=_patterns(meta.get("tag_immutable_patterns")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004  # one kind of error for all that is malformed
    return value


def _patterns(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise ValueError("must be a list of patterns")
    return tuple(value)


def _matches_any(patterns: Iterable[str], tag: str, code: str) -> bool:
    """Looks at all of them: one that can't be read counts, whatever the others say."""
    matchers = [_matcher(pattern, code) for pattern in patterns]
    return any(matcher.search(tag) for matcher in matchers)


@lru_cache(maxsize=256)
def _matcher(pattern: str, code: str) -> Any:
    import re2  # noqa: PLC0415  # imported only where a token has patterns

    if len(pattern) > _LONGEST_PATTERN:
        raise PatternRefused(code, f"a tag pattern has at most {_LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise PatternRefused(code, f"the tag pattern {pattern!r} is no RE2 pattern") from error
