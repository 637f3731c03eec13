"""How answers look: the one table from errors to statuses, and the one place that renders them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.web import errors as api_errors
from functions.api.web import gitlab_errors
from functions.registry.config import Settings
from functions.registry.oci import errors
from functions.registry.oci.errors import OciError

STATUSES: Final[dict[type[OciError], HTTPStatus]] = {
    errors.NameInvalid: HTTPStatus.BAD_REQUEST,
    errors.NameUnknown: HTTPStatus.NOT_FOUND,
    errors.DigestInvalid: HTTPStatus.BAD_REQUEST,
    errors.BlobUnknown: HTTPStatus.NOT_FOUND,
    errors.BlobReferenced: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.UploadUnknown: HTTPStatus.NOT_FOUND,
    errors.UploadInvalid: HTTPStatus.BAD_REQUEST,
    errors.UploadOutOfOrder: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.ManifestUnknown: HTTPStatus.NOT_FOUND,
    errors.ManifestInvalid: HTTPStatus.BAD_REQUEST,
    errors.ManifestBlobUnknown: HTTPStatus.NOT_FOUND,
    errors.ManifestReferenced: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.ManifestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.RequestTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.SizeInvalid: HTTPStatus.BAD_REQUEST,
    errors.RangeInvalid: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.PageInvalid: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Denied: HTTPStatus.FORBIDDEN,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    api_errors.ParameterInvalid: HTTPStatus.BAD_REQUEST,
    api_errors.ResourceUnknown: HTTPStatus.NOT_FOUND,
    api_errors.ResourceExists: HTTPStatus.CONFLICT,
    api_errors.NameConflict: HTTPStatus.CONFLICT,
    api_errors.ImportUnfinished: HTTPStatus.CONFLICT,
    api_errors.NotRestorable: HTTPStatus.CONFLICT,
    errors.EndpointUnknown: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.WritesElsewhere: HTTPStatus.METHOD_NOT_ALLOWED,
    gitlab_errors.QueryValueInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.QueryTypeInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.BodyValueInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.BodyTypeInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.JsonInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.ProjectUnknown: HTTPStatus.BAD_REQUEST,
    gitlab_errors.ProjectDiffers: HTTPStatus.BAD_REQUEST,
    gitlab_errors.RenameConflict: HTTPStatus.CONFLICT,
    gitlab_errors.MigrationInvalid: HTTPStatus.BAD_REQUEST,
    gitlab_errors.MigrationUnknown: HTTPStatus.NOT_FOUND,
    gitlab_errors.TagUnknown: HTTPStatus.NOT_FOUND,
    gitlab_errors.TagInvalid: HTTPStatus.BAD_REQUEST,
}
RETRY_AFTER_SECONDS: Final = 1
# Whoever comes again sends megabytes again.
NO_ROOM_SECONDS: Final = 5


def json_response(document: Any, content_type: str = "application/json", **headers: str) -> Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # Strangers' text is filtered where it is read; half of a surrogate pair that still came so far is no fault of ours.
    response = Response(text.encode(errors="replace"), content_type=content_type)
    response.headers.extend(headers)
    return response


def answer(
    shown: dict[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Returns a JSON response that nobody on the way keeps: some of what it shows is shown once."""
    response = json_response(shown, **(headers or {}))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def gitlab_headers(settings: Settings) -> dict[str, str]:
    """Returns the header by which GitLab knows the version of a registry."""
    return {"Gitlab-Container-Registry-Version": settings.gitlab_version}


def empty(status: HTTPStatus, headers: dict[str, str]) -> Response:
    response = Response(status=status)
    response.headers.remove("Content-Type")
    response.headers.extend(headers)
    return response


def refused(error: OciError) -> Response:
    """Answers as distribution-spec says, "Error Codes"."""
    entry: dict[str, Any] = {"code": error.code, "message": error.reason or error.message}
    if error.detail:
        entry["detail"] = error.detail
    response = json_response({"errors": [entry]})
    response.status_code = STATUSES[type(error)]
    match error:
        case errors.MethodNotAllowed(allow=allow):
            response.headers["Allow"] = ", ".join(allow)
        case errors.InUse():
            response.headers["Allow"] = "GET, HEAD"
        case errors.UploadOutOfOrder(offset=offset, location=location):
            response.headers.update({"Location": location, "Range": upload_range(offset)})
        case errors.RangeInvalid(size=size):
            response.headers["Content-Range"] = f"bytes */{size}"
        case errors.Unauthorized(challenge=challenge):
            response.headers["WWW-Authenticate"] = challenge
        case errors.TooManyRequests(retry_after=seconds):
            response.headers["Retry-After"] = str(seconds)
    return response


def unavailable(*, is_full: bool = False) -> Response:
    """A dependency is down, or this process `is_full`: the client may try again."""
    response = json_response({"errors": [{"code": "UNKNOWN", "message": "temporarily unavailable: try again"}]})
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    response.headers["Retry-After"] = str(NO_ROOM_SECONDS if is_full else RETRY_AFTER_SECONDS)
    return response


def failed() -> Response:
    """Answers for a fault of ours, of which nothing is shown."""
    response = json_response({"errors": [{"code": "UNKNOWN", "message": "unknown error"}]})
    response.status_code = HTTPStatus.INTERNAL_SERVER_ERROR
    return response


def upload_range(received: int) -> str:
    """Returns what an upload has: `0-0` also when that is nothing, which is the form that clients read."""
    return f"0-{max(received - 1, 0)}"
