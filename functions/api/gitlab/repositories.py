"""GitLab's API: what the registry is, and its repositories (docs/api.md, "GitLab's API")."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from flask import Response

from functions.api.gitlab import routes
from functions.api.web.context import Context
from functions.api.web.pages import cut
from functions.api.web.responses import empty, gitlab_headers, json_response
from functions.registry.metadata.gitlab import repositories as metadata
from functions.registry.oci.errors import NameUnknown


def check(context: Context, _: routes.CheckGitLab) -> Response:
    return line({}, **gitlab_headers(context.services.settings))


def add_slash(context: Context, route: routes.AddSlash) -> Response:
    query = context.request.query_string.decode("latin-1")
    location = quote(route.path) + (f"?{query}" if query else "")
    return empty(HTTPStatus.MOVED_PERMANENTLY, {"Location": location, "Content-Length": "0"})


def statistics(context: Context, _: routes.GetStatistics) -> Response:
    version = f"v{context.services.settings.gitlab_version}"
    return line({"release": {"ext_features": "tag_delete", "version": version}, "database": {"enabled": True}})


def get_details(context: Context, route: routes.GetDetails) -> Response:
    database, with_below = context.services.database, route.extent == "self_with_descendants"
    found = metadata.details(database, route.repository)
    if found is None or (found.created_at is None and not with_below):
        raise NameUnknown(name=route.repository)
    shown: dict[str, Any] = {"name": _last(route.repository), "path": route.repository}
    if route.extent:
        size = metadata.size(database, route.repository, with_below=with_below)
        shown |= {"size_bytes": size.bytes, "size_precision": size.precision}
    shown["created_at"] = moment(found.created_at) if found.created_at else ""
    if found.published_at:
        shown["last_published_at"] = moment(found.published_at)
    return line(shown)


def list_below(context: Context, route: routes.ListBelow) -> Response:
    found = metadata.list_below(context.services.database, route.repository, route.last, route.size)
    if found is None:
        raise NameUnknown(namespace=route.repository.namespace)
    shown, more = cut(found, route.size)
    headers = {}
    if more:
        path = f"/gitlab/v1/repository-paths/{route.repository}/repositories/list/"
        headers = links(path, {"n": str(route.size)}, {"next": ("last", shown[-1][0])})
    return line([{"name": _last(name), "path": name, "created_at": moment(at)} for name, at in shown], **headers)


def line(document: Any, **headers: str) -> Response:
    response = json_response(document, **headers)
    response.set_data(response.get_data() + b"\n")
    return response


def moment(at: datetime) -> str:
    """Writes a time as GitLab does: `2026-01-02T03:04:05.678Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def links(path: str, query: Mapping[str, str], markers: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Returns the header with a link for each relation, whose marker is a parameter and its value.

    GitLab reads the next marker out of it, and nothing else: it splits it at every comma, and wants quotes.
    """
    shown = [
        f'<{path}?{urlencode(sorted({**query, name: value}.items()))}>; rel="{relation}"'
        for relation, (name, value) in markers.items()
    ]
    return {"Link": ", ".join(shown)} if shown else {}


def _last(name: str) -> str:
    return name.rpartition("/")[2]
