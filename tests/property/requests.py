"""Requests as a stranger may send them, and what must hold of every answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from functions.registry import telemetry
from functions.registry.oci.errors import EndpointUnknown
from tests.api.description import OPERATIONS, SERVED, template_of
from tests.support import Registry

LONGEST_SECONDS: Final = 1.0
UNSUPPORTED: Final = EndpointUnknown.code
_OPERATIONS: Final = {str(operation): operation for operation in OPERATIONS}


@dataclass(frozen=True)
class Request:
    """`path` and `query` are as they stand in the request line; the body may differ from the length it announces."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: str | None = None

    def environ(self) -> dict[str, Any]:
        """Makes it as a server hands it over: the path percent-decoded, in Latin-1."""
        environ = EnvironBuilder(method="GET").get_environ()
        environ["REQUEST_METHOD"] = self.method
        environ["PATH_INFO"] = _decoded(self.path)
        environ["QUERY_STRING"] = self.query
        environ["wsgi.input"] = BytesIO(self.body)
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        if self.length == "chunked":
            environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        else:
            environ["CONTENT_LENGTH"] = str(len(self.body)) if self.length is None else self.length
        return environ


def _decoded(path: str) -> str:
    raw, *escaped = path.encode().split(b"%")
    for piece in escaped:
        try:
            raw += bytes.fromhex(piece[:2].decode("ascii")) + piece[2:]
        except ValueError:
            raw += b"%" + piece
    return raw.decode("latin-1")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


@dataclass
class Judge:
    """Sends requests and looks at the answers; `traces` are what the registry logged of its own faults."""

    registry: Registry
    longest_seconds: float = LONGEST_SECONDS
    traces: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Judge:
        judge = cls(registry)
        monkeypatch.setattr(telemetry, "log", judge._log)
        return judge

    def _log(self, severity: str, _: str, **fields: Any) -> None:
        if severity == "ERROR":
            self.traces.append(str(fields.get("stack_trace", fields)))

    def ask(self, request: Request) -> Answer:
        """The answer, if nothing is wrong with it."""
        answer, seconds = self._send(request)
        self._check(request, answer)
        # On a busy machine anything may take long once.
        longest = self.longest_seconds
        assert seconds < longest or self._send(request)[1] < longest, f"{seconds:.1f} s: {request}"
        return answer

    def _send(self, request: Request) -> tuple[Answer, float]:
        self.traces.clear()
        started = time.monotonic()
        content, status, headers = run_wsgi_app(self.registry.client.application, request.environ(), buffered=True)
        answer = Answer(int(status.partition(" ")[0]), headers, b"".join(content))
        return answer, time.monotonic() - started

    def _check(self, request: Request, answer: Answer) -> None:
        status, body = answer.status, answer.body
        told = f"{status} for {request}\n{body[:500]!r}\n" + "\n".join(self.traces)
        assert status < 500, told
        assert not (body and (request.method == "HEAD" or status in (204, 304))), told
        code = None
        if status >= 400 and request.method != "HEAD":
            assert answer.headers["Content-Type"] == "application/json", told
            [error] = json.loads(body)["errors"]
            assert set(error) <= {"code", "message", "detail"}, told
            code = error["code"]
        assert _is_described(request, status, code), f"not described: {told}"


def _is_described(request: Request, status: int, code: str | None) -> bool:
    path = _decoded(request.path).encode("latin-1").decode("utf-8", "replace")
    template = template_of(path)
    if template is None:
        return status == 404 and code in (UNSUPPORTED, None)
    if request.method not in SERVED[template]:
        return status == 405 and code in (UNSUPPORTED, None)
    return _OPERATIONS[f"{request.method} {template}"].describes(status, code)
