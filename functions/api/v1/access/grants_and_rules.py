"""Grants, rules and the audit trail, for administrators."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import access_changed
from functions.api.v1.access import routes
from functions.api.v1.access.principals import known
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import ROLE, choice, nullable, number, repositories, tags, text
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer, empty
from functions.api.web.rows import plain, rows
from functions.registry.metadata.access import audit, grants, principals, rules
from functions.registry.metadata.access.audit import Entry, Filter
from functions.registry.metadata.access.grants import Bounds, Grant, GrantRefused, TooManyGrants
from functions.registry.metadata.access.patterns import namespace_of, stars
from functions.registry.metadata.access.rules import (
    FIRST_OF_NAMESPACES,
    KINDS,
    NewRule,
    RuleExists,
    RuleRefused,
    TooManyRules,
)
from functions.registry.oci.errors import Denied

_LONGEST_NAME: Final = 128
_LAST_POSITION: Final = 2**31 - 1
# A pattern and an id.
_END_OF_PAGE: Final = re.compile(r"([a-z0-9._/*-]{1,255}):([0-9]{1,18})")


def list_grants(context: Context, route: routes.ListGrants) -> Response:
    database, page, namespace = context.services.database, route.page, route.namespace
    principal_id = _listed_principal(context, route.principal)
    shown, more = cut(grants.list_page(database, page.size, after(page.last), principal_id, namespace), page.size)
    chosen = {"principal": route.principal, "namespace": namespace}
    query = {"n": str(page.size), **{name: value for name, value in chosen.items() if value is not None}}
    headers = link("/api/v1/grants", **query, last=f"{shown[-1].pattern}:{shown[-1].id}") if more and shown else {}
    return answer({"grants": [_grant(each) for each in shown]}, headers=headers)


def add_grant(context: Context, _: routes.AddGrant) -> Response:
    """Gives a role in place of the one that the principal had by the same pattern."""
    fields = json_body.read(
        context,
        {"principal": nullable(text(_LONGEST_NAME)), "repositories": repositories, "role": ROLE},
        {"namespace": nullable(text(_LONGEST_NAME))},
    )
    require_authority_over(context, fields["repositories"])
    _require_few_stars(context, fields["repositories"])
    settings, name = context.services.settings, fields["principal"]
    principal_id = _grantee(context, name, fields) if name is not None else None
    try:
        bounds = Bounds(
            settings.grants_per_namespace, settings.grants_per_grantee, settings.starred_characters_per_grantee
        )
        made = grants.add(context.services.database, principal_id, fields["repositories"], fields["role"], bounds)
    except TooManyGrants as many:
        raise ResourceExists(str(many)) from many
    except GrantRefused as refused:
        raise ParameterInvalid(f"role is refused: {refused}") from refused
    pattern, role = fields["repositories"], fields["role"]
    access_changed(context, "grant.add", pattern, namespace_of(pattern), id=made, principal=name, role=role)
    return answer({"id": made, **fields}, HTTPStatus.CREATED)


def remove_grant(context: Context, route: routes.RemoveGrant) -> Response:
    database = context.services.database
    removed = grants.get(database, route.grant)
    require_authority_over(context, removed.pattern if removed else None)
    if removed is None or not grants.remove(database, route.grant):
        raise ResourceUnknown("no such grant")
    details = {"id": removed.id, "principal": removed.principal, "role": removed.role}
    access_changed(context, "grant.remove", removed.pattern, namespace_of(removed.pattern), **details)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_rules(context: Context, route: routes.ListRules) -> Response:
    """Lists the rules in the order in which they are asked."""
    return answer({"rules": rows(rules.list_all(context.services.database, route.namespace))})


def add_rule(context: Context, _: routes.AddRule) -> Response:
    fields = json_body.read(
        context,
        {"name": text(_LONGEST_NAME), "kind": choice(*KINDS), "repositories": repositories},
        {"tags": tags, "role": nullable(ROLE), "position": number(0, _LAST_POSITION)},
    )
    require_authority_over(context, fields["repositories"])
    _require_few_stars(context, fields["repositories"], fields.get("tags", ""))
    rule = NewRule(**{"position": 0 if context.caller.authority.over_all else FIRST_OF_NAMESPACES, **fields})
    _require_place(context, rule.position)
    try:
        made = rules.add(context.services.database, rule, context.services.settings.rules_per_namespace)
    except (RuleExists, TooManyRules) as exists:
        raise ResourceExists(str(exists)) from exists
    except RuleRefused as refused:
        raise ParameterInvalid(f"kind is refused: {refused}") from refused
    [shown] = rows([rule])
    _record_rule(context, "rule.add", {"id": made, **shown})
    return answer({"id": made, **shown}, HTTPStatus.CREATED)


def remove_rule(context: Context, route: routes.RemoveRule) -> Response:
    database = context.services.database
    found = rules.get(database, route.rule)
    require_authority_over(context, found.repositories if found else None)
    _require_place(context, found.position if found else 0)
    removed = rules.remove(database, route.rule)
    if removed is None:
        raise ResourceUnknown("no such rule")
    [shown] = rows([removed])
    _record_rule(context, "rule.remove", shown)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_audit(context: Context, route: routes.ListAudit) -> Response:
    """Lists the trail, the latest first."""
    namespace = route.namespace
    wanted = Filter(route.principal, route.resource, route.action, route.outcome, namespace)
    found = audit.list_page(context.services.database, route.size, wanted, route.before)
    shown = [entry for entry in found[: route.size] if entry.fits]
    more = len(found) > len(shown)
    asked = {name: value for [chosen] in [rows([wanted])] for name, value in chosen.items() if value is not None}
    headers = link("/api/v1/audit", n=str(route.size), **asked, before=str(shown[-1].id)) if more and shown else {}
    return answer({"entries": [_entry(each) for each in shown]}, headers=headers)


def require_authority_over(context: Context, repositories: str | None) -> None:
    """Raises Denied for what isn't the caller's, and passes None where there is no such grant or rule: a namespace's
    administrator is told the same of others'.
    """
    authority = context.caller.authority
    if authority.over_all or (repositories is not None and authority.over_pattern(repositories)):
        return
    raise Denied("you administer only what begins with your namespace and a slash, such as team/**")


def _require_few_stars(context: Context, *patterns: str) -> None:
    most = context.services.settings.stars_per_pattern
    if any(stars(pattern) > most for pattern in patterns):
        raise ParameterInvalid(f"a pattern has at most {most} stars")


def _listed_principal(context: Context, name: str | None) -> int | None:
    """Returns None for all. A namespace's administrator gets the same for somebody who isn't there and who has
    nothing.
    """
    if name is None:
        return None
    if context.caller.authority.over_all:
        return known(context, name).id
    principal = principals.get(context.services.database, name)
    return principal.id if principal is not None else grants.NOBODY


def _grantee(context: Context, name: str, fields: dict[str, Any]) -> int:
    """A robot of another namespace is its administrators': who grants it something says that this is meant.

    Who is not told of that robot is told the same as of one who isn't there.
    """
    principal = principals.get(context.services.database, name)
    if principal is not None and principal.namespace in {None, namespace_of(fields["repositories"])}:
        return principal.id
    if principal is not None and principal.namespace == fields.get("namespace"):
        return principal.id
    if principal is not None and context.caller.authority.over(principal.namespace):
        reason = f"{name} is a robot of the namespace {principal.namespace}: if that is meant, name it: namespace"
        raise ParameterInvalid(reason)
    reason = f"there is no user {name}, and no robot of this namespace: of another one's, name its namespace as well"
    raise ResourceUnknown(reason)


def _require_place(context: Context, position: int) -> None:
    if position < FIRST_OF_NAMESPACES and not context.caller.authority.over_all:
        raise Denied("the rules in position 0 are those of the registry's administrators")


def _record_rule(context: Context, action: str, shown: dict[str, Any]) -> None:
    details = {name: value for name, value in shown.items() if name != "name"}
    access_changed(context, action, shown["name"], namespace_of(shown["repositories"]), **details)


def after(last: str) -> Grant | None:
    """Reads where a page ends, by pattern and id: it holds also if the grant is gone before the next is asked for."""
    if not last:
        return None
    match = _END_OF_PAGE.fullmatch(last)
    if match is None:
        raise ParameterInvalid("last takes what the Link of the page before has")
    return Grant(int(match[2]), None, match[1], "")


def _grant(grant: Grant) -> dict[str, object]:
    return {"id": grant.id, "principal": grant.principal, "repositories": grant.pattern, "role": grant.role}


def _entry(entry: Entry) -> dict[str, object]:
    [shown] = rows([entry.event])
    return {"id": entry.id, "at": plain(entry.at), **shown}
