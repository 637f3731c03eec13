"""Grants, rules and the audit trail, for registry administrators."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api import document
from functions.api.administration import answer, known, record
from functions.api.context import Context
from functions.api.document import ROLE, choice, nullable, number, repositories, tags, text
from functions.api.pages import cut, link
from functions.api.responses import empty
from functions.api.rows import plain, rows
from functions.registry.metadata import audit, grants, rules
from functions.registry.metadata.audit import Entry, Filter
from functions.registry.metadata.grants import Grant, GrantRefused
from functions.registry.metadata.rules import KINDS, NewRule, RuleExists, RuleRefused
from functions.registry.oci import administration as routes
from functions.registry.oci.errors import ParameterInvalid, ResourceExists, ResourceUnknown

_LONGEST_NAME: Final = 128
_LAST_POSITION: Final = 2**31 - 1
# A pattern and an id.
_END_OF_PAGE: Final = re.compile(r"([a-z0-9._/*-]{1,255}):([0-9]{1,18})")


def list_grants(context: Context, route: routes.ListGrants) -> Response:
    database, page = context.services.database, route.page
    principal_id = known(context, route.principal).id if route.principal is not None else None
    shown, more = cut(grants.list_page(database, page.size, _after(page.last), principal_id), page.size)
    query = {"n": str(page.size), **({"principal": route.principal} if route.principal else {})}
    headers = link("/api/v1/grants", **query, last=f"{shown[-1].pattern}:{shown[-1].id}") if more and shown else {}
    return answer({"grants": [_grant(each) for each in shown]}, headers=headers)


def add_grant(context: Context, _: routes.AddGrant) -> Response:
    """In place of the role that the principal had by the same pattern."""
    fields = document.read(
        context,
        {"principal": nullable(text(_LONGEST_NAME)), "repositories": repositories, "role": ROLE},
        {},
    )
    name = fields["principal"]
    principal_id = known(context, name).id if name is not None else None
    try:
        made = grants.add(context.services.database, principal_id, fields["repositories"], fields["role"])
    except GrantRefused as refused:
        raise ParameterInvalid(f"role is refused: {refused}") from refused
    record(context, "grant.add", fields["repositories"], id=made, principal=name, role=fields["role"])
    return answer({"id": made, **fields}, HTTPStatus.CREATED)


def remove_grant(context: Context, route: routes.RemoveGrant) -> Response:
    database = context.services.database
    removed = grants.get(database, route.grant)
    if removed is None or not grants.remove(database, route.grant):
        raise ResourceUnknown("no such grant")
    record(context, "grant.remove", removed.pattern, id=removed.id, principal=removed.principal, role=removed.role)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_rules(context: Context, _: routes.ListRules) -> Response:
    """In the order in which they are asked."""
    return answer({"rules": rows(rules.list_all(context.services.database))})


def add_rule(context: Context, _: routes.AddRule) -> Response:
    fields = document.read(
        context,
        {"name": text(_LONGEST_NAME), "kind": choice(*KINDS), "repositories": repositories},
        {"tags": tags, "role": nullable(ROLE), "position": number(0, _LAST_POSITION)},
    )
    rule = NewRule(**{"position": 0, **fields})
    try:
        made = rules.add(context.services.database, rule)
    except RuleExists as exists:
        raise ResourceExists(str(exists)) from exists
    except RuleRefused as refused:
        raise ParameterInvalid(f"kind is refused: {refused}") from refused
    [shown] = rows([rule])
    record(context, "rule.add", rule.name, id=made, **{name: shown[name] for name in shown if name != "name"})
    return answer({"id": made, **shown}, HTTPStatus.CREATED)


def remove_rule(context: Context, route: routes.RemoveRule) -> Response:
    removed = rules.remove(context.services.database, route.rule)
    if removed is None:
        raise ResourceUnknown("no such rule")
    [shown] = rows([removed])
    record(context, "rule.remove", removed.name, **{name: shown[name] for name in shown if name != "name"})
    return empty(HTTPStatus.NO_CONTENT, {})


def list_audit(context: Context, route: routes.ListAudit) -> Response:
    """The latest first."""
    wanted = Filter(route.principal, route.resource, route.action, route.outcome)
    shown, more = cut(audit.list_page(context.services.database, route.size, wanted, route.before), route.size)
    asked = {name: value for [chosen] in [rows([wanted])] for name, value in chosen.items() if value is not None}
    headers = link("/api/v1/audit", n=str(route.size), **asked, before=str(shown[-1].id)) if more and shown else {}
    return answer({"entries": [_entry(each) for each in shown]}, headers=headers)


def _after(last: str) -> Grant | None:
    """Where a page ends, by pattern and id: it holds also if the grant is removed before the next page is asked for."""
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
