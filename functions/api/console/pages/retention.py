"""Retention: the policies, what each would remove and why, removing just that, and undoing it."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.pages.access import ask, namespace_of
from functions.api.console.rendering import Page, redirect
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotAllowed, NotShown, Visit
from functions.api.route import Query
from functions.api.v1.retention import paths
from functions.api.v1.retention.routes import GetPolicy, ListVerdicts
from functions.api.web.errors import ParameterInvalid
from functions.api.web.pages import cut
from functions.registry.metadata.db import Call
from functions.registry.metadata.retention import policies, runs, verdicts
from functions.registry.metadata.retention.runs import Run
from functions.registry.oci.errors import OciError
from functions.registry.retention import spans

_SIZE: Final = 50
_NEWEST: Final = 2**62
_KEPT_BY: Final = {
    "newest": "the newest {}",
    "pushed_within": "what was pushed within {}",
    "pulled_within": "what was pulled within {}",
}
# What a form asks for, and in which states of a run it is offered.
DECISIONS: Final = {
    "apply": ("ready", "held"),
    "drop": ("making", "ready", "held", "preview"),
    "undo": ("done", "undoing"),
}


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace = namespace_of(query)
    found, made = ask(visit, namespace, [policies.listing(namespace), runs.listing(_SIZE, _NEWEST, namespace, None)])
    values = {
        "policies": [each for each in found if each.repositories != namespace],
        "runs": made[:_SIZE],
        "namespace": namespace,
        "tab": "retention",
    }
    return Page(
        "retention.html",
        "Retention",
        "lifecycle",
        values=values,
        json="/api/v1/retention/policies",
        command="slipway retention list",
    )


def show_policy(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _policy(visit, match, said=said_in(visit, query))


def plan(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    """Judges every tag that the policy is about, and removes nothing."""
    fields = {"within": form["within"]} if form.get("within") else {}
    try:
        made = requests.request(visit, "POST", "/api/v1/retention/plans", policy=match["policy"], **fields)
    except OciError as error:
        return _policy(visit, match, error=error.reason or error.message)
    return redirect(f"/console/lifecycle/runs/{made['id']}")


def show_run(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _run(visit, match, query, said=said_in(visit, query))


def decide(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    """Applies, drops or undoes a run. What removes tags asks for their number, typed: a click alone is too easy."""
    decision, run = form.get("do", ""), match["run"]
    if decision not in DECISIONS:
        raise ParameterInvalid("This form asks for nothing that can be done")
    try:
        if decision == "apply" and form.get("typed", "").replace(",", "") != form.get("waiting"):
            raise ParameterInvalid(f"nothing was removed: type {form.get('waiting')}, the number of tags that go")
        after = requests.request(visit, "POST", f"/api/v1/retention/runs/{run}/{decision}")
    except OciError as error:
        return _run(visit, match, Query(), error=error.reason or error.message)
    return redirect_saying(visit, f"/console/lifecycle/runs/{run}", _said(decision, after))


def _said(decision: str, after: dict[str, Any]) -> str:
    if decision == "drop":
        return "The run is dropped: it removes nothing."
    if decision == "undo":
        return "All of it is put back." if after.get("state") == "undone" else "A part is put back: undo again."
    if after.get("state") == "done":
        return f"{after.get('removed')} tags are removed, {after.get('left_alone')} were left alone."
    return "It is being applied: look again in a moment."


def _policy(visit: Visit, match: re.Match[str], said: str = "", error: str = "") -> Page:
    route = paths.of_policy(GetPolicy)(match, Query())
    assert isinstance(route, GetPolicy)  # noqa: S101  # what this parser makes
    calls: list[Call[Any]] = [policies.reading(route.policy), runs.listing(_SIZE, _NEWEST, None, route.policy)]
    found, made = ask(visit, None, calls, needs_namespace=False)
    _require_over(visit, found[0].repositories if found else None, f"There is no policy {route.policy}.")
    policy = found[0]
    values = {
        "policy": policy,
        "rules": [rule_shown(rule) for rule in policy.rules],
        "new_for": spans.written(policy.new_for),
        "runs": made[:_SIZE],
        "tab": "retention",
        "namespace": None,
        "said": said,
        "error": error,
    }
    return Page(
        "policy.html",
        policy.name,
        "lifecycle",
        values=values,
        json=f"/api/v1/retention/policies/{policy.name}",
        command=f"slipway retention show {policy.name}",
    )


def _run(visit: Visit, match: re.Match[str], query: Query, said: str = "", error: str = "") -> Page:
    route = paths.list_verdicts(match, _asked_of(query))
    assert isinstance(route, ListVerdicts)  # noqa: S101  # what this parser makes
    calls: list[Call[Any]] = [
        runs.reading(route.run),
        verdicts.listing(route.run, route.wanted, route.last, route.size),
    ]
    found, judged = ask(visit, None, calls, needs_namespace=False)
    _require_over(visit, found[0].document["repositories"] if found else None, "There is no such run.")
    run: Run = found[0]
    shown, more = cut(judged, route.size)
    verdict = route.wanted.verdict or ""
    here = f"/console/lifecycle/runs/{run.id}"
    following = {"verdict": verdict or "all", "last": f"{shown[-1].repository_id}:{shown[-1].tag}"} if more else {}
    values = {
        "run": run,
        "here": here,
        "verdict": verdict,
        "verdicts": shown,
        "following": f"{here}?{urlencode(following)}" if following else "",
        "can": {decision for decision, states in DECISIONS.items() if run.state in states},
        "tab": "retention",
        "namespace": None,
        "said": said,
        "error": error,
    }
    return Page(
        "retention_run.html",
        f"Run {run.id} of {run.policy}",
        "lifecycle",
        values=values,
        json=f"/api/v1/retention/runs/{run.id}/verdicts",
        command=f"slipway retention verdicts {run.id}",
    )


def rule_shown(rule: dict[str, Any]) -> tuple[str, list[str], str]:
    """Returns the pattern of a rule, what is excepted from it, and what it keeps, as a sentence has it."""
    keep = rule.get("keep")
    if not isinstance(keep, dict):
        return rule["tags"], rule.get("except", []), "everything"
    parts = [text.format(keep[name]) for name, text in _KEPT_BY.items() if name in keep]
    return rule["tags"], rule.get("except", []), ", and ".join(parts) or "nothing"


def _asked_of(query: Query) -> Query:
    """Shows what goes, unless somebody asks for what stays or for all."""
    verdict = query.get("verdict") or "remove"
    pairs = [(name, value) for name in ("last",) if (value := query.get(name))]
    return Query([*pairs, *([] if verdict == "all" else [("verdict", verdict)]), ("n", str(_SIZE))])


def _require_over(visit: Visit, repositories: str | None, unknown: str) -> None:
    """Tells a namespace's administrator the same of what is elsewhere and of what isn't there."""
    if not visit.authority.over_all and (repositories is None or not visit.authority.over_pattern(repositories)):
        raise NotAllowed("You administer only what begins with your namespace and a slash, such as team/**.")
    if repositories is None:
        raise NotShown(unknown)
