"""The fake of Google's APIs, read by Google's own client: what gcloud understands is what the API answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.preflight.constraints import CONSTRAINTS
from deploy.preflight.google import ENDPOINT_VARIABLE, NotSignedIn, access_token
from tests.preflight.google import TOKEN, FakeGoogle
from tests.preflight.project import NUMBER, PROJECT, REGION, GoogleProject, new_project

pytestmark = [
    pytest.mark.terraform,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]
_APIS: Final = ("cloudbilling", "cloudquotas", "orgpolicy", "serviceusage")
Serve = Callable[[GoogleProject], FakeGoogle]


def _gcloud(fake: FakeGoogle, folder: Path, *arguments: str) -> Any:
    token = folder / "token"
    token.write_text(TOKEN)
    environment = {
        **os.environ,
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
    }
    for api in _APIS:
        name = f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}"
        environment[name] = f"{fake.address}/{api}.googleapis.com/"
    command = ["gcloud", *arguments, f"--project={PROJECT}", "--format=json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_policy(serve: Serve, tmp_path: Path) -> None:
    policies: dict[str, list[dict[str, Any]]] = {
        "run.allowedIngress": [{"values": {"allowedValues": ["internal"]}}],
        "x.y": [{"enforce": True}],
    }
    fake = serve(GoogleProject(policies=policies))
    found = _gcloud(fake, tmp_path, "org-policies", "describe", "run.allowedIngress", "--effective")
    assert found["spec"] == {"rules": policies["run.allowedIngress"]}
    enforced = _gcloud(fake, tmp_path, "org-policies", "describe", "x.y", "--effective")
    assert enforced["spec"]["rules"] == [{"enforce": True}]


def test_a_quota(serve: Serve, tmp_path: Path) -> None:
    fake = serve(GoogleProject())
    quota = ("CpuAllocPerProjectRegion", "--service=run.googleapis.com")
    found = _gcloud(fake, tmp_path, "beta", "quotas", "info", "describe", *quota)
    first = found["dimensionsInfos"][0]
    assert (first["details"]["value"], first["dimensions"]) == ("20000", {"region": REGION})


def test_an_agent_and_the_billing_account(serve: Serve, tmp_path: Path) -> None:
    fake = serve(new_project())
    fake.project.enabled.add("pubsub.googleapis.com")
    agent = ("beta", "services", "identity", "create", "--service=pubsub.googleapis.com")
    found = _gcloud(fake, tmp_path, *agent)
    assert found["email"] == f"service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
    assert fake.project.agents == {"pubsub"}
    billed = _gcloud(fake, tmp_path, "billing", "projects", "describe", PROJECT)
    assert billed["billingEnabled"] is True


def test_apis_are_enabled(serve: Serve, tmp_path: Path) -> None:
    fake = serve(new_project())
    _gcloud(fake, tmp_path, "services", "enable", "run.googleapis.com", "pubsub.googleapis.com")
    assert {"run.googleapis.com", "pubsub.googleapis.com"} <= fake.project.enabled
    assert "GET serviceusage.googleapis.com/v1/operations/acat.p2-enabling" in fake.calls


def test_who_is_not_signed_in_is_told_so_by_gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_OAUTH_ACCESS_TOKEN", raising=False)
    monkeypatch.delenv(ENDPOINT_VARIABLE, raising=False)
    with pytest.raises(NotSignedIn, match=r"You do not currently have an active account selected"):
        access_token()


def test_no_constraint_is_named_twice() -> None:
    assert len({constraint.name for constraint in CONSTRAINTS}) == len(CONSTRAINTS)
