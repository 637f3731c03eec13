"""Retention policies as they are written, and what they mean.

One policy decides for a repository, one rule of it for a tag: the first that matches. A rule only says what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, get_args

from functions.registry.retention import spans
from functions.registry.retention.patterns import PatternRefused, matcher
from functions.registry.retention.spans import SpanRefused

Mode = Literal["preview", "enforce", "paused"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
MOST_RULES: Final = 50
MOST_EXCEPTIONS: Final = 50
MOST_NEWEST: Final = 10_000
LEAST_NEW_FOR: Final = 3600

_ALL: Final = "all"
_CONDITIONS: Final = ("newest", "pushed_within", "pulled_within")


class PolicyRefused(ValueError):
    """The message says which part of a policy is wrong, and what it takes."""


@dataclass(frozen=True)
class Rule:
    """What is kept of the tags that fit `tags` and none of `exceptions`.

    That is all of them, or each for which one of the conditions holds that are not None; times are in seconds.
    """

    tags: str
    exceptions: tuple[str, ...] = ()
    keeps_all: bool = False
    newest: int | None = None
    pushed_within: int | None = None
    pulled_within: int | None = None

    @cached_property
    def _matchers(self) -> tuple[Callable[[str], bool], list[Callable[[str], bool]]]:
        return matcher(self.tags), [matcher(pattern) for pattern in self.exceptions]

    def matches(self, tag: str) -> bool:
        fits, exceptions = self._matchers
        return fits(tag) and not any(excepted(tag) for excepted in exceptions)


@dataclass(frozen=True)
class Policy:
    """The rules in order, and for how many seconds a push keeps any tag."""

    name: str
    rules: tuple[Rule, ...]
    new_for: int

    def rule_of(self, tag: str) -> int | None:
        """Returns which rule decides, counted from 0; None if none is about the tag."""
        return next((number for number, rule in enumerate(self.rules) if rule.matches(tag)), None)


def read_rules(document: object) -> tuple[Rule, ...]:
    """Raises PolicyRefused."""
    if not isinstance(document, list) or not 1 <= len(document) <= MOST_RULES:
        raise PolicyRefused(f"rules must be a list of 1 to {MOST_RULES} rules")
    return tuple(_rule(number, each) for number, each in enumerate(document, 1))


def written_rules(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Writes them as `read_rules` reads them."""
    return [
        {"tags": rule.tags}
        | ({"except": list(rule.exceptions)} if rule.exceptions else {})
        | {"keep": _ALL if rule.keeps_all else _written_conditions(rule)}
        for rule in rules
    ]


def _rule(number: int, document: object) -> Rule:
    try:
        return _read_rule(document)
    except (PolicyRefused, PatternRefused, SpanRefused) as refused:
        raise PolicyRefused(f"rule {number}: {refused}") from refused


def _read_rule(document: object) -> Rule:
    if not isinstance(document, dict) or not {"tags", "keep"} <= document.keys() <= {"tags", "keep", "except"}:
        raise PolicyRefused("has tags and keep, and may have except")
    exceptions = document.get("except", [])
    if not isinstance(exceptions, list) or len(exceptions) > MOST_EXCEPTIONS:
        raise PolicyRefused(f"except must be a list of at most {MOST_EXCEPTIONS} patterns")
    for pattern in (document["tags"], *exceptions):
        matcher(pattern if isinstance(pattern, str) else "")
    return Rule(document["tags"], tuple(exceptions), **_conditions(document["keep"]))


def _conditions(keep: object) -> dict[str, Any]:
    if keep == _ALL:
        return {"keeps_all": True}
    if not isinstance(keep, Mapping) or not keep or not keep.keys() <= set(_CONDITIONS):
        raise PolicyRefused(f"keep must be all, or an object with some of {', '.join(_CONDITIONS)}")
    newest = keep.get("newest")
    if "newest" in keep and (type(newest) is not int or not 1 <= newest <= MOST_NEWEST):
        raise PolicyRefused(f"newest must be a number from 1 to {MOST_NEWEST}")
    times = {}
    for name in _CONDITIONS[1:]:
        if name in keep:
            try:
                times[name] = spans.parse(keep[name])
            except SpanRefused as refused:
                raise PolicyRefused(f"{name} {refused}") from refused
    return {"newest": newest, **times}


def _written_conditions(rule: Rule) -> dict[str, Any]:
    found = {
        "newest": rule.newest,
        "pushed_within": None if rule.pushed_within is None else spans.written(rule.pushed_within),
        "pulled_within": None if rule.pulled_within is None else spans.written(rule.pulled_within),
    }
    return {name: value for name, value in found.items() if value is not None}
