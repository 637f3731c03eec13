"""How answers look: JSON for the JSON API, XML for signed URLs, nothing where HTTP allows no body."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from local.storage.calls import Document
from local.storage.errors import StorageError

CLIENT_CLOSED_REQUEST: Final = 499
"""What Cloud Storage answers when an upload is cancelled."""

_JSON: Final = "application/json; charset=UTF-8"
_XML: Final = "application/xml; charset=UTF-8"


def document(content: Document, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), HTTPStatus.OK, headers, content_type=_JSON)


def empty(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status=status, headers=headers)


def json_error(error: StorageError) -> Response:
    if error.status == HTTPStatus.NOT_MODIFIED:
        return empty(error.status)
    cause = {"domain": "global", "reason": error.reason, "message": error.message}
    body = {"error": {"code": error.status, "message": error.message, "errors": [cause]}}
    return Response(json.dumps(body), error.status, content_type=_JSON)


def xml_error(error: StorageError) -> Response:
    if error.status == HTTPStatus.NOT_MODIFIED:
        return empty(error.status)
    elements = {"Code": error.code, "Message": error.message, **error.details}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in elements.items())
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error>{inner}</Error>"
    return Response(body, error.status, content_type=_XML)
