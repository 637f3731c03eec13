"""What stands in front of a registry and makes it as hard to copy from as any: tokens, limits, redirects and a cut.

Blobs are served by another host, as those of most registries are: what is meant for the registry must not reach it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

_RETRY_AFTER_SECONDS: Final = 2
_LIMITED: Final = 10
_KEPT: Final = (
    "Content-Type",
    "Docker-Content-Digest",
    "Link",
    "Content-Range",
    "Content-Length",
    "Location",
    "WWW-Authenticate",
)
_SENT: Final = ("Accept", "Range", "Authorization")


@dataclass
class Front:
    """`address` is where to copy from. `asked` are the requests as they come; `elsewhere` has what those for blobs
    carried as Authorization when they reached the other host; `limited` counts the answers that asked for rest, `cut`
    those that ended too early.

    With a `username` it asks for tokens itself, otherwise that is left to the registry behind it.
    """

    registry: str
    username: str = ""
    secret: str = ""
    address: str = ""
    blobs_address: str = ""
    asked: list[str] = field(default_factory=list)
    elsewhere: list[str | None] = field(default_factory=list)
    limited: int = 0
    cut: int = 0
    largest: int = 0
    targets: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_over_limit(self, line: str) -> bool:
        """Notes a request; every tenth is one too many."""
        with self.lock:
            self.asked.append(line)
            is_over = len(self.asked) % _LIMITED == 0
            self.limited += is_over
            return is_over

    def place(self, target: str) -> str:
        """Returns where the other host serves what is at `target`."""
        with self.lock:
            self.targets.append(target)
            return f"{self.blobs_address}/{len(self.targets) - 1}"

    def is_cut(self, size: int) -> bool:
        """Says whether the answer ends in the middle: the first of the largest blob does."""
        with self.lock:
            is_cut = not self.cut and size >= self.largest > 0
            self.cut += is_cut
            return is_cut


@contextmanager
def front_of(front: Front) -> Iterator[Front]:
    with ExitStack() as stack:
        front.address = stack.enter_context(_serving(lambda handler: _as_registry(front, handler)))
        front.blobs_address = stack.enter_context(_serving(lambda handler: _as_store(front, handler)))
        yield front


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        pass

    def answer(self, status: int, content: bytes, headers: dict[str, str], *, most: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[:most])
        self.close_connection = most is not None


@contextmanager
def _serving(answer: Callable[[_Handler], None]) -> Iterator[str]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _as_registry(front: Front, handler: _Handler) -> None:
    if front.is_over_limit(f"{handler.command} {handler.path}"):
        return handler.answer(429, b"{}", {"Retry-After": str(_RETRY_AFTER_SECONDS)})
    if front.username and urlsplit(handler.path).path == "/token":
        return _give_token(front, handler)
    if front.username and not _is_let_in(front, handler):
        return None
    sent = {name: handler.headers[name] for name in _SENT if name in handler.headers}
    url = front.registry + handler.path
    # The registry builds the address of its tokens from the name that it was asked by.
    theirs = requests.request(
        handler.command,
        url,
        headers={**sent, "Host": urlsplit(front.address).netloc},
        allow_redirects=False,
        timeout=20,
    )
    if handler.command == "GET" and "/blobs/" in handler.path and theirs.status_code < 400:
        target = urljoin(url, theirs.headers["Location"]) if theirs.is_redirect else url
        return handler.answer(307, b"", {"Location": front.place(target)})
    headers = {name: theirs.headers[name] for name in _KEPT if name in theirs.headers}
    return handler.answer(theirs.status_code, theirs.content, headers)


def _give_token(front: Front, handler: _Handler) -> None:
    basic = base64.b64encode(f"{front.username}:{front.secret}".encode()).decode()
    if handler.headers.get("Authorization") != f"Basic {basic}":
        return handler.answer(401, b"{}", {})
    scope = parse_qs(urlsplit(handler.path).query).get("scope", [""])[0]
    return handler.answer(200, json.dumps({"token": f"for-{scope}", "expires_in": 300}).encode(), {})


def _is_let_in(front: Front, handler: _Handler) -> bool:
    path = urlsplit(handler.path).path.removeprefix("/v2/")
    scope = "registry:catalog:*" if path == "_catalog" else f"repository:{path.rsplit('/', 2)[0]}:pull"
    if handler.headers.get("Authorization") == f"Bearer for-{scope}":
        return True
    challenge = f'Bearer realm="{front.address}/token",service="front",scope="{scope}"'
    handler.answer(401, b"{}", {"WWW-Authenticate": challenge})
    return False


def _as_store(front: Front, handler: _Handler) -> None:
    with front.lock:
        front.elsewhere.append(handler.headers.get("Authorization"))
        target = front.targets[int(handler.path[1:])]
    sent = {"Range": handler.headers["Range"]} if "Range" in handler.headers else {}
    theirs = requests.get(target, headers=sent, timeout=20)
    kept = {name: theirs.headers[name] for name in ("Content-Range",) if name in theirs.headers}
    most = len(theirs.content) // 2 if front.is_cut(len(theirs.content)) else None
    handler.answer(theirs.status_code, theirs.content, kept, most=most)
