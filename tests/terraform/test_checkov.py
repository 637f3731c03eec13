"""checkov on what the examples plan: what it finds fault with is accepted, with a reason, or it isn't there."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import CHECKERS

pytestmark = pytest.mark.terraform

_PLANNED: Final = ("tiny", "large", "production")
_ACCEPTED: Final = tomllib.loads(Path(__file__).with_name("checkov_accepted.toml").read_text())


@pytest.fixture(scope="module")
def findings(new_terraform: NewTerraform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    checkov = CHECKERS / "checkov"
    if not checkov.exists():
        pytest.skip("no build/checkov-venv: `make build/checkov-venv/.made` installs checkov (290 MB)")
    folder = tmp_path_factory.mktemp("plans")
    for example in _PLANNED:
        plan = new_terraform().plan(f"-var-file={EXAMPLES[example]}")
        (folder / f"{example}.json").write_text(json.dumps(plan))
    # It asks nobody: without a key there is nothing to ask, and this keeps it from trying.
    files = [part for example in _PLANNED for part in ("-f", f"{example}.json")]
    command = [str(checkov), *files, "--framework", "terraform_plan", "--skip-download", "--quiet", "-o", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_checkov_finds_is_accepted_with_a_reason(findings: dict[str, Any]) -> None:
    assert findings["summary"]["parsing_errors"] == 0
    assert findings["summary"]["passed"] > 200, "it has to have looked"
    found = {(each["check_id"], each["resource"]) for each in findings["results"]["failed_checks"]}
    accepted = {(check, resource) for check, entry in _ACCEPTED.items() for resource in entry["resources"]}
    assert found - accepted == set(), "not accepted"
    assert accepted - found == set(), "accepted, and found no more"


def test_every_accepted_finding_has_a_reason() -> None:
    for check, entry in _ACCEPTED.items():
        assert set(entry) == {"resources", "reason"}, check
        assert len(entry["reason"]) > 20, check
