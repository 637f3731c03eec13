"""The endpoints of retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import AdministratorOf, RightTo, SomeAdministrator
from functions.api.route import plain
from functions.api.v1.retention import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.retention import explaining, policies, runs
else:
    explaining = Later("functions.api.v1.retention.explaining")
    policies = Later("functions.api.v1.retention.policies")
    runs = Later("functions.api.v1.retention.runs")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.POLICIES,
        route=routes.ListPolicies,
        parse=paths.list_policies,
        handler=policies.list_policies,
        permission=AdministratorOf(),
        action="retention.policies",
    ),
    Endpoint(
        method="GET",
        path=paths.POLICY,
        route=routes.GetPolicy,
        parse=paths.of_policy(routes.GetPolicy),
        handler=policies.get,
        permission=SomeAdministrator(),
        action="retention.policy",
    ),
    Endpoint(
        method="PUT",
        path=paths.POLICY,
        route=routes.PutPolicy,
        parse=paths.of_policy(routes.PutPolicy),
        handler=policies.put,
        permission=SomeAdministrator(),
        action="retention.set-policy",
    ),
    Endpoint(
        method="DELETE",
        path=paths.POLICY,
        route=routes.RemovePolicy,
        parse=paths.remove_policy,
        handler=policies.remove,
        permission=SomeAdministrator(),
        action="retention.remove-policy",
    ),
    Endpoint(
        method="POST",
        path=paths.PLANS,
        route=routes.MakePlan,
        parse=plain(routes.MakePlan),
        handler=runs.make_plan,
        permission=SomeAdministrator(),
        action="retention.plan",
    ),
    Endpoint(
        method="GET",
        path=paths.RUNS,
        route=routes.ListRuns,
        parse=paths.list_runs,
        handler=runs.list_runs,
        permission=AdministratorOf(),
        action="retention.runs",
    ),
    Endpoint(
        method="GET",
        path=paths.RUN,
        route=routes.GetRun,
        parse=paths.get_run,
        handler=runs.get,
        permission=SomeAdministrator(),
        action="retention.run",
    ),
    Endpoint(
        method="GET",
        path=paths.VERDICTS,
        route=routes.ListVerdicts,
        parse=paths.list_verdicts,
        handler=runs.list_verdicts,
        permission=SomeAdministrator(),
        action="retention.verdicts",
    ),
    Endpoint(
        method="POST",
        path=paths.DECISION,
        route=routes.DecideRun,
        parse=paths.decide,
        handler=runs.decide,
        permission=SomeAdministrator(),
        action="retention.decide",
        leaves_garbage=True,
    ),
    Endpoint(
        method="GET",
        path=paths.OF_TAG,
        route=routes.ExplainTag,
        parse=paths.explain_tag,
        handler=explaining.explain_tag,
        permission=RightTo("pull"),
        action="retention.explain",
    ),
)
