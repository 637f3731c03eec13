"""What is made of the suite's reports. The suite itself is run by `python -m tests.conformance.run`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.conformance import run as runner
from tests.conformance import suite
from tests.conformance.results import Case, Results, read
from tests.conformance.run import Outcome, Trial, report

REPORT = """<testsuites time="1.5" tests="12" failures="2" errors="1" skipped="2" disabled="1">
  <testsuite name="OCI Conformance Test" tests="12" failures="2" errors="1" disabled="1" skipped="2" time="1.5">
    <properties><property name="Config" value="version: &#34;1.1&#34;"></property></properties>
    <testcase name="OCI Conformance Test/ping" classname="" status="passed"></testcase>
    <testcase name="OCI Conformance Test/sha256 blobs/mount anonymous/blob-mount-anonymous" status="skipped">
      <system-out>registry returned status 202, fell back to blob POST+PUT</system-out>
      <system-err>POST /v2/</system-err>
    </testcase>
    <testcase name="OCI Conformance Test/image/referrers" classname="" status="skipped">
      <system-err>OCI Conformance Test/image/referrers: skipping test:
  something else failed</system-err>
    </testcase>
    <testcase name="OCI Conformance Test/blob-post-cancel" classname="" status="skipped">
      <system-err>blob-post-cancel: skipping test:
  api Blob upload cancel is disabled in the configuration</system-err>
    </testcase>
    <testcase name="OCI Conformance Test/image/push" classname="" status="failure">
      <system-out>manifest put failed: received 404
no location</system-out>
    </testcase>
    <testcase name="OCI Conformance Test/image/pull" classname="" status="error">
      <system-out>test data missing</system-out>
    </testcase>
  </testsuite>
</testsuites>
"""
ANONYMOUS = Case("sha256 blobs/mount anonymous/blob-mount-anonymous", "fell back")
TRIAL = Trial("1.1", "redirect")


@pytest.fixture
def junit(tmp_path: Path) -> Path:
    path = tmp_path / "junit.xml"
    path.write_text(REPORT)
    return path


def pretend(folder: Path, script: str) -> Path:
    """A program in the suite's place."""
    program = folder / "suite"
    (folder / "script.py").write_text(f"import os, pathlib, sys\n{script}\n")
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(folder / "script.py")])} "$@"\n')
    program.chmod(0o755)
    return program


def results(*, failed: int = 0, skips: tuple[Case, ...] = ()) -> Results:
    failures = tuple(Case("image/push", "received 404") for _ in range(failed))
    return Results(10, failed, len(skips), 0, failures, skips)


def test_the_numbers_are_the_suites_own(junit: Path) -> None:
    found = read(junit)
    assert (found.passed, found.failed, found.skipped, found.disabled) == (6, 3, 2, 1)
    assert str(found) == "6 passed, 3 failed, 2 skipped, 1 disabled"


def test_what_did_not_pass_is_named_with_its_reason(junit: Path) -> None:
    found = read(junit)
    assert [str(case) for case in found.failures] == [
        "image/push: manifest put failed: received 404; no location",
        "image/pull: test data missing",
    ]
    assert [str(case) for case in found.skips] == [
        f"{ANONYMOUS.name}: registry returned status 202, fell back to blob POST+PUT",
        "image/referrers: something else failed",
    ]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(TRIAL, results()), 0),
        (Outcome(TRIAL, results(skips=(ANONYMOUS,))), 0),
        (Outcome(TRIAL, results(failed=1)), 1),
        (Outcome(TRIAL, results(skips=(Case("sha256 blobs/range requests", "full blob"),))), 1),
        (Outcome(TRIAL, problem="no results.yaml"), 1),
    ],
)
def test_only_known_skips_are_forgiven(outcome: Outcome, code: int) -> None:
    assert report([outcome]) == code


def test_nothing_run_is_no_success() -> None:
    assert report([]) == 1


def test_a_line_tells_the_run_and_then_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    report([Outcome(TRIAL, results(failed=2, skips=(ANONYMOUS,)))])
    assert capsys.readouterr().out.splitlines() == [
        "1.1 redirect: 10 passed, 2 failed, 1 skipped",
        "  FAILED image/push: received 404 (2 times)",
        f"  skipped {ANONYMOUS}",
    ]


def test_a_suite_that_ends_well_without_results_failed(tmp_path: Path) -> None:
    program = pretend(tmp_path, "print('failed to load config', file=sys.stderr)")
    with pytest.raises(suite.SuiteFailed, match=r"no results\.yaml:\nfailed to load config"):
        suite.run(program, "127.0.0.1:1", {}, tmp_path / "reports")


@pytest.mark.parametrize(
    ("tests", "code", "problem"), [(0, 0, "0 passed"), (3, 1, "ended with code 1"), (None, 0, "can't be read")]
)
def test_a_suite_whose_report_says_too_little_failed(
    tmp_path: Path, tests: int | None, code: int, problem: str
) -> None:
    junit = "" if tests is None else f'<testsuites tests="{tests}"/>'
    script = f"pathlib.Path('results.yaml').touch(); pathlib.Path('junit.xml').write_text('{junit}'); sys.exit({code})"
    with pytest.raises(suite.SuiteFailed, match=problem):
        suite.run(pretend(tmp_path, script), "127.0.0.1:1", {}, tmp_path / "reports")


def test_results_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "results.yaml").touch()
    with pytest.raises(suite.SuiteFailed, match=r"no results\.yaml"):
        suite.run(pretend(tmp_path, ""), "127.0.0.1:1", {}, reports)


def test_the_suite_sees_only_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCI_FILTER_TEST", "something")
    script = "sys.exit(' '.join(sorted(name for name in os.environ if name.startswith('OCI'))))"
    with pytest.raises(suite.SuiteFailed, match=r"OCI_REGISTRY OCI_RESULTS_DIR OCI_TLS OCI_VERSION$"):
        suite.run(pretend(tmp_path, script), "127.0.0.1:1", {"OCI_VERSION": "1.1"}, tmp_path / "reports")


def test_one_run_may_be_chosen_by_its_name() -> None:
    [(mode, [trial])] = runner.chosen_trials("1.1 redirect").items()
    assert (mode, trial.name) == (("redirect", "open"), "1.1 redirect")
    assert [len(of_mode) for of_mode in runner.chosen_trials(None).values()] == [3, 3, 3]
    with pytest.raises(SystemExit):
        runner.main(["--only", "no such run"])


def test_without_go_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "PROGRAMS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runner.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_program_of_the_pinned_version_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "PROGRAMS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    built = tmp_path / "conformance"
    built.write_bytes(b"\x7fELF v0.0.0-20250101000000-000000000000")
    assert suite.program() is None
    built.write_bytes(b"\x7fELF " + suite.VERSION.encode())
    assert suite.program() == built
