"""The routes of retention: policies, plans and runs, and the verdict on one tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.api.route import InRepository, Route
from functions.registry.metadata.retention.verdicts import Wanted
from functions.registry.oci.name import Tag

Decision = Literal["apply", "drop", "undo"]


@dataclass(frozen=True, slots=True)
class ListPolicies(Route):
    namespace: str | None


@dataclass(frozen=True, slots=True)
class OfPolicy(Route):
    """A route about one policy."""

    policy: str


@dataclass(frozen=True, slots=True)
class GetPolicy(OfPolicy):
    pass


@dataclass(frozen=True, slots=True)
class PutPolicy(OfPolicy):
    """Makes it, or puts another in its place."""


@dataclass(frozen=True, slots=True)
class RemovePolicy(OfPolicy):
    """With a revision: only that one."""

    revision: int | None


@dataclass(frozen=True, slots=True)
class MakePlan(Route):
    """What a policy would do, saved or not."""


@dataclass(frozen=True, slots=True)
class ListRuns(Route):
    size: int
    before: int | None
    namespace: str | None
    policy: str | None


@dataclass(frozen=True, slots=True)
class OfRun(Route):
    """A route about one plan or run."""

    run: int


@dataclass(frozen=True, slots=True)
class GetRun(OfRun):
    pass


@dataclass(frozen=True, slots=True)
class ListVerdicts(OfRun):
    """`last` is the repository's id and the tag with which the page before ended."""

    wanted: Wanted
    size: int
    last: tuple[int, str]


@dataclass(frozen=True, slots=True)
class DecideRun(OfRun):
    decision: Decision


@dataclass(frozen=True, slots=True)
class ExplainTag(InRepository):
    tag: Tag
