"""Plans and runs of retention: what would go and why, and what went."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.retention import policies, routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import repositories, text
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer
from functions.api.web.rows import plain, rows
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.retention import plans, progress, runs, verdicts
from functions.registry.metadata.retention.plans import NewPlan
from functions.registry.metadata.retention.policies import namespace_of as place_of
from functions.registry.metadata.retention.runs import Run
from functions.registry.retention import applying, judging, planning, spans, undoing

_LONGEST_NAME: Final = 64
_NEWEST: Final = 2**62
# How long a request works at a plan, or at a run, before it leaves the rest to the garbage collection.
_SECONDS: Final = 5.0
_OF_PLANNED: Final = {"name", "repositories", "rules", "new_for", "position"}


def make_plan(context: Context, _: routes.MakePlan) -> Response:
    """Plans by a policy that is saved, or by of one that the body has whole; a small plan is there at once."""
    optional = {**policies.REQUIRED, **policies.OPTIONAL, "within": repositories}
    fields = json_body.read(context, {"policy": text(_LONGEST_NAME)}, optional)
    name, within = fields.pop("policy"), fields.pop("within", None)
    if fields:
        for required in policies.REQUIRED:
            if required not in fields:
                raise ParameterInvalid(f"{required} is missing: a policy that isn't saved is given whole")
        policy_id, revision = None, 0
        planned: Any = policies.new_policy(context, name, fields)
    else:
        planned = policies.known(context, name)
        policy_id, revision = planned.id, planned.revision
    document = {
        "name": planned.name,
        "repositories": planned.repositories,
        "position": planned.position,
        "rules": planned.rules,
        "new_for": planned.new_for,
    }
    plan = NewPlan(policy_id, planned.name, place_of(planned.repositories), revision, document, within)
    made = plans.add(context.services.database, plan, context.caller.label)
    planning.make(context.services.database, _leeway(context), time.monotonic() + _SECONDS, made)
    registry_changed(context, "retention.plan", name, namespace_of(planned.repositories), run=made)
    run = _known(context, made)
    if run.state == "making":
        context.services.gc_trigger.send()
    headers = {"Location": f"/api/v1/retention/runs/{made}"}
    return answer(_shown(run), HTTPStatus.CREATED, headers)


def list_runs(context: Context, route: routes.ListRuns) -> Response:
    before = _NEWEST if route.before is None else route.before
    found = runs.list_page(context.services.database, route.size, before, route.namespace, route.policy)
    page, more = cut(found, route.size)
    chosen = {"namespace": route.namespace, "policy": route.policy}
    query = {"n": str(route.size), **{name: value for name, value in chosen.items() if value is not None}}
    headers = link("/api/v1/retention/runs", **query, before=str(page[-1].id)) if more and page else {}
    return answer({"runs": [_shown(run) for run in page]}, headers=headers)


def get(context: Context, route: routes.GetRun) -> Response:
    return answer(_shown(_known(context, route.run)))


def list_verdicts(context: Context, route: routes.ListVerdicts) -> Response:
    _known(context, route.run)
    found = verdicts.list_page(context.services.database, route.run, route.wanted, route.last, route.size)
    page, more = cut(found, route.size)
    [wanted] = rows([route.wanted])
    query = {"n": str(route.size), **{name: value for name, value in wanted.items() if value is not None}}
    last = f"{page[-1].repository_id}:{page[-1].tag}" if page else ""
    headers = link(f"/api/v1/retention/runs/{route.run}/verdicts", **query, last=last) if more and page else {}
    shown = rows(page)
    for each in shown:
        del each["repository_id"]
    return answer({"verdicts": shown}, headers=headers)


def decide(context: Context, route: routes.DecideRun) -> Response:
    """What takes long goes on with the garbage collection; the answer says how far it is."""
    json_body.read(context, {}, {})
    run = _known(context, route.run)
    if route.decision == "apply":
        _apply(context, run)
    elif route.decision == "undo":
        _undo(context, run)
    elif not runs.set_state(context.services.database, run.id, "dropped", ("making", "ready", "held", "preview")):
        raise ResourceExists(f"run {run.id} is {run.state}: there is nothing to drop")
    registry_changed(
        context, f"retention.{route.decision}", run.policy, namespace_of(run.document["repositories"]), run=run.id
    )
    return answer(_shown(_known(context, run.id)))


def _apply(context: Context, run: Run) -> None:
    database = context.services.database
    if not progress.begin(database, run.id, context.caller.label):
        raise ResourceExists(_refusal(run))
    if not applying.apply_until(database, _leeway(context), run.id, time.monotonic() + _SECONDS):
        context.services.gc_trigger.send()


def _undo(context: Context, run: Run) -> None:
    """What takes longer than a request is put back when it is asked for again."""
    database = context.services.database
    if not runs.set_state(database, run.id, "undoing", ("done", "undoing")):
        raise ResourceExists(f"run {run.id} is {run.state}: what is done can be undone")
    undoing.undo_until(database, run.id, time.monotonic() + _SECONDS)


def _refusal(run: Run) -> str:
    if run.state not in {"ready", "held"}:
        return f"run {run.id} is {run.state}: what is ready or held can be applied"
    if run.policy_id is None:
        return "it is a plan of a policy that isn't saved: save the policy, and plan again"
    return "the policy was changed since, or the plan is too old: plan again"


def _known(context: Context, run_id: int) -> Run:
    """Raises ResourceUnknown; and Denied, as for policies."""
    run = runs.get(context.services.database, run_id)
    policies.require_authority_over(context, None if run is None else run.document["repositories"])
    if run is None:
        raise ResourceUnknown("no such run")
    return run


def _leeway(context: Context) -> int:
    return judging.leeway(context.services.settings.pulls_and_pushes_interval_seconds)


def _shown(run: Run) -> dict[str, Any]:
    [shown] = rows([run])
    del shown["policy_id"], shown["namespace"]
    document = {name: value for name, value in shown.pop("document").items() if name in _OF_PLANNED}
    return {
        **shown,
        "within": shown.pop("repositories"),
        "repositories": document["repositories"],
        "rules": document["rules"],
        "new_for": spans.written(document["new_for"]),
        "expires_at": plain(run.expires_at),
    }
