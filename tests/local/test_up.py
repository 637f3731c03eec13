"""A whole run: data stays, nothing else does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from functions.registry.oci.digest import Digest
from local.listening import listen
from local.programs import ROOT
from tests.local.runs import STOP_SECONDS, descendants_of, program, refused, up

pytestmark = pytest.mark.timeout(400)


def push(url: str, content: bytes) -> Digest:
    digest = Digest.of(content)
    answer = requests.post(f"{url}/v2/a/b/blobs/uploads/?digest={digest}", data=content, timeout=30)
    assert answer.status_code == 201, answer.text
    return digest


def test_data_outlives_a_restart_and_nothing_outlives_a_stop(tmp_path: Path) -> None:
    """However it was started: a shell has what it starts in the background ignore SIGINT."""
    content = os.urandom(1 << 20)
    with up(tmp_path / "data", ignored=[signal.SIGINT]) as run:
        digest = push(run.url, content)
        for port in listening_ports(tmp_path / "data"):
            assert not is_reachable_from_outside(port)
        run.stop(signal.SIGINT)
    assert descendants_of(tmp_path / "data") == []
    started = time.monotonic()
    with up(tmp_path / "data", "--api-processes", "2") as run:
        assert time.monotonic() - started < 60
        assert requests.get(f"{run.url}/v2/a/b/blobs/{digest}", timeout=30).content == content
        # A second signal while it stops changes nothing.
        run.process.send_signal(signal.SIGHUP)
        run.stop(signal.SIGTERM)
    assert descendants_of(tmp_path / "data") == []


def listening_ports(data: Path) -> set[int]:
    """Ports that the kernel says the run's processes listen on."""
    inodes = set()
    for pid in {
        program(data, name) for name in ("functions/api", "functions/gc", "functions/migrate", "local.storage")
    }:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            inodes.add(descriptor.readlink().name)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes
    }
    assert len(listening) == 4
    return listening


def is_reachable_from_outside(port: int) -> bool:
    """Over an address of loopback that no server was told to listen on."""
    try:
        socket.create_connection(("127.0.0.2", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_child_that_dies_is_named_and_ends_everything_at_once(tmp_path: Path) -> None:
    """The workers of a server that was killed as well, though a client keeps them busy."""
    with up(tmp_path / "data", "--ephemeral") as run, socket.create_connection(("127.0.0.1", run.port)) as busy:
        busy.sendall(b"POST /v2/a/b/blobs/uploads/?digest=sha256:0 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        os.kill(program(tmp_path / "data", "functions/api/main.py"), signal.SIGKILL)
        output, _ = run.process.communicate(timeout=STOP_SECONDS)
        assert run.process.returncode == 1
        assert re.search(r"slipway: api ended with code -?\d+\. The end of .*api\.log", output)
        listen(run.port).close()
    assert descendants_of(tmp_path / "data") == []


def test_two_runs_on_the_same_data_are_refused_and_so_is_a_reset(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--ephemeral") as run:
        said = refused("up", "--port", str(run.port), "--data", str(tmp_path / "data"))
        named = f"process {run.process.pid} at {run.url}"
        assert said == f"slipway: {tmp_path}/data is in use by another run ({named}): stop it, or choose DATA=..."
        assert refused("reset", "--data", str(tmp_path / "data")) == said
        push(run.url, b"still there")
        # That nobody is there to be told "Stopping ..." is no reason to stop halfway.
        assert run.process.stdout is not None
        run.process.stdout.close()
        run.process.terminate()
        assert run.process.wait(STOP_SECONDS) == 0
    assert descendants_of(tmp_path / "data") == []


def test_who_signs_in_is_made_by_the_command_line_and_the_administrators_secret_is_told_of(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data, "--ephemeral", "--access", "token") as run:
        assert requests.get(f"{run.url}/v2/", timeout=30).status_code == 401
        secret = json.loads((data / "access.json").read_text())["SLIPWAY_ADMIN_SECRET"]
        listed = requests.get(f"{run.url}/api/v1/principals", auth=("admin", secret), timeout=30)
        assert [each["name"] for each in listed.json()["principals"]] == ["admin"]
        slipway(data, "robot", "add", "ci")
        made = slipway(data, "secret", "add", "ci", "one", "--print", "secret").strip()
        token = requests.get(f"{run.url}/token?scope=repository:a/b:pull", auth=("ci", made), timeout=30)
        assert token.status_code == 200
        assert f"SLIPWAY_ADMIN_SECRET in {data}/access.json" in "".join(run.said)
        assert slipway(data, "operator", "migrate", "status", "-o", "name").startswith("p")
        slipway(data, "operator", "add-administrator", "root")
        assert slipway(data, "user", "list", "-o", "name").split() == ["admin", "root"]
    assert not (data / "run.json").exists()


def slipway(data: Path, *arguments: str) -> str:
    """The command line beside a run that it finds by itself."""
    nobody = {"HOME": str(data), "PATH": os.defpath, "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT}", "SLIPWAY_DATA": str(data)}
    command = [sys.executable, "-P", "-m", "slipway_cli", *arguments]
    done = subprocess.run(command, check=False, env=nobody, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
