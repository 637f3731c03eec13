"""What the suite found, read from the report that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

_ROOT_NAME: Final = "OCI Conformance Test/"
_SKIPPING: Final = "skipping test:"
_DISABLED: Final = "is disabled in the configuration"
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Case:
    """One test that did not pass, and what the suite said about it."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Results:
    """The numbers are the suite's own: it counts checks, of which a test may have several."""

    passed: int
    failed: int
    skipped: int
    disabled: int
    failures: tuple[Case, ...]
    skips: tuple[Case, ...]

    def __str__(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{counts}, {self.disabled} disabled" if self.disabled else counts


def read(report: Path) -> Results:
    """The suite's junit.xml: of its reports the only one with both the numbers and the names.

    Raises OSError or ParseError.
    """
    suite = ET.parse(report).getroot()  # noqa: S314  # written by the program that was just run here
    failed = _number(suite, "failures") + _number(suite, "errors")
    skipped, disabled = _number(suite, "skipped"), _number(suite, "disabled")
    return Results(
        passed=_number(suite, "tests") - failed - skipped - disabled,
        failed=failed,
        skipped=skipped,
        disabled=disabled,
        failures=tuple(_cases(suite, {"failure", "error"})),
        skips=tuple(case for case in _cases(suite, {"skipped"}) if _DISABLED not in case.reason),
    )


def _number(suite: ET.Element, name: str) -> int:
    return int(suite.get(name, "0"))


def _cases(suite: ET.Element, statuses: set[str | None]) -> Iterator[Case]:
    """The status is an attribute here, not a child as other programs write it."""
    for case in suite.iter("testcase"):
        if case.get("status") in statuses:
            yield Case(case.get("name", "").removeprefix(_ROOT_NAME), _reason(case))


def _reason(case: ET.Element) -> str:
    """The errors; without any, what follows the log's remark on why the test was not run."""
    text = case.findtext("system-out") or (case.findtext("system-err") or "").rpartition(_SKIPPING)[2]
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())[:_LONGEST_REASON]
