"""The preflight where Google doesn't answer, where nobody is signed in, and where gcloud is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.preflight import google as client
from deploy.preflight.google import ENDPOINT_VARIABLE, TOKEN_VARIABLE
from tests.preflight.conftest import Run
from tests.preflight.google import TOKEN, FakeGoogle
from tests.preflight.project import PROJECT, REGION, GoogleProject, new_project
from tests.terraform.core import ROOT
from tests.terraform.programs import SimulatedPrograms

Serve = Callable[[GoogleProject], FakeGoogle]
_COMMAND = [sys.executable, "-S", "-m", "deploy.preflight", f"--project={PROJECT}", f"--region={REGION}"]


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "nonsense"])
def test_what_passes_is_asked_again(fault: int | str, run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.faults = {path: [fault, fault] for path in ("quotaInfos/Cpu", "services:batchGet", "v3/projects/[^/:]+$")}
    assert run(fake).code == 0
    assert not any(fake.faults.values())


@pytest.mark.parametrize("fault", [429, 500, "hang"])
def test_what_stays_is_said_and_the_rest_is_looked_at(fault: int | str, run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.faults = {"quotaInfos/Cpu": [fault] if fault == "hang" else [fault] * 3}
    said = run(fake, "--json")
    assert said.code == 3
    (unknown,) = [one for one in said.findings() if one["state"] == "?"]
    assert unknown["text"].startswith("vCPU of Cloud Run in europe-west1: cloudquotas.googleapis.com: ")
    assert unknown["text"].endswith(", 3 times")
    assert said.states()["policies"] == {"ok"}


def test_a_refusal_is_not_asked_again(run: Run, serve: Serve) -> None:
    project = GoogleProject()
    project.permissions.remove("orgpolicy.policy.get")
    fake = serve(project)
    said = run(fake, "--json")
    assert said.code == 3
    (unread,) = said.of("policies", "?")
    assert unread["text"].startswith("iam.allowedPolicyMemberDomains and 27 more can't be read: ")
    assert unread["ask"] == ["ask for a role with orgpolicy.policy.get"]
    calls = [call for call in fake.calls if "getEffectivePolicy" in call]
    assert len(calls) == len(set(calls))


def test_an_api_that_was_enabled_seconds_ago_is_waited_for(run: Run, serve: Serve) -> None:
    project = new_project()
    project.slow_to_enable = 3
    assert run(serve(project)).code == 0


def test_a_first_answer_that_never_comes_ends_it(run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.faults = {"v3/projects/[^/:]+$": [503] * 3}
    said = run(fake)
    assert said.code == 3
    assert "503 a fault, 3 times" in said.out


def test_a_token_that_ran_out_says_how_to_sign_in(run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.is_token_good = False
    said = run(fake)
    assert said.code == 3
    assert said.error == "preflight: the token is not good, run `gcloud auth login`. Google says: Invalid Value\n"


def test_a_token_that_runs_out_meanwhile_ends_it(run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.faults = {"billingInfo": [401]}
    said = run(fake)
    assert said.code == 3
    assert said.error == "preflight: the token is no longer good: run `gcloud auth login`\n"


def test_a_token_goes_to_no_other_machine(run: Run, serve: Serve) -> None:
    fake = serve(GoogleProject())
    fake.address = "http://registry.example.com"
    said = run(fake)
    assert said.code == 3
    assert "has to be an address of this machine" in said.error


def _environment(path: str, fake: FakeGoogle) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    return {**kept, "PATH": path, ENDPOINT_VARIABLE: fake.address}


def test_without_gcloud_it_says_where_to_get_it(tmp_path: Path, serve: Serve) -> None:
    environment = _environment(str(tmp_path), serve(GoogleProject()))
    done = subprocess.run(_COMMAND, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("preflight: gcloud is not installed: https://cloud.google.com/sdk/docs/install")


def test_the_token_is_gclouds_and_the_standard_library_is_enough(tmp_path: Path, serve: Serve) -> None:
    gcloud = SimulatedPrograms(tmp_path, "gcloud")
    gcloud.answer("auth print-access-token", f"{TOKEN}\n")
    environment = _environment("", serve(GoogleProject())) | gcloud.environment()
    environment.pop(TOKEN_VARIABLE, None)
    done = subprocess.run(_COMMAND, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ready: terraform apply\n")
    assert TOKEN not in done.stdout + done.stderr


def test_who_is_not_signed_in_reads_what_gcloud_says(tmp_path: Path, serve: Serve) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        "#!/bin/sh\necho 'ERROR: (gcloud.auth.print-access-token) You do not have an active account' >&2\nexit 1\n"
    )
    gcloud.chmod(0o755)
    environment = _environment(f"{tmp_path}:{os.environ['PATH']}", serve(GoogleProject()))
    done = subprocess.run(_COMMAND, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "run `gcloud auth login`. It says: ERROR: (gcloud.auth.print-access-token) You do not" in done.stderr


def test_nothing_is_followed_elsewhere(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve(GoogleProject())
    monkeypatch.setenv(ENDPOINT_VARIABLE, fake.address)
    fake.faults = {"billingInfo": [302]}
    google = client.Google(TOKEN, PROJECT, pauses=())
    with pytest.raises(client.Refused) as refused:
        google.get("cloudbilling.googleapis.com", f"v1/projects/{PROJECT}/billingInfo")
    assert refused.value.status == 302
