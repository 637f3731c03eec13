"""Several calls of the JSON API in one request."""

import uuid
from email import message_from_bytes
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from local.storage.calls import Call
from local.storage.errors import invalid
from local.storage.multipart import boundary_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def answer(application: "WSGIApplication", call: Call) -> Response:
    """Run each part as a call of its own, in order. One that fails does not stop the others."""
    boundary_of(call.content_type)
    head = f"Content-Type: {call.content_type}\r\n\r\n".encode()
    message = message_from_bytes(head + call.small_body())
    boundary = f"batch_{uuid.uuid4().hex}"
    answers = [_answer_part(application, part) for part in message.walk() if not part.is_multipart()]
    body = "".join(f"--{boundary}\r\n{text}\r\n" for text in answers) + f"--{boundary}--\r\n"
    return Response(body, HTTPStatus.OK, content_type=f'multipart/mixed; boundary="{boundary}"')


def _answer_part(application: "WSGIApplication", part: Message) -> str:
    response = Response.from_app(application, _environ(str(part.get_payload())))
    content_id = str(part.get("Content-ID", "")).replace("<", "<response-")
    return (
        f"Content-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n"
        f"HTTP/1.1 {response.status}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
        f"{response.get_data(as_text=True)}"
    )


def _environ(text: str) -> "WSGIEnvironment":
    """Returns the request a part is the text of."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    line, *header_lines = head.strip().splitlines() or [""]
    try:
        method, target, *_ = line.split(" ")
        headers = [(name, value) for name, value in (header.split(": ", 1) for header in header_lines)]
    except ValueError as error:
        raise invalid("Failed to parse batch request.") from error
    address = urlsplit(target)
    # The body's length is counted anew: line ends were changed on the way.
    headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
    builder = EnvironBuilder(method=method, headers=headers, data=body.strip())
    try:
        environ = builder.get_environ()
    finally:
        builder.close()
    return {**environ, "RAW_URI": address.path, "QUERY_STRING": address.query}
