"""One HTTP request, read the way Cloud Storage reads it."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_input_stream

from local.storage.errors import BodyCutError, invalid

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Document = dict[str, Any]

BLOCK: Final = 256 << 10
"""How much of a body is held at a time: what stays in a processor's cache until it is written and hashed."""

_JSON_LIMIT: Final = 16 << 20

CALLS: Final = "slipway.calls"
"""In a request's environ: the application that answers each call of a batch."""


def target_of(environ: "WSGIEnvironment") -> str:
    """Returns path and query as they came over the wire: a decoded path no longer tells `a%2Fb` from `a/b`."""
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target:
        return str(target)
    query = environ.get("QUERY_STRING")
    return quote(environ.get("PATH_INFO", "/")) + (f"?{query}" if query else "")


class Call:
    """A request: its method, its path in segments, its query, and its body as a stream of blocks."""

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._request = Request(environ)
        self._stream = get_input_stream(environ)
        self._received = 0
        self.environ = environ
        self.method = self._request.method
        self.raw_path = urlsplit(target_of(environ)).path
        self.segments = [unquote(segment) for segment in self.raw_path.split("/")[1:]]
        self.pairs = list(self._request.args.items(multi=True))
        self.query = dict(self.pairs)
        self.headers = self._request.headers
        self.host_url = self._request.host_url

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type") or "application/octet-stream"

    @property
    def content_length(self) -> int | None:
        """Returns how long the body says it is; None when it is sent in chunks."""
        return self._request.content_length

    def require(self, parameter: str) -> str:
        """Returns a query parameter the call makes no sense without; 400 when it is missing."""
        value = self.query.get(parameter)
        if value is None:
            raise invalid(f"Required parameter: {parameter}")
        return value

    def blocks(self) -> Iterator[bytes]:
        """Returns the rest of the body. A body shorter than announced raises BodyCutError after its last block."""
        while block := self._read():
            self._received += len(block)
            yield block
        if self.content_length is not None and self._received < self.content_length:
            raise BodyCutError

    def _read(self) -> bytes:
        try:
            return self._stream.read(BLOCK)
        except (OSError, ClientDisconnected) as error:
            raise BodyCutError from error

    def drain(self) -> None:
        """Read what is left of the body: a client that is still sending would see a reset, not the answer."""
        try:
            for _ in self.blocks():
                pass
        except BodyCutError:
            return

    def small_body(self) -> bytes:
        """Returns the whole body of a call that carries a document, not an object."""
        body = bytearray()
        for block in self.blocks():
            body += block
            if len(body) > _JSON_LIMIT:
                raise invalid(f"This call takes a body of at most {_JSON_LIMIT} bytes.")
        return bytes(body)

    def document(self) -> Document:
        """Returns the JSON object in the body; an absent body is an empty one."""
        return parse_document(self.small_body() or b"{}")


def parse_document(text: bytes) -> Document:
    """Returns a JSON object; anything else is a 400."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise invalid("Parse Error") from error
    if not isinstance(document, dict):
        raise invalid("Parse Error")
    return document
