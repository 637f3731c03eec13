"""Whatever is wrong before a run is ready: it says so in a line, with the end of a log where that tells more."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from local.postgres import Postgres, PostgresFailed
from local.processes import Child, ChildFailed, Children
from local.programs import ROOT
from local.stack import answers
from tests.local.runs import START_SECONDS, descendants_of, names_in, refused, run

pytestmark = pytest.mark.timeout(400)


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("up", "--data", str(tmp_path / "data"), "--port", str(port))
    assert said == f"slipway: port {port} can't be used (Address already in use): choose another with PORT=..."


@pytest.mark.parametrize("command", ["up", "reset"])
def test_a_folder_that_is_none_is_told_in_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    said = refused(command, "--data", str(tmp_path / "file"), *(["--port", "0"] if command == "up" else []))
    assert re.fullmatch(r"slipway: .*/file.*", said), said


def test_a_folder_below_a_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refused("up", "--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert re.fullmatch(r"slipway: .*/file/data can't be written to \(.*\): choose another with DATA=\.\.\.", said)


@pytest.mark.parametrize("name", ["postgres", "logs", "storage-keys.json", "access.json", ".lock"])
def test_something_else_in_the_place_of_ours_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    """It stands for what may not be read or written, which root always may."""
    (tmp_path / "data").mkdir()
    if name in ("postgres", "logs"):
        (tmp_path / "data" / name).touch()
    else:
        (tmp_path / "data" / name / "in it").mkdir(parents=True)
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"))
    assert re.fullmatch(rf"slipway: .*/data/{re.escape(name)}\b.*", said), said


def test_a_postgres_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "data" / "postgres").mkdir(parents=True)
    (tmp_path / "data" / "postgres" / "PG_VERSION").write_text("9.6\n")
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"))
    assert re.match(r"slipway: postgres ended with code \d+\. The end of .*postgres\.log:\n    postgres", said)
    assert descendants_of(tmp_path / "data") == []


def test_a_database_that_never_becomes_usable_is_told_with_its_log(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "data", ephemeral=True)
    child = server.prepare()
    shutil.rmtree(tmp_path / "data" / "base")
    children = Children()
    try:
        with pytest.raises((PostgresFailed, ChildFailed), match=r"(?s)data\.log:.*FATAL"):
            children.wait_until(children.start(child), server.is_ready, seconds=60)
    finally:
        children.stop()


def test_what_migrate_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"), SLIPWAY_ADMIN_SECRET="short")
    assert re.fullmatch(r"slipway: [^\n]*\bsecret\b[^\n]*", said), said
    assert descendants_of(tmp_path / "data") == []


def test_a_setting_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"), SLIPWAY_BLOB_DELIVERY="by post")
    assert re.fullmatch(r"slipway: SLIPWAY_BLOB_DELIVERY[^\n]*", said), said


class Broken(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(int(self.path[1:]))

    def log_message(self, *_: object) -> None:
        pass


def test_a_program_that_answers_with_a_fault_of_its_own_is_not_waited_for(tmp_path: Path) -> None:
    child = Child("broken", [], tmp_path / "broken.log")
    child.log.write_text("why")
    with HTTPServer(("127.0.0.1", 0), Broken) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert answers(child, server.server_port, "/404")
        assert not answers(child, server.server_port, "/503")
        with pytest.raises(ChildFailed, match=r"broken answers 500\. The end of .*broken\.log:\n    why"):
            answers(child, server.server_port, "/500")
        server.shutdown()


def test_a_setting_that_leaves_this_machine_is_refused(tmp_path: Path) -> None:
    elsewhere = "https://storage.example.com"
    said = refused("up", "--port", "0", "--data", str(tmp_path / "data"), SLIPWAY_SIGNED_URL_BASE=elsewhere)
    assert said.startswith(f"slipway: SLIPWAY_SIGNED_URL_BASE={elsewhere} leaves this machine")


def test_seed_without_a_registry_says_so(tmp_path: Path) -> None:
    said = refused("seed", "--data", str(tmp_path / "none"))
    assert re.fullmatch(r"slipway: [^\n]+", said)
    assert not (tmp_path / "none").exists()


def test_a_folder_with_a_line_break_is_refused(tmp_path: Path) -> None:
    said = refused("up", "--port", "0", "--data", f"{tmp_path}/a\nb")
    assert said == "slipway: a folder whose name has a line break can't be used: choose another with DATA=..."
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "80 80", "8³"])
def test_what_is_no_port_is_refused(port: str) -> None:
    finished = run("up", "--port", port)
    assert finished.returncode == 2
    assert "a port is a number from 0 to 65535" in finished.stderr


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1 << 16, r"slipway: .*/data can't be written to \(.*\): choose another with DATA=\.\.\."),
        (4 << 20, r"slipway: PostgreSQL could not make its data folder .*/data/postgres:\n(    .*\n?)+"),
    ],
)
def test_where_nothing_more_can_be_written_that_is_told_and_nothing_is_left(
    tmp_path: Path, most: int, expected: str
) -> None:
    """A limit of what a file may hold stands for a disk that is full from there on."""
    command = [sys.executable, "-m", "local", "up", "--port", "0", "--data", str(tmp_path / "data")]
    limited = ["/bin/sh", "-c", f'ulimit -f {most >> 9}; exec "$@"', "sh", *command]
    finished = subprocess.run(
        limited, check=False, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert finished.returncode == 1
    assert re.fullmatch(expected, finished.stderr.strip()), finished.stderr
    assert not any(tmp_path.glob("data/postgres*/PG_VERSION"))
    assert descendants_of(tmp_path / "data") == []
