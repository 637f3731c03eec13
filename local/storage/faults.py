"""Faults on demand: the next calls of a kind fail, stall or lose their connection.

``POST /_faults`` plans one, ``GET /_faults`` lists what is left, ``DELETE /_faults`` clears the plan.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

from werkzeug.wrappers import Response

from local.storage import answers
from local.storage.calls import BLOCK, CALLS, Call, Document, target_of
from local.storage.errors import StorageError, invalid

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

_PATH: Final = "/_faults"
_ACTIONS: Final = ("status", "stall", "break", "cut", "cut_answer", "lose_answer")


@dataclass
class Fault:
    """What is to happen to the next `count` calls that match, after letting `skip` of them pass.

    `match` is a regular expression searched in "METHOD /path?query". With `only_with_body`, calls without a body (a
    query for an upload's status, say) do not count. The actions:

    * ``status``: answer `status`, nothing is handled;
    * ``stall``: wait `seconds`, then go on as usual;
    * ``break``: close the connection, nothing is handled;
    * ``cut``: let half of the body through (nothing of one sent in chunks), then close the connection;
    * ``cut_answer``: handle the call, answer with half of the body, then close the connection;
    * ``lose_answer``: handle the call, then close the connection in place of the answer.
    """

    match: re.Pattern[str]
    action: str
    count: int
    skip: int
    status: int
    seconds: float
    only_with_body: bool

    @classmethod
    def of(cls, plan: Document) -> Self:
        """Read a plan; 400 if it makes no sense."""
        action = plan.get("action")
        if action not in _ACTIONS:
            raise invalid(f"action must be one of {', '.join(_ACTIONS)}")
        try:
            return cls(
                match=re.compile(plan.get("match", "")),
                action=action,
                count=int(plan.get("count", 1)),
                skip=int(plan.get("skip", 0)),
                status=int(plan.get("status", HTTPStatus.SERVICE_UNAVAILABLE)),
                seconds=float(plan.get("seconds", 0)),
                only_with_body=bool(plan.get("only_with_body", False)),
            )
        except (ValueError, TypeError, re.error) as error:
            raise invalid(f"Invalid fault: {error}") from error

    def as_document(self) -> Document:
        return {**vars(self), "match": self.match.pattern}

    def concerns(self, environ: "WSGIEnvironment") -> bool:
        if self.only_with_body and not _has_body(environ):
            return False
        return self.match.search(f"{environ['REQUEST_METHOD']} {target_of(environ)}") is not None


class Faults:
    """A WSGI application around another that carries out planned faults."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # The calls in a batch come back here, each by itself.
        environ[CALLS] = self
        if environ["PATH_INFO"] == _PATH:
            return self._plan(Call(environ))(environ, start_response)
        fault = self._next(environ)
        if fault is None:
            return self._application(environ, start_response)
        return self._fail(fault, environ, start_response)

    def _plan(self, call: Call) -> Response:
        try:
            return self._change_plan(call)
        except StorageError as error:
            call.drain()
            return answers.json_error(error)

    def _change_plan(self, call: Call) -> Response:
        match call.method:
            case "POST":
                fault = Fault.of(call.document())
                with self._lock:
                    self._planned.append(fault)
                return answers.empty(HTTPStatus.NO_CONTENT)
            case "GET":
                with self._lock:
                    left = [fault.as_document() for fault in self._planned]
                return Response(json.dumps(left), content_type="application/json")
            case "DELETE":
                with self._lock:
                    self._planned.clear()
                return answers.empty(HTTPStatus.NO_CONTENT)
            case _:
                return answers.empty(HTTPStatus.METHOD_NOT_ALLOWED)

    def _next(self, environ: "WSGIEnvironment") -> Fault | None:
        """Returns the first planned fault that concerns this call; it is used up by one."""
        with self._lock:
            fault = next((fault for fault in self._planned if fault.concerns(environ)), None)
            if fault is None:
                return None
            if fault.skip > 0:
                fault.skip -= 1
                return None
            fault.count -= 1
            if fault.count <= 0:
                self._planned.remove(fault)
            return fault

    def _fail(self, fault: Fault, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        match fault.action:
            case "status":
                Call(environ).drain()
                error = StorageError(fault.status, "A planned fault.", reason="backendError")
                return answers.json_error(error)(environ, start_response)
            case "stall":
                time.sleep(fault.seconds)
                return self._application(environ, start_response)
            case "cut":
                _halve_body(environ)
                self._handle_silently(environ)
            case "cut_answer":
                return self._halve_answer(environ, start_response)
            case "lose_answer":
                self._handle_silently(environ)
        _break_connection(environ)
        return answers.empty(HTTPStatus.SERVICE_UNAVAILABLE, {"Connection": "close"})(environ, start_response)

    def _handle_silently(self, environ: "WSGIEnvironment") -> None:
        with Response.from_app(self._application, environ) as response:
            for _ in response.iter_encoded():
                pass

    def _halve_answer(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with Response.from_app(self._application, environ) as response:
            content = response.get_data()
            start_response(response.status, response.headers.to_wsgi_list())
        yield content[: len(content) // 2]
        _break_connection(environ)


class _HalfBody:
    """The first `left` bytes of a body, then a connection that is gone."""

    def __init__(self, stream: "InputStream", left: int) -> None:
        self._stream = stream
        self._left = left

    def read(self, size: int = BLOCK) -> bytes:
        block = self._stream.read(min(size, self._left))
        if not block:
            raise ConnectionResetError("A planned fault.")
        self._left -= len(block)
        return block


def _halve_body(environ: "WSGIEnvironment") -> None:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    environ["wsgi.input"] = _HalfBody(environ["wsgi.input"], length // 2)
    environ["wsgi.input_terminated"] = True


def _has_body(environ: "WSGIEnvironment") -> bool:
    return environ.get("CONTENT_LENGTH", "0") not in {"", "0"} or "HTTP_TRANSFER_ENCODING" in environ


def _break_connection(environ: "WSGIEnvironment") -> None:
    connection: socket.socket = environ.get("gunicorn.socket") or environ["werkzeug.socket"]
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The client was faster.
        return
