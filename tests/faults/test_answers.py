"""Whatever fails, and however one asks: no answer of any function is a page for people, and a log holds up nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
import requests

from functions.registry.oci.digest import Digest
from local.guard import choose_port
from local.processes import Child, Children
from local.programs import ROOT, function_command
from tests.support import Image

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
PATHS: Final = ("/", "/v2/", "/nothing", "/robots.txt", "/favicon.ico", "/v2//a/tags/list", "//", "/%0a", "/v2/%ff/x")
BODIES: Final = (
    b"",
    b"{",
    b"[]",
    b'{"message": 7}',
    b'{"message": {"data": "eyJjb2xsZWN0IjogMX0="}}',
    b'{"lines": ["all"]}',
)
KINDS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"Content-Type": "application/json"},
    {"Content-Type": "application/json", "ce-id": "1", "ce-type": "x", "ce-source": "y", "ce-specversion": "1.0"},
)
# Standard output of a program: a disk without space, and a pipe whose reader is gone.
LOGS: Final = {"full": "> /dev/full", "gone": '3<> "$FIFO" > "$FIFO" 3<&-'}


def start(name: str, log: str, environment: dict[str, str], folder: Path, children: Children) -> str:
    """Its address. What it logs can't be written."""
    port, fifo = choose_port(0), folder / "fifo"
    os.mkfifo(fifo)
    server = {"HOST": "127.0.0.1", "PORT": str(port), "THREADS": "4", "PYTHONPATH": str(ROOT), "FIFO": str(fifo)}
    command = ["sh", "-c", f'exec "$@" {LOGS[log]}', "sh", *function_command(name)]
    child = Child(name, command, folder / "errors.log", {**environment, **server})
    children.start(child)

    def answers() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/v2/", timeout=5).status_code > 0
        except requests.ConnectionError:
            return False

    children.wait_until(child, answers, seconds=30)
    return f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("name", ["api", "gc", "migrate"])
def test_every_answer_is_json_or_empty(
    name: str, environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    """Without a database: what gets as far as that fails."""
    environment["SLIPWAY_DATABASE"] = f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none"
    address = start(name, "full", environment, tmp_path, children)
    asked: list[tuple[str, str, bytes, dict[str, str]]] = [
        *((method, path, b"", {}) for method in METHODS for path in PATHS),
        *(("POST", "/", body, kind) for body in BODIES for kind in KINDS),
    ]
    with requests.Session() as session:
        for method, path, body, headers in asked:
            request = session.prepare_request(requests.Request(method, address, data=body, headers=headers))
            request.url = address + path
            answer = session.send(request, timeout=30, allow_redirects=False)
            shown = (method, path, body, answer.status_code, answer.headers.get("Content-Type"), answer.content[:200])
            assert not answer.is_redirect, shown
            # The framework's own word for an event that was taken.
            if answer.content and (name, answer.status_code, answer.content) != ("gc", 200, b"OK"):
                assert answer.headers["Content-Type"] == "application/json", shown
                assert isinstance(answer.json(), dict), shown


@pytest.mark.parametrize("log", LOGS)
def test_a_registry_whose_log_can_not_be_written_serves(
    log: str, environment: dict[str, str], tmp_path: Path, children: Children
) -> None:
    address = start("api", log, environment, tmp_path, children)
    image = Image(layers=(b"layer",))
    with requests.Session() as session:
        for blob in image.blobs:
            upload = f"{address}/v2/a/b/blobs/uploads/?digest={Digest.of(blob)}"
            assert session.post(upload, data=blob, timeout=30).status_code == 201
        manifest = f"{address}/v2/a/b/manifests/v1"
        assert session.put(manifest, data=image.manifest, timeout=30).status_code == 201
        for _ in range(30):
            assert session.get(manifest, timeout=30).content == image.manifest
        assert session.get(f"{address}/v2/a/b/blobs/{Digest.of(b'layer')}", timeout=30).content == b"layer"
        assert session.get(f"{address}/v2/a/b/manifests/v2", timeout=30).status_code == 404
