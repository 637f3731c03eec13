"""The effective policy of an organisation on a project, as Google's API gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_PREFIX: Final = "is:"


@dataclass(frozen=True, slots=True)
class Policy:
    """Of a list: what is allowed (everything, with `allows_all`) but for what is denied. Of a switch: `is_enforced`."""

    allows_all: bool = True
    is_enforced: bool = False
    allowed: frozenset[str] = field(default=frozenset())
    denied: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Policy:
        """Reads `getEffectivePolicy`. Rules with a condition are for what bears a tag: a new project bears none."""
        rules = [rule for rule in document.get("spec", {}).get("rules", []) if "condition" not in rule]
        allowed, denied = (
            frozenset(value.removeprefix(_PREFIX) for rule in rules for value in rule.get("values", {}).get(which, []))
            for which in ("allowedValues", "deniedValues")
        )
        denies_all = any(_true(rule.get("denyAll")) for rule in rules)
        return cls(
            allows_all=not denies_all and not allowed,
            is_enforced=any(_true(rule.get("enforce")) for rule in rules),
            allowed=allowed,
            denied=denied,
        )

    @property
    def restricts(self) -> bool:
        return self.is_enforced or not self.allows_all or bool(self.denied)

    def refused(self, values: Iterable[str]) -> list[str]:
        """Returns those that it doesn't let through."""
        return sorted(
            value for value in values if value in self.denied or not (self.allows_all or value in self.allowed)
        )

    def shown(self) -> str:
        if self.is_enforced:
            return "enforced"
        if self.allowed:
            return f"allows {', '.join(sorted(self.allowed))}"
        return f"denies {', '.join(sorted(self.denied))}" if self.denied else "denies all"


def _true(value: object) -> bool:
    return value is True or str(value).upper() == "TRUE"
