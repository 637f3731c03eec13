"""What is made of the classic suite, and of the table of its requests. Both are run by `make conformance-all`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from local.processes import Children
from tests.conformance import classic, classic_suite
from tests.conformance.classic import ClassicTrial, run_table
from tests.conformance.classic_client import Client
from tests.conformance.classic_run import Run
from tests.conformance.results import Case, Results
from tests.conformance.run import Outcome, report
from tests.faults.conftest import children, serve

__all__ = ["children"]

TRIAL = ClassicTrial("v1.1.1", "open", manifests_first=True)
STRICT = dataclasses.replace(TRIAL, automatic_mounts="0")
MOUNT = Case("Push: mount without a source is 202", "201, not 202")
# Ginkgo's first version, and its second with a name before it.
REPORT = """<testsuite name="{0}" tests="4" failures="1">
  <testcase name="{1}{0} Pull Setup Populate registry" classname="{0}"></testcase>
  <testcase name="{1}{0} Push HEAD unknown" classname="{0}" status="failed">
    <failure type="Failure" message="Expected 400
        to equal 404"></failure>
  </testcase>
  <testcase name="{1}{0} Pull Setup Get tag name from environment" status="skipped">
    <skipped message="no"></skipped>
  </testcase>
  <testcase name="[ReportAfterSuite] html custom reporter"></testcase>
</testsuite>"""


@pytest.fixture(autouse=True)
def _without_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(classic_suite, "PROGRAMS", tmp_path / "programs")


def found(failures: tuple[Case, ...] = (), skips: tuple[Case, ...] = ()) -> Results:
    return Results(10, len(failures), len(skips), 0, failures, skips)


@pytest.mark.parametrize("prefix", ["", "[It] "])
def test_the_suites_report_is_read(tmp_path: Path, prefix: str) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(REPORT.format("OCI Distribution Conformance Tests", prefix))
    results = classic_suite.read(junit)
    assert (results.passed, results.failed, results.skipped) == (1, 1, 1)
    assert [str(case) for case in results.failures] == ["Push HEAD unknown: Expected 400 to equal 404"]
    assert [case.name for case in results.skips] == ["Pull Setup Get tag name from environment"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(TRIAL, found()), 0),
        (Outcome(STRICT, found(failures=(MOUNT,))), 0),
        (Outcome(TRIAL, found(failures=(MOUNT,))), 1),
        (Outcome(STRICT, found(failures=(MOUNT, Case("Push: GET the layer", "404")))), 1),
        (Outcome(STRICT, Results(10, 2, 0, 0, (MOUNT,), ())), 1),
        (Outcome(TRIAL, found(skips=(Case("Push: upload what could not be mounted", "201"),))), 0),
        (Outcome(TRIAL, found(skips=(Case("Push: GET what was mounted", "202"),))), 1),
    ],
)
def test_the_one_failure_that_is_explained_is_forgiven_and_no_other(outcome: Outcome, code: int) -> None:
    assert report([outcome]) == code


def test_every_version_is_asked_in_both_orders() -> None:
    chosen = list(classic.trials("open"))
    assert {(one.version, one.manifests_first) for one in chosen if one.automatic_mounts == "1"} == {
        (version, order) for version in classic.VERSIONS for order in (True, False)
    }
    assert len({one.repository for one in chosen}) == len(chosen)


def test_a_source_that_can_not_be_had_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic_suite, "SOURCE", str(tmp_path / "nowhere"))
    reason = classic_suite.build("v1.1.1")
    assert reason
    assert "\n" not in reason
    assert classic_suite.built("v1.1.1") is None


@pytest.mark.parametrize("manifests_first", [True, False], ids=["manifests first", "blobs first"])
@pytest.mark.parametrize("version", classic.VERSIONS)
def test_nothing_of_the_table_fails(
    environment: dict[str, str], tmp_path: Path, children: Children, version: str, manifests_first: bool
) -> None:
    server = serve(environment, tmp_path, children)
    client = Client(f"127.0.0.1:{server.port}", "classic/one")
    results = run_table(Run(client, version, manifests_first, automatic_mounts="1"))
    assert [str(case) for case in results.failures] == []
    assert {case.name for case in results.skips} <= TRIAL.expected_skips
