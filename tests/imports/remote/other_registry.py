"""A registry on loopback to copy from: small, in memory, and as good or as hostile as a test wants it."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from functions.registry.oci.digest import Digest
from functions.registry.oci.json_object import read_stored
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.support import Image

_PATH: Final = re.compile(r"/v2/(.+)/(manifests|blobs|tags|referrers)/([^/]+)")


@dataclass
class Other:
    """What it holds, and how it behaves; `asked` are its requests, as method and path."""

    address: str = ""
    tags: dict[str, dict[str, Digest]] = field(default_factory=dict)
    manifests: dict[str, dict[Digest, bytes]] = field(default_factory=dict)
    blobs: dict[str, dict[Digest, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    authorizations: list[tuple[str, str | None]] = field(default_factory=list)
    username: str = ""
    secret: str = ""
    realm: str = ""
    uses_basic: bool = False
    page: int = 0
    has_referrers: bool = True
    redirects_blobs_to: str = ""
    every: int = 0  # each so-and-so-many-th request is answered 429
    retry_after: str = "1"
    cut_after: int = 0  # bytes of a blob's body, each time
    ignores_ranges: bool = False
    odd: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, repository: str, manifest: bytes, *tags: str, blobs: tuple[bytes, ...] = ()) -> Digest:
        digest = Digest.of(manifest)
        self.manifests.setdefault(repository, {})[digest] = manifest
        held = self.blobs.setdefault(repository, {})
        held.update({Digest.of(blob): blob for blob in blobs})
        self.tags.setdefault(repository, {}).update(dict.fromkeys(tags, digest))
        return digest

    def hold_image(self, repository: str, *tags: str, image: Image | None = None) -> Image:
        image = image or Image()
        self.hold(repository, image.manifest, *tags, blobs=image.blobs)
        return image

    def count(self, method: str, part: str) -> int:
        return sum(1 for verb, path in self.asked if verb == method and part in path)


@contextmanager
def serve() -> Iterator[Other]:
    other = Other()

    class Handler(_Handler):
        registry = other

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    other.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield other
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Other

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        other = self.registry
        with other.lock:
            other.asked.append((self.command, self.path))
            other.authorizations.append((self.path, self.headers.get("Authorization")))
            number = len(other.asked)
        if urlsplit(self.path).path == "/token":
            self._token()
        elif other.every and number % other.every == 0:
            self._answer(429, b"slowly", {"Retry-After": other.retry_after})
        elif self._is_let_in():
            odd = [behave for part, behave in other.odd.items() if part in self.path]
            odd[0](self) if odd else self._well_behaved(urlsplit(self.path).path)

    def _well_behaved(self, path: str) -> None:
        match = _PATH.fullmatch(path)
        if path == "/v2/":
            self._answer(200, b"{}")
        elif path == "/v2/_catalog":
            self._list("repositories", sorted(self.registry.manifests))
        elif match is None:
            self._answer(404, b"<html>nothing here</html>", {"Content-Type": "text/html"})
        else:
            getattr(self, f"_{match[2]}")(match[1], match[3])

    def _is_let_in(self) -> bool:
        other = self.registry
        if not other.username or self.path.startswith("/elsewhere/"):
            return True
        given = self.headers.get("Authorization")
        basic = "Basic " + base64.b64encode(f"{other.username}:{other.secret}".encode()).decode()
        if other.uses_basic:
            challenge, wanted = 'Basic realm="here"', basic
        else:
            match = _PATH.fullmatch(urlsplit(self.path).path)
            scope = f"repository:{match[1]}:pull" if match else "registry:catalog:*"
            challenge = f'Bearer realm="{other.realm or other.address + "/token"}",service="it",scope="{scope}"'
            wanted = f"Bearer token-for-{scope}"
        if given == wanted:
            return True
        self._answer(401, b"{}", {"WWW-Authenticate": challenge})
        return False

    def _token(self) -> None:
        other = self.registry
        basic = "Basic " + base64.b64encode(f"{other.username}:{other.secret}".encode()).decode()
        if self.headers.get("Authorization") != basic:
            return self._answer(401, b"{}")
        scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        return self._answer(200, json.dumps({"token": f"token-for-{scope}", "expires_in": 300}).encode())

    def _list(self, field_name: str, names: list[str], **more: str) -> None:
        query = parse_qs(urlsplit(self.path).query)
        size = self.registry.page or int(query.get("n", ["1000"])[0])
        last = query.get("last", [""])[0]
        page = [name for name in names if name > last]
        headers = {}
        if len(page) > size:
            headers["Link"] = f'<{urlsplit(self.path).path}?n={size}&last={page[size - 1]}>; rel="next"'
        self._answer(200, json.dumps({field_name: page[:size], **more}).encode(), headers)

    def _tags(self, repository: str, _: str) -> None:
        if repository not in self.registry.manifests:
            return self._answer(404, b"{}")
        return self._list("tags", sorted(self.registry.tags.get(repository, {})), name=repository)

    def _referrers(self, repository: str, reference: str) -> None:
        if not self.registry.has_referrers:
            return self._answer(404, b"<html>404</html>", {"Content-Type": "text/html"})
        found = [
            {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": len(content)}
            for digest, content in self.registry.manifests.get(repository, {}).items()
            if read_stored(content).get("subject", {}).get("digest") == reference
        ]
        return self._answer(200, json.dumps({"schemaVersion": 2, "manifests": found}).encode())

    def _manifests(self, repository: str, reference: str) -> None:
        other = self.registry
        digest = Digest.parse(reference) if ":" in reference else other.tags.get(repository, {}).get(reference)
        content = other.manifests.get(repository, {}).get(digest) if digest else None
        if content is None:
            return self._answer(404, b"{}")
        media_type = read_stored(content).get("mediaType", OCI_INDEX)
        return self._answer(200, content, {"Content-Type": media_type, "Docker-Content-Digest": str(digest)})

    def _blobs(self, repository: str, reference: str) -> None:
        other = self.registry
        content = other.blobs.get(repository.removeprefix("elsewhere/"), {}).get(Digest.parse(reference))
        if content is None:
            return self._answer(404, b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown to registry"}]}')
        if other.redirects_blobs_to and self.command == "GET":
            place = f"{other.redirects_blobs_to}/v2/{repository}/blobs/{reference}"
            return self._answer(307, b"", {"Location": place})
        first = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and not other.ignores_ranges:
            first = int(asked[1])
            if first >= len(content):
                return self._answer(416, b"")
        headers = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        return self._answer(206 if first else 200, content[first:], headers, cut=other.cut_after)

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, cut: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut and len(content) > cut and "/blobs/" in self.path:
            self.wfile.write(content[:cut])
            self.close_connection = True
            return
        self.wfile.write(content)

    def drip(self) -> None:
        """A byte now and then, and no end."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            return

    def flood(self) -> None:
        """Sends as much as anybody takes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            return

    def page_for_people(self) -> None:
        self._answer(200, b"<html>sign in here</html>", {"Content-Type": "text/html"})

    def loop(self) -> None:
        self._answer(200, b'{"tags": ["v1"], "repositories": ["a/b"]}', {"Link": f'<{self.path}>; rel="next"'})

    def failing(self) -> None:
        self._answer(500, b"{}")
