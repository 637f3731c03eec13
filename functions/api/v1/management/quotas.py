"""Quotas of namespaces, for administrators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.management import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.api.web.json_body import nullable, number
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer, empty
from functions.api.web.rows import rows
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota, QuotaReport

MOST: Final = 2**63 - 1
_LIMIT: Final = nullable(number(0, MOST))


def get(context: Context, route: routes.GetQuota) -> Response:
    return answer(_shown(_known(context, route.namespace)))


def put(context: Context, route: routes.SetQuota) -> Response:
    """Sets the quota, which holds from the next push on. What is there already stays."""
    fields = json_body.read(context, {}, {"bytes": _LIMIT, "repositories": _LIMIT})
    quota = Quota(route.namespace, fields.get("bytes"), fields.get("repositories"))
    if quota.bytes is None and quota.repositories is None:
        raise ParameterInvalid("the body has bytes, repositories or both; DELETE takes a quota away")
    quotas.put(context.services.database, quota)
    registry_changed(
        context, "quota.set", route.namespace, route.namespace, bytes=quota.bytes, repositories=quota.repositories
    )
    return answer(_shown(_known(context, route.namespace)))


def remove(context: Context, route: routes.RemoveQuota) -> Response:
    if not quotas.remove(context.services.database, route.namespace):
        raise _unknown(route.namespace)
    registry_changed(context, "quota.remove", route.namespace, route.namespace)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_quotas(context: Context, route: routes.ListQuotas) -> Response:
    shown, more = cut(quotas.list_page(context.services.database, route.page), route.page.size)
    page = {"n": str(route.page.size)}
    headers = link("/api/v1/quotas", **page, last=shown[-1].namespace) if more and shown else {}
    return answer({"quotas": [_shown(each) for each in shown]}, headers=headers)


def _known(context: Context, namespace: str) -> QuotaReport:
    found = quotas.get(context.services.database, namespace)
    if found is None:
        raise _unknown(namespace)
    return found


def _unknown(namespace: str) -> ResourceUnknown:
    return ResourceUnknown(f"namespace {namespace} has no quota")


def _shown(quota: QuotaReport) -> dict[str, Any]:
    [shown] = rows([quota])
    return shown
