"""The HTTP/2 front with a real nginx, started by the container's own command; the app behind it is a plain server.

What it does with the real api behind it: tests/rehearsal/test_uploads.py.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from functions.api.web.browsers import PROTECTION
from local.guard import choose_port
from tests.metadata.build import wait_until
from tests.rehearsal.instance import Container
from tests.rehearsal.nginx import MISSING, find_nginx, front_container

_BODY: Final = os.urandom(3 << 20)


@dataclass
class App:
    """What came, as it came: request line, body, Host."""

    server: http.server.ThreadingHTTPServer
    seen: list[tuple[str, bytes, str]] = field(default_factory=list)
    seconds: float = 0

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])


@pytest.fixture
def app() -> Iterator[App]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = b"".join(iter(self._chunk, b"")) if "Transfer-Encoding" in self.headers else b""
            body += self.rfile.read(int(self.headers.get("Content-Length", "0")))
            running.seen.append((self.path, body, self.headers["Host"]))
            time.sleep(running.seconds)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.send_header("Location", "/v2/a/blobs/uploads/1?state=%2F")
            self.end_headers()

        do_GET = do_PATCH = answer  # noqa: N815  # the library's names

        def _chunk(self) -> bytes:
            size = int(self.rfile.readline(), 16)
            chunk = self.rfile.read(size)
            self.rfile.readline()
            return chunk

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    running = App(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=running.server.serve_forever, daemon=True).start()
    yield running
    running.server.shutdown()
    running.server.server_close()


@dataclass
class Front:
    container: Container

    def request(self, path: str, *options: str) -> tuple[int, dict[str, str], bytes]:
        """Over HTTP/2 without TLS, as the platform speaks it."""
        address = f"http://127.0.0.1:{self.container.port}{path}"
        command = ["curl", "--silent", "--http2-prior-knowledge", "--path-as-is", "--include", *options, address]
        done = subprocess.run(command, capture_output=True, timeout=30, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        status, *lines = head.decode().splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), headers, body


@pytest.fixture
def front(app: App, tmp_path: Path) -> Iterator[Front]:
    nginx = find_nginx()
    if nginx is None:
        pytest.skip(MISSING)
    if shutil.which("curl") is None:
        pytest.skip("install curl: apt-get install curl")
    container = front_container(nginx, choose_port(0), app.port, tmp_path)
    try:
        container.start()
        yield Front(container)
    finally:
        container.signal_first(signal.SIGTERM)
        assert container.wait(15)


@pytest.mark.parametrize("path", ["/v2/a%2Fb/..//tags?last=%2B+x%3A", "/v2/", "/token?scope=repository%3Aa%2Fb%3Apull"])
def test_a_path_goes_on_byte_for_byte(path: str, front: Front, app: App) -> None:
    status, headers, _ = front.request(path, "--header", "Host: registry.example.com")
    assert status == 202
    assert headers["location"] == "/v2/a/blobs/uploads/1?state=%2F"
    assert app.seen == [(path, b"", "registry.example.com")]


@pytest.mark.parametrize("length", [[], ["--header", "Content-Length:"]], ids=["with length", "without"])
def test_a_large_body_passes_whole(length: list[str], front: Front, app: App, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(_BODY)
    status, _, _ = front.request("/v2/a/blobs/uploads/1", "--request", "PATCH", "--data-binary", f"@{body}", *length)
    assert status == 202
    assert app.seen[0][1] == _BODY


def test_an_app_that_is_away_is_an_oci_error(front: Front, app: App) -> None:
    app.server.shutdown()
    app.server.server_close()
    status, headers, body = front.request("/v2/")
    assert status == 503
    assert headers["retry-after"] == "1"
    assert json.loads(body)["errors"][0]["code"] == "UNKNOWN"
    assert {name: headers[name.lower()] for name in PROTECTION} == PROTECTION


def test_its_lines_are_found_from_the_platforms_own(front: Front, app: App) -> None:
    app.server.shutdown()
    app.server.server_close()
    front.request("/v2/?a=b", "--header", "X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/123;o=1")
    front.request("/v2/")
    # A line is written after its answer.
    wait_until(lambda: len(_traces(front)) == 2)
    assert _traces(front) == ["projects/example-registry/traces/105445aa7843bc8bf206b12000100000", ""]


def _traces(front: Front) -> list[str]:
    whole = front.container.log.read_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return [line["logging.googleapis.com/trace"] for line in lines if line["message"] == "ingress"]


def test_what_the_platform_asks_of_the_app_nobody_else_does(front: Front, app: App) -> None:
    status, _, body = front.request("/.startup")
    assert (status, app.seen) == (404, [])
    assert json.loads(body)["errors"][0]["code"] == "UNSUPPORTED"


def test_what_is_in_flight_when_the_platform_stops_it_is_finished(front: Front, app: App) -> None:
    app.seconds = 1.5
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(front.request("/v2/")[0]))
    thread.start()
    while not app.seen:
        time.sleep(0.01)
    front.container.signal_first(signal.SIGTERM)
    thread.join(timeout=10)
    assert answers == [202]
    assert front.container.wait(10)
