"""The paths of retention, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast, get_args

from functions.api.route import NAME, Parser, Query, Route, choice_of, name_in, text_of
from functions.api.v1.retention.routes import (
    DecideRun,
    Decision,
    ExplainTag,
    GetRun,
    ListPolicies,
    ListRuns,
    ListVerdicts,
    RemovePolicy,
)
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.retention.verdicts import OUTCOMES, Wanted
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page
from functions.registry.retention.verdicts import REASONS

DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)

POLICIES: Final = r"/api/v1/retention/policies"
POLICY: Final = rf"{POLICIES}/(?P<policy>[^/]+)"
PLANS: Final = r"/api/v1/retention/plans"
RUNS: Final = r"/api/v1/retention/runs"
RUN: Final = rf"{RUNS}/(?P<run>[^/]+)"
VERDICTS: Final = rf"{RUN}/verdicts"
DECISION: Final = rf"{RUN}/(?P<decision>{'|'.join(DECISIONS)})"
OF_TAG: Final = rf"/api/v1/repositories/{NAME}/-/tags/(?P<tag>[^/]+)/retention"

# More digits than the database's numbers have is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LAST: Final = re.compile(r"([0-9]{1,18}):([A-Za-z0-9._-]{1,128})")


def list_policies(_: re.Match[str], query: Query) -> Route:
    return ListPolicies(text_of(query, "namespace"))


def of_policy(route: Callable[[str], Route]) -> Parser:
    """Returns the parser of a route that has a policy's name and nothing else."""
    return lambda match, _: route(_policy(match))


def remove_policy(match: re.Match[str], query: Query) -> Route:
    return RemovePolicy(_policy(match), _number_of(query, "revision"))


def list_runs(_: re.Match[str], query: Query) -> Route:
    size = Page.parse(query.get("n"), None).size
    return ListRuns(size, _number_of(query, "before"), text_of(query, "namespace"), text_of(query, "policy"))


def get_run(match: re.Match[str], _: Query) -> Route:
    return GetRun(_run(match))


def list_verdicts(match: re.Match[str], query: Query) -> Route:
    wanted = Wanted(
        choice_of(query, "verdict", ("keep", "remove")),
        choice_of(query, "reason", REASONS),
        choice_of(query, "outcome", OUTCOMES),
    )
    last = query.get("last")
    found = None if last is None else _LAST.fullmatch(last)
    if last is not None and found is None:
        raise ParameterInvalid("last takes what the Link of the page before has")
    after = (int(found[1]), found[2]) if found else (0, "")
    return ListVerdicts(_run(match), wanted, Page.parse(query.get("n"), None).size, after)


def decide(match: re.Match[str], _: Query) -> Route:
    return DecideRun(_run(match), cast(Decision, match["decision"]))


def explain_tag(match: re.Match[str], _: Query) -> Route:
    return ExplainTag(name_in(match), Tag.parse(match["tag"]))


def _policy(match: re.Match[str]) -> str:
    if not _NAME.fullmatch(match["policy"]):
        raise ParameterInvalid("a policy's name has 1 to 64 lower-case letters, digits, . _ and -")
    return match["policy"]


def _run(match: re.Match[str]) -> int:
    if not _NUMBER.fullmatch(match["run"]):
        raise ResourceUnknown("no such run")
    return int(match["run"])


def _number_of(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is not None and not _NUMBER.fullmatch(text):
        raise ParameterInvalid(f"{name} must be a number")
    return None if text is None else int(text)
