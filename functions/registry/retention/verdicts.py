"""What becomes of a tag under a policy, and why. Nothing is read or written here.

Times are microseconds since 1970, as the database counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from functions.registry.retention import spans
from functions.registry.retention.policies import Policy, Rule

Reason = Literal["auxiliary", "tag-rule", "pinned", "new", "unmatched", "all", "newest", "pushed", "pulled", "expired"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

SECOND: Final = 1_000_000
# What only another policy can change is looked at again when that comes; what a tag rule or a newer push can change,
# after a day.
_DAY: Final = 86_400 * SECOND
_AUXILIARY: Final = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom|cosign))?")


@dataclass(frozen=True, slots=True)
class TagFacts:
    """What a verdict goes by. `refusal` is what a tag rule says against its removal; `pinned_until` is None if no pin
    keeps it; `pulled_at` is None if it was never pulled.
    """

    name: str
    manifest_id: int
    pushed_at: int
    pulled_at: int | None
    size: int
    refusal: str | None = None
    pinned_until: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule` counts from 1, as people do. `again_at` is when it may change; None if only another policy can do that."""

    removes: bool
    reason: Reason
    rule: int | None
    why: str
    again_at: int | None = None


def is_auxiliary(tag: str) -> bool:
    """Tells the tags that cosign makes beside a manifest: they belong to it, whatever policies say."""
    return _AUXILIARY.fullmatch(tag) is not None


class Judge:
    """Gives the verdicts on the tags of one repository.

    Tags are shown to `note` first, the newest first, as many as the rules need. A pull is known after `leeway` seconds
    at the latest, so what was pulled so long before the end of a time still counts.
    """

    def __init__(self, policy: Policy, now: int, leeway: int = 0) -> None:
        self._policy = policy
        self._now = now
        self._leeway = leeway
        # Each tag is asked twice in a row at most: for the newest, and for its verdict.
        self._last: tuple[str, int | None] = ("", None)
        self._newest: list[set[int]] = [set() for _ in policy.rules]

    def rule_of(self, tag: str) -> int | None:
        if tag != self._last[0]:
            self._last = tag, None if is_auxiliary(tag) else self._policy.rule_of(tag)
        return self._last[1]

    def most_newest(self, rule: int) -> int:
        """Returns how many of the newest the rule keeps; 0 if it doesn't go by that."""
        return self._policy.rules[rule].newest or 0

    def note(self, tag: str, manifest_id: int) -> None:
        """Counts a tag among the newest of its rule: manifests count, however many tags they have."""
        number = self.rule_of(tag)
        if number is not None and len(self._newest[number]) < self.most_newest(number):
            self._newest[number].add(manifest_id)

    def is_complete(self, rules: set[int]) -> bool:
        """Tells whether no further tag can be among the newest of these rules."""
        return all(len(self._newest[number]) >= self.most_newest(number) for number in rules)

    def verdict(self, tag: TagFacts) -> Verdict:
        if is_auxiliary(tag.name):
            return Verdict(False, "auxiliary", None, "it belongs to the manifest that it is named after")
        if tag.refusal is not None:
            return Verdict(False, "tag-rule", None, tag.refusal, self._now + _DAY)
        if tag.pinned_until is not None and tag.pinned_until > self._now:
            return Verdict(False, "pinned", None, f"pinned until {_moment(tag.pinned_until)}", tag.pinned_until)
        end = tag.pushed_at + self._policy.new_for * SECOND
        if end > self._now:
            why = f"pushed {self._ago(tag.pushed_at)} ago: nothing goes for {spans.written(self._policy.new_for)}"
            return Verdict(False, "new", None, f"{why} after a push", end)
        number = self.rule_of(tag.name)
        if number is None:
            return Verdict(False, "unmatched", None, "no rule of the policy is about it")
        return self._by_rule(number, self._policy.rules[number], tag)

    def _by_rule(self, number: int, rule: Rule, tag: TagFacts) -> Verdict:
        named = f"rule {number + 1} ({rule.tags})"
        if rule.keeps_all:
            return Verdict(False, "all", number + 1, f"{named} keeps all")
        conditions = self._conditions(number, rule, tag)
        holding = [condition for condition in conditions if condition.holds_until is not None]
        if holding:
            last = max(holding, key=lambda condition: condition.holds_until or 0)
            return Verdict(False, holding[0].reason, number + 1, f"{named}: {holding[0].why}", last.holds_until)
        reasons = [condition.why for condition in conditions]
        if rule.pulled_within is None:
            reasons.append(f"{self._pulled(tag)} (no condition of the rule is about pulls)")
        return Verdict(True, "expired", number + 1, f"{named}: {'; '.join(reasons)}")

    def _conditions(self, number: int, rule: Rule, tag: TagFacts) -> list[_Condition]:
        found = []
        if rule.newest is not None:
            is_among = tag.manifest_id in self._newest[number]
            why = f"{'among' if is_among else 'not among'} the newest {rule.newest}"
            found.append(_Condition("newest", why, self._now + _DAY if is_among else None))
        if rule.pushed_within is not None:
            end = tag.pushed_at + rule.pushed_within * SECOND
            why = f"pushed {self._ago(tag.pushed_at)} ago (kept for {spans.written(rule.pushed_within)})"
            found.append(_Condition("pushed", why, end if end > self._now else None))
        if rule.pulled_within is not None:
            why = f"{self._pulled(tag)} (kept for {spans.written(rule.pulled_within)})"
            end = 0 if tag.pulled_at is None else tag.pulled_at + (rule.pulled_within + self._leeway) * SECOND
            found.append(_Condition("pulled", why, end if end > self._now else None))
        return found

    def _pulled(self, tag: TagFacts) -> str:
        return "never pulled" if tag.pulled_at is None else f"last pulled {self._ago(tag.pulled_at)} ago"

    def _ago(self, moment: int) -> str:
        return spans.roughly(max(0, self._now - moment) / SECOND)


@dataclass(frozen=True, slots=True)
class _Condition:
    """`holds_until` is None if it doesn't hold."""

    reason: Reason
    why: str
    holds_until: int | None


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
