"""Verdicts on tags as they lie in the database: what a policy needs to see of the newest, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Session
from functions.registry.metadata.retention import facts
from functions.registry.metadata.retention.facts import START, Place
from functions.registry.metadata.retention.policies import StoredPolicy
from functions.registry.metadata.retention.verdicts import NewVerdict
from functions.registry.retention.policies import Policy, read_rules
from functions.registry.retention.verdicts import Judge, TagFacts, Verdict

# The first page is of a few tags, for most rules keep a few; later ones are larger.
_LEAST_PAGE: Final = 20
_LARGEST_PAGE: Final = 1000
# Beside what a process counts pulls in memory for: how late an instance may add them.
_LEEWAY_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Known:
    """A tag as it was read, and the digest of its manifest."""

    facts: TagFacts
    digest: str


def leeway(interval_seconds: int) -> int:
    """Returns how many seconds late a pull may be known, where instances add what they counted after that interval."""
    return interval_seconds + _LEEWAY_SECONDS


def compiled(policy: StoredPolicy) -> Policy:
    """Raises PolicyRefused for rules that this release doesn't know."""
    return Policy(policy.name, read_rules(policy.rules), policy.new_for)


def written(policy: StoredPolicy) -> dict[str, Any]:
    """Returns what a run keeps of the policy that it is of."""
    return {
        "name": policy.name,
        "repositories": policy.repositories,
        "position": policy.position,
        "rules": policy.rules,
        "new_for": policy.new_for,
    }


def of_document(document: Mapping[str, Any]) -> Policy:
    return Policy(document["name"], read_rules(document["rules"]), document["new_for"])


def read(entry: list[Any]) -> Known:
    """Reads what `facts` gives of a tag."""
    *facts_of_tag, digest = entry
    return Known(TagFacts(*facts_of_tag), digest)


def as_row(repository_id: int, known: Known, verdict: Verdict) -> NewVerdict:
    tag = known.facts
    return NewVerdict(
        repository_id=repository_id,
        tag=tag.name,
        manifest_id=tag.manifest_id,
        digest=known.digest,
        size=tag.size,
        pushed_at=tag.pushed_at,
        pulled_at=tag.pulled_at,
        verdict="remove" if verdict.removes else "keep",
        reason=verdict.reason,
        rule=verdict.rule,
        why=verdict.why,
    )


def note_newest(session: Session, judges: Mapping[int, Judge], tags: Iterable[tuple[int, TagFacts]]) -> None:
    """Shows each repository's judge as many of its newest tags as verdicts on these tags need.

    A walk ends where all rules that decide about them have their fill, or no older one of the tags is left.
    """
    needs: dict[int, set[int]] = {}
    oldest: dict[int, int] = {}
    for repository_id, tag in tags:
        judge = judges.get(repository_id)
        number = None if judge is None else judge.rule_of(tag.name)
        if judge is not None and number is not None and judge.most_newest(number):
            needs.setdefault(repository_id, set()).add(number)
            oldest[repository_id] = min(oldest.get(repository_id, tag.pushed_at), tag.pushed_at)
    walks = dict.fromkeys(needs, START)
    factor = 1
    while walks:
        wanted = {
            repository_id: (place, min(_LARGEST_PAGE, factor * _page_for(judges[repository_id], needs[repository_id])))
            for repository_id, place in walks.items()
        }
        pages = facts.newest(session, wanted)
        walks = {}
        for repository_id, page in pages.items():
            judge = judges[repository_id]
            for name, manifest_id, _ in page:
                judge.note(name, manifest_id)
            last_name, _, last_pushed = page[-1]
            is_over = len(page) < wanted[repository_id][1] or last_pushed < oldest[repository_id]
            if not is_over and not judge.is_complete(needs[repository_id]):
                walks[repository_id] = Place(last_pushed, last_name)
        factor *= 4


def _page_for(judge: Judge, rules: set[int]) -> int:
    return max(_LEAST_PAGE, *(judge.most_newest(number) for number in rules))
