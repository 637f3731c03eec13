"""What retention has to keep, said once more and in another way: by whole lists, without pages, walks or due dates.

It knows nothing of the product but how rules are written.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

HOUR = 3600
DAY = 86_400
_SECONDS = {"m": 60, "h": HOUR, "d": DAY}


@dataclass(frozen=True)
class ModelTag:
    """`pushed` and `pulled` are seconds ago; `is_protected` by a tag rule."""

    name: str
    manifest: int
    pushed: float
    pulled: float | None
    is_protected: bool = False


def kept(rules: list[dict[str, Any]], new_for: int, tags: list[ModelTag], leeway: int) -> dict[str, str | None]:
    """Returns for each tag the reason for which it stays; None if it goes."""
    deciding = {tag.name: _deciding(rules, tag.name) for tag in tags}
    return {tag.name: _reason(rules, new_for, tag, tags, deciding, leeway) for tag in tags}


def _is_auxiliary(name: str) -> bool:
    return name.startswith("sha256-")


def _fits(pattern: str, name: str) -> bool:
    if pattern.startswith("re:"):
        return re.fullmatch(pattern[3:], name) is not None
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _deciding(rules: list[dict[str, Any]], name: str) -> int | None:
    for number, rule in enumerate(rules):
        if _fits(rule["tags"], name) and not any(_fits(pattern, name) for pattern in rule.get("except", [])):
            return number
    return None


def _reason(
    rules: list[dict[str, Any]],
    new_for: int,
    tag: ModelTag,
    tags: list[ModelTag],
    deciding: dict[str, int | None],
    leeway: int,
) -> str | None:
    number = deciding[tag.name]
    keep = None if number is None else rules[number]["keep"]
    peers = [each for each in tags if deciding[each.name] == number and not _is_auxiliary(each.name)]
    # How many manifests have a tag that was pushed later than all tags of this one's.
    latest = {each.manifest: min(other.pushed for other in peers if other.manifest == each.manifest) for each in peers}
    conditions = [
        ("auxiliary", _is_auxiliary(tag.name)),
        ("tag-rule", tag.is_protected),
        ("new", tag.pushed < new_for),
        ("unmatched", number is None),
        ("all", keep == "all"),
    ]
    if isinstance(keep, dict):
        if "newest" in keep:
            later = sum(pushed < latest.get(tag.manifest, 0) for pushed in latest.values())
            conditions.append(("newest", later < keep["newest"]))
        if "pushed_within" in keep:
            conditions.append(("pushed", tag.pushed < _length(keep["pushed_within"])))
        if "pulled_within" in keep:
            within = _length(keep["pulled_within"]) + leeway
            conditions.append(("pulled", tag.pulled is not None and tag.pulled < within))
    return next((reason for reason, holds in conditions if holds), None)


def _length(text: str) -> int:
    return int(text[:-1]) * _SECONDS[text[-1]]


_NAMES = ("v1.0.{}", "v2.{}", "pr-{}", "build-{}", "nightly-{}", "{}.0", "main-{}")
_PATTERNS = ("*", "pr-*", "v*", "*-1*", "re:v?[0-9]+[.][0-9]+.*", "re:(pr|build)-.*", "build-*", "re:.*[02468]")


def random_tags(chance: random.Random, most: int) -> list[ModelTag]:
    """Times are whole hours and a half, so that nothing is decided by the second in which it is looked at."""
    count = chance.randint(0, most)
    times = chance.sample(range(60 * 24), count)
    tags = []
    for number, hours in enumerate(times):
        name = chance.choice(_NAMES).format(number)
        if chance.random() < 0.1:
            name = f"sha256-{number:064x}{chance.choice(['', '.sig', '.att'])}"
        pulled = chance.choice([None, chance.randint(0, hours)]) if chance.random() < 0.7 else None
        tags.append(
            ModelTag(
                name,
                chance.randint(1, max(1, count * 2 // 3)),
                hours * HOUR + HOUR // 2,
                None if pulled is None else pulled * HOUR + HOUR // 2,
                chance.random() < 0.1,
            )
        )
    return tags


def random_rules(chance: random.Random) -> list[dict[str, Any]]:
    rules = []
    for _ in range(chance.randint(1, 4)):
        rule: dict[str, Any] = {"tags": chance.choice(_PATTERNS)}
        if chance.random() < 0.4:
            rule["except"] = chance.sample(_PATTERNS[1:], chance.randint(1, 2))
        conditions = {
            "newest": chance.choice([1, 2, 3, 5, 20]),
            "pushed_within": chance.choice(["2h", "3d", "14d", "40d"]),
            "pulled_within": chance.choice(["2h", "3d", "14d", "40d"]),
        }
        chosen = chance.sample(sorted(conditions), chance.randint(1, 3))
        rule["keep"] = "all" if chance.random() < 0.1 else {name: conditions[name] for name in chosen}
        rules.append(rule)
    return rules
