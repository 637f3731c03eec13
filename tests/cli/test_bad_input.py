"""What goes wrong ends with its own exit code, and says what to do: names, rights, networks, disks, pipes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final

import pytest

from slipway_cli.output import plain
from tests.cli.stand import Stand
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("show team/apq", "team/app"),
        ("show team/app:v1x", "team/app:v1"),
        ("tag list team/ap", "team/app"),
        ("gc preview team/ol", "team/old"),
        ("repository rm team/olf --yes", "team/old"),
        ("ls tea", "team"),
        ("namespace show taem", "team"),
        ("user show alise", "alice"),
        ("robot rm cj --yes", "ci"),
        ("secret list alic", "alice"),
        ("grant list --principal alicee", "alice"),
        ("explain alic push team/app", "alice"),
        ("quota show teem", "team"),
        ("context use productoin", "production"),
    ],
)
def test_a_name_that_is_not_there_gets_the_nearest(stand: Stand, line: str, near: str) -> None:
    ended = stand(*line.split())
    assert (ended.code, ended.out) == (3, ""), ended
    assert f"did you mean {near}?" in ended.err


def test_a_tag_that_is_not_there_is_told_of_beside_the_others(stand: Stand) -> None:
    ended = stand("tag", "rm", "team/app", "oldr", "old", "--yes")
    assert (ended.code, "did you mean older?" in ended.err) == (6, True)
    assert stand("tag", "rm", "team/app", "oldr", "--yes").code == 3


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("lst", "ls"),
        ("repositry list", "repository"),
        ("tag lst", "tag list"),
        ("users", "user"),
        ("status", "doctor"),
        ("log", "audit"),
        ("list", "ls"),
        ("tag delete", "tag rm"),
    ],
)
def test_a_command_that_is_none_gets_the_nearest(stand: Stand, line: str, near: str) -> None:
    ended = stand(*line.split())
    assert (ended.code, f"did you mean `slipway {near}`?" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "line",
    ["show Team/app", "show team/app:", "quota set team", "quota set team --bytes 1XB", "ls --sort=", "ls --nothing",
     "repository settings team/app --grace 1y", "usage top tallest", "grant add ci team/* owner",
     "repository list --pushed-after yesterday", "trusted-publisher add ci github repository_id",
     "usage daily team/app --namespace team", "context use", "ls --registry http://", "--registry a/b ls"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_is_changed(stand: Stand, line: str) -> None:
    stand.server.asked.clear()
    ended = stand(*line.split())
    assert ended.code in {1, 2}, ended
    assert ended.err
    assert all(method == "GET" for method, _, _ in stand.server.asked)


def test_the_right_that_is_missing_is_named(stand: Stand) -> None:
    stand.sign_in("ci", (stand.home / "secret.txt").read_text().strip())
    for line, right in {
        "usage show": "an administrator of the registry",
        "user list": "an administrator",
        "repository settings team/app --keep-untagged": "an administrator",
        "repository rm others/app --yes": "pull",
    }.items():
        ended = stand(*line.split())
        assert ended.code in {3, 4}, ended
        assert right in ended.err or ended.code == 3
    stand.sign_out()
    ended = stand("usage", "show")
    assert (ended.code, "slipway login" in ended.err) == (4, True)


def test_what_destroys_asks_and_without_a_terminal_does_nothing(stand: Stand) -> None:
    for line in ("tag rm team/app old", "repository rm team/old", "user rm alice", "quota rm team"):
        stand.server.asked.clear()
        ended = stand(*line.split())
        assert (ended.code, "--yes" in ended.err) == (1, True), ended
        changed = [each for each in stand.server.asked if each[0] != "GET" and not each[1].endswith("/delete-tags")]
        assert changed == []
    assert "old" in stand("ls", "team/app", "-o", "name").out.split()


def test_a_field_that_is_none_is_refused_with_those_that_are(stand: Stand) -> None:
    ended = stand("ls", "--columns", "name,sizes")
    assert (ended.code, "there is no field sizes: there are name, " in ended.err) == (2, True)
    assert stand("ls", "--columns", "name,kinds.image", "-o", "csv").out.splitlines()[1].startswith("team/app,")


def test_nothing_is_cut_in_silence(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = stand("ls", "team/app", "--limit", "2")
    assert len(ended.out.splitlines()) == 3
    assert "there are more than these 2" in ended.err
    assert stand("ls", "team/app", "--limit", "0", "-o", "name").out.split() == ["old", "older", "v1", "v2"]
    assert stand("ls", "team/app", "--limit", "4").err == ""
    assert stand("usage", "top", "largest", "--limit", "101").code == 2
    monkeypatch.setattr("slipway_cli.output.ROWS", 1)
    assert "there are more than these 1" in stand("rule", "list").err + stand("grant", "list").err


def test_a_registry_that_is_away_is_told_of(home: Path, stand: Stand) -> None:
    assert home == stand.home
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ended = stand("ls", "--registry", f"127.0.0.1:{unused.getsockname()[1]}")
    assert (ended.code, "refused" in ended.err, "doctor" in ended.err) == (5, True, True)
    ended = stand("ls", "--registry", "registry.invalid")
    assert (ended.code, "can't be reached" in ended.err) == (5, True)


EMPTY: Final = b'{"repositories": [], "next": null, "previous": null}'


class Answering(BaseHTTPRequestHandler):
    answers: list[tuple[int, dict[str, str]]]
    body: bytes

    def do_GET(self) -> None:
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body if status == 200 else b"<html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Nothing."""


@contextmanager
def answering(*answers: tuple[int, dict[str, str]], body: bytes = EMPTY) -> Iterator[str]:
    handler = type("Handler", (Answering,), {"answers": list(answers), "body": body})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([(503, {"Retry-After": "0"}), (200, {})], 0, "nothing"),
        ([(429, {"Retry-After": "0"}), (429, {"Retry-After": "0"}), (200, {})], 0, "nothing"),
        ([(503, {"Retry-After": "0"})], 5, "trying again later helps"),
        ([(500, {})], 5, "won't help"),
        ([(429, {"Retry-After": "3600"})], 5, "again in 3600 s"),
        ([(301, {"Location": "https://elsewhere.example/"})], 5, "sends to https://elsewhere.example/"),
        ([(404, {})], 5, "answers 404 (Not Found): is that a Slipway?"),
    ],
)
def test_answers_that_are_none(stand: Stand, answers: list[tuple[int, dict[str, str]]], code: int, said: str) -> None:
    with answering(*answers) as host:
        ended = stand("repository", "list", "--registry", host)
    assert (ended.code, said in ended.err) == (code, True), ended


def program(stand: Stand, *arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = {
        "PYTHONPATH": str(ROOT / "cli"), "PATH": os.environ["PATH"], "HOME": str(stand.home),
        "SLIPWAY_REGISTRY": stand.server.address,
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "slipway_cli", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv", "name"])
def test_a_full_disk_ends_quietly(stand: Stand, output: str) -> None:
    with Path("/dev/full").open("w") as full, program(stand, "ls", "team/app", "-o", output, stdout=full) as running:
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, "slipway: the output: No space left on device\n")


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv", "name"])
def test_a_closed_pipe_ends_quietly(stand: Stand, output: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with program(stand, "ls", "team/app", "-o", output, stdout=writing) as running:
        os.close(writing)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (141, "")


def in_shell(stand: Stand, line: str) -> tuple[int, str, str]:
    """`slipway` in a line of bash, as it is typed: its exit code, and what the whole line gave and said."""
    (stand.home / "slipway").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m slipway_cli "$@"\n')
    (stand.home / "slipway").chmod(0o755)
    environment = {
        "PYTHONPATH": str(ROOT / "cli"), "PATH": f"{stand.home}:{os.environ['PATH']}", "HOME": str(stand.home),
        "SLIPWAY_REGISTRY": stand.server.address,
    }  # fmt: skip
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("slipway ls team/app >&-", 1, "slipway: the output: Bad file descriptor\n"),
        ("slipway --help >&-", 1, "slipway: the output: Bad file descriptor\n"),
        ("slipway tag rm team/app old <&-", 1, "slipway: --dry-run does nothing\n"),
        ("slipway show team/none 2>&-", 3, ""),
        ("slipway show team/none <&- >&- 2>&-", 3, ""),
        ("slipway show team/none 2>/dev/full", 1, ""),
    ],
)
def test_streams_that_are_closed(stand: Stand, line: str, code: int, said: str) -> None:
    ended, _, err = in_shell(stand, line)
    assert (ended, err.endswith(said), "Traceback" in err) == (code, True, False), err


@pytest.mark.parametrize(
    "line",
    ["slipway --help", "slipway show team/none 2>&1", "slipway sho 2>&1", "_SLIPWAY_COMPLETE=bash_source slipway"],
)
def test_nobody_reads_what_is_given_or_said(stand: Stand, line: str) -> None:
    # What reads is gone before anything is written.
    assert in_shell(stand, f"( sleep 1; {line} ) | true") == (141, "", "")


def test_ctrl_c_while_modules_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(
        "import os, signal; os.kill(os.getpid(), signal.SIGINT); import time; time.sleep(9)"
    )
    paths = [str(tmp_path), str(ROOT / "cli")]
    script = f"import sys; sys.path[:0] = {paths!r}; from slipway_cli.start import main; main()"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("output", ["table", "jsonl"])
def test_what_happens_is_followed_until_ctrl_c(stand: Stand, output: str) -> None:
    stand("user", "add", "bob")
    with program(stand, "audit", "--follow", "-o", output, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        while "user:bob" not in running.stdout.readline():
            assert running.poll() is None
        stand("user", "disable", "bob", "--yes")
        while "principal.disable" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "slipway: stopped\n")


def test_a_stored_file_that_is_damaged_is_named(stand: Stand) -> None:
    (stand.home / ".docker" / "config.json").write_text("{")
    ended = stand("ls")
    assert (ended.code, ".docker/config.json can't be read" in ended.err) == (1, True)


@pytest.mark.parametrize(
    "line",
    ["ls ..", "ls ../app", "ls team/../..", "namespace show ..", "namespace show team?n=1", "user show ..",
     "user show alice?x", "user rm alice?x --yes", "user show a/b", "robot rm ci#x --yes", "secret list ../principals",
     "secret list ci?x=1", "trusted-publisher list ci/..", "quota show a/b", "quota rm team?x --yes",
     "usage daily --namespace ..", "explain ../ci push team/app", "grant list --principal ci?", "show ../../app",
     "repository rm ../app --yes", "gc preview .."],
)  # fmt: skip
def test_what_is_no_name_is_never_part_of_an_address(stand: Stand, line: str) -> None:
    stand.server.asked.clear()
    ended = stand(*line.split())
    assert (ended.code, ended.out, "must be" in ended.err) == (2, "", True), ended
    assert stand.server.asked == []


@pytest.mark.parametrize("line", ["migrations show ../grants", "migrations pause x?y", "migrations show ."])
def test_a_name_that_leads_elsewhere_is_refused_whoever_takes_it(stand: Stand, line: str) -> None:
    stand.server.asked.clear()
    ended = stand(*line.split())
    assert (ended.code, ended.out, "that is no name" in ended.err) == (2, "", True), ended
    assert stand.server.asked == []


def test_a_tag_where_a_repository_is_meant(stand: Stand) -> None:
    assert "`slipway show team/app:v1` has all about it" in stand("ls", "team/app:v1").err
    assert "and without a tag: team/app" in stand("gc", "preview", "team/app:v1").err


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"this": "is something else"}', b"", b"\xff"],
    ids=["html", "list", "other", "empty", "noise"],
)
@pytest.mark.parametrize(
    "line", ["ls", "show team/app", "user list", "explain alice pull team/app", "usage show -o json"]
)
def test_another_web_server_at_that_address(stand: Stand, line: str, body: bytes) -> None:
    with answering((200, {}), body=body) as host:
        ended = stand(*line.split(), "--registry", host)
    shows_what_it_gets = body.startswith(b"{") and line.startswith(("show", "usage"))
    assert ended.code == (0 if shows_what_it_gets else 5), ended
    assert shows_what_it_gets or f"slipway doctor {host}" in ended.err


def test_a_registry_that_is_away_while_signed_in(stand: Stand) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        tokens = stand.home / ".config" / "slipway" / "tokens.json"
        tokens.write_text(json.dumps({f"http://{host}": "a-refresh-token"}))
        ended = stand("ls", "--registry", host)
    assert (ended.code, "refused" in ended.err, f"slipway doctor {host}" in ended.err) == (5, True, True), ended


def test_names_from_afar_can_not_move_the_cursor(stand: Stand) -> None:

    assert plain("a\x1b[2Jb\n") == "a\ufffd[2Jb\ufffd"
    assert stand("whoami").code == 0
