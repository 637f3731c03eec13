"""Pushes, pulls and bytes, day by day; and the recount of all figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flask import Response

from functions.api.v1.insights import routes
from functions.api.web.context import Context
from functions.api.web.errors import ResourceUnknown
from functions.api.web.responses import json_response
from functions.api.web.rows import rows
from functions.registry import telemetry
from functions.registry.metadata.content import repositories
from functions.registry.metadata.usage import daily, recount
from functions.registry.metadata.usage.daily import Day
from functions.registry.oci.errors import ManifestUnknown, NameUnknown, OciError
from functions.registry.oci.name import RepositoryName

# A request has to end some time.
_RECOUNT_SECONDS: Final = 240.0


def of_repository(context: Context, route: routes.GetRepositoryDaily) -> Response:
    found = daily.of_repository(context.services.database, route.repository, route.span.first, route.span.last)
    if found is None:
        raise NameUnknown(name=route.repository)
    return _answer(found)


def of_tag(context: Context, route: routes.GetTagDaily) -> Response:
    span = route.span
    found = daily.of_tag(context.services.database, route.repository, route.tag, span.first, span.last)
    if found is None:
        raise _unknown(context, route.repository, route.tag)
    return _answer(found)


def of_manifest(context: Context, route: routes.GetManifestDaily) -> Response:
    span = route.span
    found = daily.of_manifest(context.services.database, route.repository, route.digest, span.first, span.last)
    if found is None:
        raise _unknown(context, route.repository, str(route.digest))
    return _answer(found)


def of_namespace(context: Context, route: routes.GetNamespaceDaily) -> Response:
    found = daily.of_namespace(context.services.database, route.namespace, route.span.first, route.span.last)
    if found is None:
        raise ResourceUnknown("nothing was ever pushed to that namespace")
    return _answer(found)


def of_registry(context: Context, route: routes.GetUsageDaily) -> Response:
    return _answer(daily.of_registry(context.services.database, route.span.first, route.span.last))


def recount_usage(context: Context, _: routes.RecountUsage) -> Response:
    """Reads all there is: for people who ask now and then."""
    found = recount.recount(context.services.database, _RECOUNT_SECONDS)
    if found.differences:
        telemetry.log("ERROR", "figures of usage are wrong", differences=len(found.differences))
    return json_response(
        {
            "repositories": found.repositories,
            "namespaces": found.namespaces,
            "complete": found.is_complete,
            "differences": rows(found.differences),
        }
    )


def _answer(found: Sequence[Day]) -> Response:
    return json_response({"days": rows(found)})


def _unknown(context: Context, repository: RepositoryName, reference: str) -> OciError:
    if not repositories.exists(context.services.database, repository):
        return NameUnknown(name=repository)
    return ManifestUnknown(reference=reference)
