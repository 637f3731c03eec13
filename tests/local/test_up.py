"""`python -m local up`, as `make up` runs it: in a process of its own, driven by its output and by signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from functions.registry.oci.digest import Digest
from local.guard import choose_port
from local.programs import ROOT
from tests.processes import PYTHON, ended


@dataclass
class Run:
    process: subprocess.Popen[str]
    url: str
    said: list[str]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> str:
        """Its last words, once it has ended."""
        output = ended(self.process, number, seconds=50)
        assert self.process.returncode == 0, output
        return output


@contextmanager
def up(data: Path, *options: str) -> Iterator[Run]:
    command = [*PYTHON, "-m", "local", "up", "--data", str(data), "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if match := re.match(r"ready: (http://\S+)", line):
                    yield Run(process, match[1], said)
                    return
            raise AssertionError("".join(said))
        finally:
            if process.poll() is None:
                ended(process, signal.SIGTERM, seconds=50)


def descendants_of(data: Path) -> list[str]:
    """Commands that still run on this data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(data) in environment + command and int(entry.name) != os.getpid():
            found.append(command.decode())
    return found


def refused(*options: str) -> str:
    """What it says when it won't start."""
    command = [sys.executable, "-m", "local", *options]
    finished = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    return finished.stderr.strip().splitlines()[0]


def push(url: str, content: bytes) -> Digest:
    digest = Digest.of(content)
    answer = requests.post(f"{url}/v2/a/b/blobs/uploads/?digest={digest}", data=content, timeout=30)
    assert answer.status_code == 201, answer.text
    return digest


def test_data_outlives_a_restart_and_nothing_outlives_a_stop(tmp_path: Path) -> None:
    content = os.urandom(1 << 20)
    with up(tmp_path / "data") as run:
        digest = push(run.url, content)
        for port in listening_ports(tmp_path / "data"):
            assert not is_reachable_from_outside(port)
        run.stop(signal.SIGINT)
    assert descendants_of(tmp_path / "data") == []
    started = time.monotonic()
    with up(tmp_path / "data", "--api-processes", "2") as run:
        assert time.monotonic() - started < 30
        assert requests.get(f"{run.url}/v2/a/b/blobs/{digest}", timeout=30).content == content
        run.stop(signal.SIGTERM)
    assert descendants_of(tmp_path / "data") == []


def listening_ports(data: Path) -> set[int]:
    """Ports that the commands on this data folder name."""
    commands = "\0".join(descendants_of(data))
    return {int(port) for port in re.findall(r"(?:127\.0\.0\.1:|--port\0)(\d{4,5})", commands)}


def is_reachable_from_outside(port: int) -> bool:
    """Over an address of loopback that no server was told to listen on."""
    try:
        socket.create_connection(("127.0.0.2", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_child_that_dies_is_named_and_ends_everything(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--ephemeral") as run:
        storage = [entry for entry in Path("/proc").glob("[0-9]*") if is_storage(entry, tmp_path / "data")]
        os.kill(min(int(entry.name) for entry in storage), signal.SIGKILL)
        output, _ = run.process.communicate(timeout=100)
        assert run.process.returncode == 1
        assert re.search(r"slipway: storage ended with code -?\d+\. The end of .*storage\.log", output)
    assert descendants_of(tmp_path / "data") == []


def is_storage(process: Path, data: Path) -> bool:
    try:
        command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    except OSError:
        return False
    return b"local.storage" in command and os.fsencode(data) in environment


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", choose_port(0)))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("up", "--data", str(tmp_path / "data"), "--port", str(port))
    assert said == f"slipway: port {port} can't be used (Address already in use): choose another with PORT=..."


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused("up", "--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert re.fullmatch(r"slipway: .*/file/data can't be written to \(.*\): choose another with DATA=\.\.\.", said)


def test_a_postgres_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    (tmp_path / "data" / "postgres" / "PG_VERSION").write_text("9.6\n")
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"))
    assert re.match(r"slipway: postgres ended with code \d+\. The end of ", said)


def test_two_runs_on_the_same_data_are_refused(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--ephemeral"):
        said = refused("up", "--port", "0", "--data", str(tmp_path / "data"))
    assert re.fullmatch(r"slipway: .* is in use by another run: stop it, or choose DATA=\.\.\.", said)


def test_reset_empties_a_data_folder_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    assert "does not look like a data folder" in refused("reset", "--data", str(tmp_path / "mine"))
    assert (tmp_path / "mine" / "precious").exists()
    (tmp_path / "mine" / ".lock").touch()
    subprocess.run([sys.executable, "-m", "local", "reset", "--data", str(tmp_path / "mine")], cwd=ROOT, check=True)
    assert not (tmp_path / "mine").exists()


def test_a_setting_that_leaves_this_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_SIGNED_URL_BASE", "https://storage.example.com")
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"))
    assert said.startswith("slipway: SLIPWAY_SIGNED_URL_BASE=https://storage.example.com leaves this machine")


def test_who_signs_in_is_made_by_the_command_line_and_the_administrators_secret_is_told_of(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data, "--ephemeral", "--access", "token") as run:
        assert requests.get(f"{run.url}/v2/", timeout=30).status_code == 401
        secret = json.loads((data / "access.json").read_text())["SLIPWAY_ADMIN_SECRET"]
        listed = requests.get(f"{run.url}/api/v1/principals", auth=("admin", secret), timeout=30)
        assert [each["name"] for each in listed.json()["principals"]] == ["admin"]
        access(data, "robots", "add", "ci")
        made = access(data, "secrets", "add", "ci", "one").strip()
        token = requests.get(f"{run.url}/token?scope=repository:a/b:pull", auth=("ci", made), timeout=30)
        assert token.status_code == 200
        assert f"SLIPWAY_ADMIN_SECRET in {data}/access.json" in "".join(run.said)
    assert "holds no registry" in refused("access", "--data", str(tmp_path / "other"), "users", "list")


def access(data: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "local", "access", "--data", str(data), *arguments]
    return subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
