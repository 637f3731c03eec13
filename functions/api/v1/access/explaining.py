"""Who somebody is, what they may do, and which grant or rule says so."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from functions.api.v1.access import routes
from functions.api.v1.access.grants_and_rules import require_authority_over
from functions.api.web.context import Context
from functions.api.web.errors import ResourceUnknown
from functions.api.web.responses import answer
from functions.registry.auth.roles import ACTIONS, Role
from functions.registry.metadata.access import decisions, principals
from functions.registry.metadata.access.decisions import Asked, Decision
from functions.registry.metadata.access.principals import Principal

_ROLES: Final = {role.label: role for role in Role}


def get_caller(context: Context, _: routes.GetCaller) -> Response:
    """Tells who is calling, as the database has it now: what a token says lags behind."""
    caller = context.caller
    authority = context.services.guard.authority(caller)
    return answer(
        {
            "kind": caller.kind,
            "name": caller.name or None,
            "is_admin": authority.over_all,
            "namespaces": list(authority.namespaces),
        }
    )


def explain(context: Context, route: routes.Explain) -> Response:
    """Decides by the same functions of the database that decide when it is done."""
    require_authority_over(context, route.repository)
    database, principal = context.services.database, None
    if route.principal is not None:
        principal = principals.get(database, route.principal)
        if principal is None:
            raise ResourceUnknown(f"there is no user and no robot called {route.principal}")
    asked = Asked(route.repository, route.action, route.tag)
    is_admin = _is_open(context) or (principal is not None and principal.is_admin)
    found = decisions.decide(database, asked, principal.id if principal else None, is_admin=is_admin)
    if principal is not None and found["grant"] is None and not _is_told_of(context, principal):
        raise ResourceUnknown(f"there is no user and no robot called {route.principal}")
    allowed, reason = _judged(context, route, principal, found)
    return answer(
        {
            "principal": route.principal,
            "action": route.action,
            "repository": route.repository,
            "tag": route.tag,
            "allowed": allowed,
            "reason": reason,
            "grant": found["grant"],
        }
    )


def _is_told_of(context: Context, principal: Principal) -> bool:
    """A robot of another namespace, without a grant here, is none of a namespace's administrator's business."""
    return principal.namespace is None or context.caller.authority.over(principal.namespace)


def _is_open(context: Context) -> bool:
    """Where nobody signs in everybody has every right, and only rules stand against them."""
    return context.services.settings.access == "open"


def _judged(context: Context, route: routes.Explain, principal: Principal | None, found: Decision) -> tuple[bool, str]:
    grant = found["grant"]
    who = principal.label if principal else "anyone"
    if _is_open(context):
        held = "the registry is open: everybody has every right"
    elif principal is not None and principal.disabled:
        return False, f"{who} is disabled: nothing signs it in"
    elif principal is not None and principal.is_admin:
        held = f"{who} administers the registry"
    elif grant is None:
        return False, f"no grant gives {who} a role in {route.repository}"
    else:
        held = f"{_whose(grant)} role {grant['role']} in {grant['repositories']}"
        if route.action not in ACTIONS[_ROLES[grant["role"]]]:
            return False, f"{held}, which is not enough to {route.action}"
    if found["refusal"] is not None:
        return False, found["refusal"]
    return True, held


def _whose(grant: dict[str, Any]) -> str:
    return f"{grant['principal']} has the" if grant["principal"] else "anyone has the"
