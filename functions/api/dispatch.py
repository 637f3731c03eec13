"""From a request to an answer: parse, find the handler, render what it gives or raises, write one log line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Request, Response

from functions.api import base, blobs, catalog, collection, description, manifests, referrers, responses, tags, uploads
from functions.api.body import Body
from functions.api.context import Context
from functions.registry import telemetry
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.oci import route as routes
from functions.registry.oci.errors import OciError
from functions.registry.oci.routing import parse
from functions.registry.wiring import Services

Handler = Callable[[Context, Any], Response]

ROUTES: Final[dict[type[routes.Route], Handler]] = {
    routes.CheckVersion: base.check,
    routes.GetDescription: description.get,
    routes.GetCollection: collection.get,
    routes.PreviewCollection: collection.preview,
    routes.ListRepositories: catalog.list_repositories,
    routes.ListTags: tags.list_tags,
    routes.GetManifest: manifests.get,
    routes.PutManifest: manifests.put,
    routes.DeleteManifest: manifests.delete,
    routes.GetBlob: blobs.get,
    routes.HeadBlob: blobs.head,
    routes.DeleteBlob: blobs.delete,
    routes.StartUpload: uploads.start,
    routes.GetUpload: uploads.status,
    routes.PatchUpload: uploads.patch,
    routes.PutUpload: uploads.put,
    routes.DeleteUpload: uploads.cancel,
    routes.ListReferrers: referrers.list_referrers,
}

# What they committed may have left something to collect.
_LEAVING_GARBAGE: Final = (
    routes.PutManifest,
    routes.DeleteManifest,
    routes.DeleteBlob,
    routes.PutUpload,
    routes.DeleteUpload,
)


def handle(services: Services, request: Request) -> Response:
    """Never raises, and never leaves a body unread in the server's hands."""
    with telemetry.recording() as record:
        body = Body(request, services.settings.body_idle_seconds)
        response = _answer(Context(services, request, body))
        if not body.drain():
            # A streamed answer keeps the framework from reading on: into memory, or from a client that is gone.
            response = Response(iter([response.get_data()]), response.status_code, response.headers)
            response.headers["Connection"] = "close"
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        _log(request, response, body, record)
        return response


def _answer(context: Context) -> Response:
    request = context.request
    try:
        query = routes.Query(list(request.args.items(multi=True)))
        route = parse(request.method, request.path, query)
        telemetry.note(route=type(route).__name__, repository=getattr(route, "repository", None))
        response = ROUTES[type(route)](context, route)
    except OciError as error:
        telemetry.note(code=error.code, reason=error.reason)
        return responses.refused(error)
    except (MetadataUnavailable, BlobStoreUnavailable) as error:
        telemetry.note(code="UNAVAILABLE", reason=f"{type(error).__name__}: {error}")
        return responses.unavailable()
    except Exception as error:  # noqa: BLE001  # the last resort: the client sees that something failed, the log sees what
        telemetry.log_exception("unexpected error", error, method=request.method, path=request.path)
        telemetry.note(code="UNKNOWN")
        return responses.failed()
    if isinstance(route, _LEAVING_GARBAGE):
        context.services.hints.send()
    return response


def _log(request: Request, response: Response, body: Body, record: telemetry.Record) -> None:
    telemetry.log(
        "ERROR" if response.status_code >= 500 else "INFO",  # noqa: PLR2004  # the class of server errors
        "request",
        method=request.method,
        status=response.status_code,
        bytes_in=body.received,
        bytes_out=response.content_length,
        ms=record.milliseconds,
        database_ms=round(record.database_seconds * 1000, 1),
        statements=len(record.statements),
        trace=request.headers.get("X-Cloud-Trace-Context"),
        client=request.headers.get("User-Agent"),
        **record.fields,
    )
