"""What the storage contract tests are written with: a raw HTTP caller, a signer, and the fake as a child process."""

import base64
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import google_crc32c
import requests

REPOSITORY: Final = Path(__file__).resolve().parents[2]
QUANTUM: Final = 256 * 1024
MEBIBYTE: Final = 1 << 20

_START_SECONDS: Final = 20
_CALL_SECONDS: Final = 20


def crc32c_of(content: bytes) -> str:
    # The library carries no types.
    checksum: Any = google_crc32c.Checksum
    return base64.b64encode(checksum(content).digest()).decode()


def md5_of(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


class Api:
    """Raw calls on one bucket, for what the client library would hide."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def call(self, method: str, target: str, **options: Any) -> requests.Response:
        """Send a request to a path of the server, or to a whole URL."""
        url = target if target.startswith("http") else self.endpoint + target
        return self._session.request(method, url, timeout=_CALL_SECONDS, **options)

    def object_path(self, name: str) -> str:
        """Where the metadata of an object is."""
        return f"/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}"

    def media_path(self, name: str) -> str:
        """Where the content of an object is."""
        return f"/download{self.object_path(name)}?alt=media"

    def list_path(self, **query: str) -> str:
        pairs = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"/storage/v1/b/{self.bucket}/o?{pairs}"

    def upload(self, name: str, body: Any, **query: str) -> requests.Response:
        """A simple upload."""
        path = self._upload_path(uploadType="media", name=name, **query)
        return self.call("POST", path, data=body, headers={"Content-Type": "application/octet-stream"})

    def start(self, name: str, metadata: Mapping[str, str] | None = None, **query: str) -> requests.Response:
        """Ask for a resumable session."""
        path = self._upload_path(uploadType="resumable", name=name, **query)
        return self.call("POST", path, json=dict(metadata or {}))

    def session(self, name: str, metadata: Mapping[str, str] | None = None, **query: str) -> "Upload":
        return Upload(self, self.start(name, metadata, **query).headers["Location"])

    def _upload_path(self, **query: str) -> str:
        pairs = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"/upload/storage/v1/b/{self.bucket}/o?{pairs}"


@dataclass(frozen=True)
class Upload:
    """An open resumable session."""

    api: Api
    location: str

    def put(self, body: Any, content_range: str | None = None) -> requests.Response:
        headers = {} if content_range is None else {"Content-Range": content_range}
        return self.api.call("PUT", self.location, data=body, headers=headers)

    def put_from(self, offset: int, body: bytes, total: str = "*") -> requests.Response:
        return self.put(body, f"bytes {offset}-{offset + len(body) - 1}/{total}")

    def query(self) -> requests.Response:
        return self.put(b"", "bytes */*")

    def stored(self) -> str | None:
        """The Range of what is stored, as the server tells it."""
        answer = self.query()
        assert answer.status_code == 308, answer.text
        return answer.headers.get("Range")


@dataclass(frozen=True)
class HmacSigner:
    """Signs URLs by hand, so that a test can sign what no library would."""

    access_id: str
    secret: str

    def url(
        self, endpoint: str, path: str, *, method: str = "GET", at: datetime | None = None, seconds: int = 60
    ) -> str:
        moment = at or datetime.now(UTC)
        scope = f"{moment:%Y%m%d}/auto/storage/goog4_request"
        query = {
            "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
            "X-Goog-Credential": f"{self.access_id}/{scope}",
            "X-Goog-Date": f"{moment:%Y%m%dT%H%M%SZ}",
            "X-Goog-Expires": str(seconds),
            "X-Goog-SignedHeaders": "host",
        }
        pairs = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(query.items()))
        host = endpoint.removeprefix("http://")
        canonical = f"{method}\n{path}\n{pairs}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{query['X-Goog-Algorithm']}\n{query['X-Goog-Date']}\n{scope}\n{digest}"
        return f"{endpoint}{path}?{pairs}&X-Goog-Signature={self._sign(scope, text)}"

    def _sign(self, scope: str, text: str) -> str:
        key = f"GOOG4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


class StorageProcess:
    """The fake as the harness starts it: gunicorn, with threads, in a process of its own."""

    def __init__(self, root: Path, keys: Path | None = None) -> None:
        self._log = root.parent / f"{root.name}.log"
        self._environment = {**os.environ, "SLIPWAY_STORAGE_ROOT": str(root)}
        if keys is not None:
            self._environment["SLIPWAY_STORAGE_KEYS"] = str(keys)
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        server = ["gunicorn", "--worker-class", "gthread", "--threads", "16"]
        command = [sys.executable, "-m", *server, "--bind", f"127.0.0.1:{self._port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "local.storage.server:create_app()"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def crash(self) -> None:
        """End it as a power cut would: nothing is flushed, nothing cleaned up."""
        assert self._process is not None
        workers = self.workers()
        self._process.kill()
        for worker in workers:
            os.kill(worker, 9)
        self._process.wait()
        self._process = None

    def workers(self) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def peak_memory(self) -> int:
        """The most the worker ever held, in MiB."""
        [worker] = self.workers()
        [line] = [line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if "VmHWM" in line]
        return int(line.split()[1]) // 1024

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                answer = requests.get(self.endpoint, timeout=_CALL_SECONDS)
            except requests.ConnectionError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.05)
            else:
                assert answer.text == "ok"
                return


@contextmanager
def own_api(endpoint: str) -> Iterator[Api]:
    """Raw calls on a new bucket of a server that is not the suite's."""
    api = Api(endpoint, "bucket")
    api.call("POST", "/storage/v1/b?project=p", json={"name": api.bucket})
    try:
        yield api
    finally:
        api.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
