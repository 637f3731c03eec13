"""`slipway fsck`: what it says, how it ends, and what it does about what is damaged."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from functions.migrate.checks import rows
from functions.registry.oci.digest import Digest
from tests.checks.vandal import Vandal
from tests.cli.stand import APP, SIGNATURE, Stand
from tests.support import Registry


@pytest.fixture
def vandal(stand: Stand, storage_address: str) -> Vandal:
    return Vandal(Registry(stand.registry.client, stand.registry.services), storage_address)


def test_a_whole_registry_ends_with_0(stand: Stand) -> None:
    ended = stand("fsck")
    assert ended.code == 0, ended
    assert "done" in ended.out
    assert re.search(r"Nothing is wrong: \d+ blobs, \d+ objects, \d+ manifests, \d+ repositories\.", ended.err)
    counts = json.loads(stand("fsck", "-o", "json").out)["counts"]
    assert f"Nothing is wrong: {counts['blobs']} blobs, {counts['objects']} objects, " in ended.err


def test_a_damaged_one_ends_with_1_and_says_which_images_need_what_is_gone(stand: Stand, vandal: Vandal) -> None:
    vandal.take(vandal.object_of(APP.blob_digests[1]))
    ended = stand("fsck")
    assert ended.code == 1
    assert "missing" in ended.out
    assert "team/app:v1" in ended.out
    assert "fsck --repair --dry-run" in ended.err
    ended = stand("fsck", "--repair", "--dry-run")
    assert "would_be_marked=1" in ended.out
    ended = stand("fsck", "--repair")
    assert ended.code == 1
    assert "push these images again" in ended.err
    stand.push()
    assert stand("fsck").code == 0


def test_a_check_at_a_time(stand: Stand) -> None:
    assert stand.line("slipway fsck status RUNNING-CHECK-ID").code == 0
    ended = stand("fsck")
    assert ended.code == 1
    assert "a check is running" in ended.err


def test_help_of_the_group_lists_its_commands(stand: Stand) -> None:
    ended = stand("fsck", "--help")
    assert ended.code == 0
    assert "undo" in ended.out


def damage(stand: Stand, vandal: Vandal) -> None:
    """An image's layer, and the manifest of another."""
    vandal.take(vandal.object_of(APP.blob_digests[1]))
    id_ = vandal.manifest_id(SIGNATURE.digest)
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=id_)
    assert stand("fsck", "--repair").code == 1


def test_a_folder_brings_what_is_damaged(stand: Stand, vandal: Vandal, tmp_path: Path) -> None:
    damage(stand, vandal)
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / APP.blob_digests[1].hex).write_bytes(b"other bytes, which no registry takes")
    (blobs / SIGNATURE.digest.hex).write_bytes(SIGNATURE.manifest)
    ended = stand("fsck", "--repair", "--from", f"dir:{tmp_path}/layout")
    assert ended.code == 1
    assert "brought: 1 of 2" in ended.err
    (blobs / APP.blob_digests[1].hex).write_bytes(APP.layers[0])
    ended = stand("fsck", "--repair", "--from", f"dir:{tmp_path}/layout")
    assert ended.code == 0, ended
    assert "brought: 1 of 1" in ended.err
    assert stand("fsck", "--hash", "100").code == 0


def test_another_registry_brings_what_is_damaged(stand: Stand, vandal: Vandal) -> None:
    """One that has it in a repository of the same name, and sends to its store for it."""
    damage(stand, vandal)
    with other_registry({f"team/app/manifests/{SIGNATURE.digest}": SIGNATURE.manifest}, APP.layers[0]) as address:
        ended = stand("fsck", "--repair", "--from", address)
    assert ended.code == 0, ended
    assert stand("fsck", "--hash", "100").code == 0


def test_from_goes_with_a_repair(stand: Stand) -> None:
    assert stand("fsck", "--from", "dir:.").code == 2
    assert stand("fsck", "--repair", "--from", "dir:/nowhere/at/all").code == 1


@contextmanager
def other_registry(contents: dict[str, bytes], layer: bytes) -> Iterator[str]:
    """It has these by their paths, and the layer elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/v2/")
            if path == "the/store":
                self._answer(200, layer)
            elif path.endswith(f"/blobs/{Digest.of(layer)}"):
                self._answer(307, b"", Location="/v2/the/store")
            elif path in contents:
                self._answer(200, contents[path])
            else:
                self._answer(404, b'{"errors": [{"code": "NAME_UNKNOWN", "message": "no such thing"}]}')

        def _answer(self, status: int, content: bytes, **headers: str) -> None:
            self.send_response(status)
            if "Location" in headers:
                headers["Location"] = f"http://127.0.0.1:{server.server_port}{headers['Location']}"
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_one_that_could_not_look_at_all_ends_with_5(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_FIGURES_SECONDS", 0.0)
    ended = stand("fsck")
    assert ended.code == 5, ended
    assert "not all could be looked at: figures take longer than a run" in ended.err
    assert "Nothing is wrong" not in ended.err
