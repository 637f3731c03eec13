"""A real Chromium, and the page that it is led to: the page's script reports what the browser let it see."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.clients.command import isolated_environment
from tests.clients.engine import temporary_folder
from tests.clients.programs import require_program

_SECONDS: Final = 100
_QUIET: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--enable-logging=stderr",
)  # fmt: skip
_PAGE: Final = """<!doctype html><title>a page of another origin</title><body><script>
const report = (said) => fetch('/report', {method: 'POST', body: JSON.stringify(said)});
(async () => { %s })().then(report, (error) => report({error: String(error)}));
</script></body>"""


class Page:
    """A site whose only page runs one script. `visits` are the paths that were asked for beside it, `complaints` what
    the browser wrote to its console.
    """

    def __init__(self) -> None:
        self._script = ""
        self._reports: queue.Queue[Any] = queue.Queue()
        self.visits: list[str] = []
        self.complaints = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self, script: str, host: str = "127.0.0.1") -> Any:
        """What the script returns, in a browser that has never been anywhere."""
        self._script = script
        with temporary_folder() as folder, _chromium(f"http://{host}:{self.port}/", folder) as log:
            said = self._reports.get(timeout=_SECONDS)
            self.complaints = log.read_text(errors="replace")
            return said

    @contextmanager
    def served(self) -> Iterator[Page]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _handler(page: Page) -> type[BaseHTTPRequestHandler]:  # noqa: N805  # the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name is the base class's
                page.visits.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write((_PAGE % page._script).encode() if self.path == "/" else b"")

            def do_POST(self) -> None:  # the name is the base class's
                page._reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def _chromium(url: str, folder: Path) -> Iterator[Path]:
    """Gives its log."""
    program, log = require_program("chromium"), folder / "chromium.log"
    command: list[str | Path] = [program, *_QUIET, f"--user-data-dir={folder}/profile", url]
    environment = isolated_environment(folder / "home")
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            yield log
        finally:
            process.terminate()
            process.wait(timeout=_SECONDS)
