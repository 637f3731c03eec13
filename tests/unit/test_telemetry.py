"""Logs: one JSON line per piece of work, with what was counted meanwhile and nothing of any other."""

from __future__ import annotations

import errno
import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger as GunicornLogger

from functions.registry import telemetry
from tests.conftest import ROOT


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output = capsys.readouterr().out
    assert not output or output.endswith("\n")
    # Only a line feed ends a line here: a reader of logs knows no other.
    return [json.loads(line) for line in output.split("\n")[:-1]]


def test_a_log_entry_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.log("INFO", "request", status=200, ms=1.5, trace=None)
    assert lines(capsys) == [{"severity": "INFO", "message": "request", "status": 200, "ms": 1.5, "trace": None}]


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\u2028", "\0", '"', "\\", "\ud800", "🐳", "\x1b[31m", "\x85"])
def test_nothing_that_a_client_sends_breaks_the_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    telemetry.log("INFO", "request", client=text)
    output = capsys.readouterr().out
    assert output.isascii()
    assert output.count("\n") == 1
    assert output.strip().isprintable()
    assert json.loads(output)["client"] == text


def test_values_that_json_does_not_know_are_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.log("INFO", "request", error=ValueError("bad"), data=b"x", names={"a"})
    [line] = lines(capsys)
    assert (line["error"], line["data"], line["names"]) == ("bad", "b'x'", "{'a'}")


def test_an_exception_is_one_line_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise KeyError("inner")

    try:
        fail()
    except KeyError as error:
        telemetry.log_exception("unexpected error", error, path="/v2/")
    [line] = lines(capsys)
    assert (line["severity"], line["message"], line["error"], line["path"]) == (
        "ERROR",
        "unexpected error",
        "KeyError",
        "/v2/",
    )
    assert "in fail" in line["stack_trace"]
    assert "KeyError: 'inner'" in line["stack_trace"]


def test_statements_are_counted_with_their_time() -> None:
    with telemetry.recording() as record:
        telemetry.count_statements(["one"], 0.25)
        telemetry.count_statements(["two", "three"], 0.5)
    assert record.statements == ["one", "two", "three"]
    assert record.database_seconds == 0.75


def test_notes_add_up_and_the_latest_counts() -> None:
    with telemetry.recording() as record:
        telemetry.note(route="GetBlob", code="A")
        telemetry.note(code="B")
    assert record.fields == {"route": "GetBlob", "code": "B"}


def test_outside_of_a_record_nothing_is_kept_and_nothing_fails() -> None:
    telemetry.count_statements(["lost"], 1.0)
    telemetry.note(route="lost")
    with telemetry.recording() as record:
        pass
    telemetry.count_statements(["late"], 1.0)
    telemetry.note(route="late")
    assert (record.statements, record.database_seconds, record.fields) == ([], 0.0, {})


def test_one_record_knows_nothing_of_the_next() -> None:
    with telemetry.recording() as first:
        telemetry.note(a=1)
        telemetry.count_statements(["one"], 1.0)
    with telemetry.recording() as second:
        telemetry.note(b=2)
    assert (first.fields, first.statements) == ({"a": 1}, ["one"])
    assert (second.fields, second.statements) == ({"b": 2}, [])


def test_a_record_within_a_record_has_its_own_counts() -> None:
    with telemetry.recording() as outer:
        telemetry.note(outer=1)
        with telemetry.recording() as inner:
            telemetry.note(inner=1)
        telemetry.note(after=1)
    assert outer.fields == {"outer": 1, "after": 1}
    assert inner.fields == {"inner": 1}


def test_a_record_ends_when_its_work_fails() -> None:
    with pytest.raises(ValueError, match="failed"), telemetry.recording() as record:
        raise ValueError("failed")
    telemetry.note(late=1)
    assert record.fields == {}


def test_threads_count_for_themselves() -> None:
    together = threading.Barrier(4)

    def work(number: int) -> telemetry.Record:
        with telemetry.recording() as record:
            together.wait(timeout=5)
            telemetry.count_statements([str(number)] * number, float(number))
            together.wait(timeout=5)
        return record

    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(work, range(4)))
    assert [record.statements for record in records] == [[str(number)] * number for number in range(4)]


def test_time_passes_from_the_start_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    with telemetry.recording() as record:
        monkeypatch.setattr(time, "monotonic", lambda: record.started + 1.23456)
        assert record.milliseconds == 1234.6


class Failing(io.StringIO):
    """A stream that can't be written, or only a part of whose line can."""

    def __init__(self, error: Exception, at: str) -> None:
        super().__init__()
        self._error, self._at = error, at

    def write(self, text: str) -> int:
        if self._at == "write":
            raise self._error
        return super().write(text)

    def flush(self) -> None:
        if self._at == "flush":
            raise self._error


@pytest.mark.parametrize("at", ["write", "flush"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        BrokenPipeError(),
        BlockingIOError(),
        ValueError("I/O operation on closed file"),
        UnicodeEncodeError("ascii", "x", 0, 1, "ordinal not in range"),
    ],
)
def test_a_line_that_can_not_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch, error: Exception, at: str) -> None:
    monkeypatch.setattr("sys.stdout", Failing(error, at))
    telemetry.log("INFO", "request")
    telemetry.log_exception("unexpected error", ValueError("bad"))


def test_a_closed_or_full_stream_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = (tmp_path / "log").open("w")
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)
    telemetry.log("INFO", "request")
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)
        telemetry.log("INFO", "request")


def test_lines_that_come_after_one_that_was_dropped_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("sys.stdout", Failing(OSError(errno.ENOSPC, "full"), "write"))
        telemetry.log("INFO", "dropped")
    telemetry.log("INFO", "kept")
    assert [line["message"] for line in lines(capsys)] == ["kept"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("105445aa7843bc8bf206b12000100000/1;o=1", "projects/p/traces/105445aa7843bc8bf206b12000100000"),
        ("105445aa7843bc8bf206b12000100000", "projects/p/traces/105445aa7843bc8bf206b12000100000"),
        ("", None),
        ("../../x/1", None),
    ],
)
def test_a_line_names_the_trace_in_the_platforms_own_form(header: str, expected: str | None) -> None:
    assert telemetry.trace("p", header).get("logging.googleapis.com/trace") == expected
    assert telemetry.trace("", header) == {}


# ---- what libraries log


@pytest.fixture
def taken() -> Iterator[None]:
    telemetry.take_logging()
    telemetry.take_logging()
    yield
    logging.getLogger().removeHandler(telemetry._lines)
    logging.getLogger("gunicorn.error").removeFilter(telemetry._lines.filter_server)


@pytest.mark.usefixtures("taken")
def test_what_libraries_warn_of_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("urllib3.pool").warning("once\nmore: %s", "/o/part?upload_id=secret")
    logging.getLogger("google.auth").info("nothing to see")
    assert lines(capsys) == [
        {"severity": "WARNING", "message": "once\nmore: /o/part?…", "logger": "urllib3.pool"},
    ]


def test_a_message_that_can_t_be_put_together_is_written_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"name": "google.auth", "levelname": "ERROR", "msg": "no %d", "args": ("number",)})
    telemetry._lines.handle(record)
    assert lines(capsys) == [{"severity": "ERROR", "message": "no %d", "logger": "google.auth"}]


@pytest.mark.usefixtures("taken")
def test_what_libraries_fail_with_has_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        dict[str, int]()["inner"]
    except KeyError:
        logging.getLogger("anything").exception("it failed")
    [line] = lines(capsys)
    assert (line["severity"], line["message"], line["error"]) == ("ERROR", "it failed", "KeyError")
    assert "KeyError: 'inner'" in line["stack_trace"]


@pytest.mark.usefixtures("taken")
def test_what_the_server_logs_is_json_and_nowhere_else(capsys: pytest.CaptureFixture[str]) -> None:
    config = Config()
    config.set("errorlog", "-")
    server = GunicornLogger(config)
    try:
        server.critical("WORKER TIMEOUT (pid:%s)", 7)
        server.info("Booting worker")
    finally:
        server.error_log.handlers.clear()
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "severity": "CRITICAL", "message": "WORKER TIMEOUT (pid:7)", "logger": "gunicorn.error",
    }  # fmt: skip
    assert "Booting worker" in err
    assert "TIMEOUT" not in err


@pytest.mark.parametrize("function", ["api", "gc", "migrate"])
def test_a_function_takes_them_as_it_is_loaded(function: str) -> None:
    target = {"gc": "collect"}.get(function, function)
    kind = "cloudevent" if function == "gc" else "http"
    load = f"functions_framework.create_app({target!r}, 'functions/{function}/main.py', {kind!r})"
    script = f"import logging, functions_framework; {load}; logging.getLogger('urllib3').warning('away')"
    finished = subprocess.run(  # our own code
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [json.loads(line)["message"] for line in finished.stdout.splitlines()] == ["away"]
    assert finished.stderr == ""
