"""The pipelines: two files that say the same, and steps that run here with simulated programs instead of a cloud."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.clients.content import Layout, make_image
from tests.clients.server import admin_secret, start_registry
from tests.terraform.core import CHECKERS, ROOT
from tests.terraform.programs import SimulatedPrograms

_SCRIPT: Final = ROOT / "deploy" / "pipeline"
_STEPS: Final = (
    "gate",
    "test",
    "plan",
    "deploy-migrate",
    "migrate-pre",
    "deploy",
    "sign-in",
    "smoke",
    "migrate-post",
    "promote",
)
_GITHUB_TEXT: Final = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
_GITHUB: Final = yaml.safe_load(_GITHUB_TEXT)
_CLOUD_BUILD_TEXT: Final = (ROOT / "cloudbuild.yaml").read_text()
_CLOUD_BUILD: Final = yaml.safe_load(_CLOUD_BUILD_TEXT)
_VARIABLES: Final = {"COMMIT", "DEPLOYER", "PROMOTED_FROM", "ROLLBACK", "STATE_BUCKET", "VARIABLES"}
_DIGEST: Final = "sha256:" + "1" * 64
_AUTH_HEADER: Final = 'header = "Authorization: Bearer an-identity"\n'


def _github_steps(job: str) -> list[tuple[str, str, list[str]]]:
    """Name, image and command of those that do the deploying."""
    return [
        (
            step["name"],
            step["uses"].removeprefix("docker://"),
            [step["with"]["entrypoint"], *step["with"]["args"].split()],
        )
        for step in _GITHUB["jobs"][job]["steps"]
        if "name" in step
    ]


def test_both_pipelines_take_the_same_steps_in_the_same_images() -> None:
    cloud_build = [(step["id"], step["name"], [step["entrypoint"], *step["args"]]) for step in _CLOUD_BUILD["steps"]]
    assert _github_steps("staging") == _github_steps("production") == cloud_build
    assert [(name, command) for name, _, command in cloud_build] == [
        (name, ["/bin/sh", "deploy/pipeline", name]) for name in _STEPS
    ]


def test_every_image_and_action_is_pinned() -> None:
    for _, image, _ in _github_steps("staging"):
        assert re.search(r":v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", image), image
    for step in _GITHUB["jobs"]["staging"]["steps"]:
        if "name" not in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])


def test_both_pipelines_know_the_variables_that_the_steps_read() -> None:
    read = set(re.findall(r"^#   ([A-Z_]+)  ", _SCRIPT.read_text(), re.MULTILINE)) - {"SMOKE_IMAGE"}
    cloud_build = dict(entry.split("=", 1) for entry in _CLOUD_BUILD["options"]["env"])
    assert read == set(cloud_build) == set(_GITHUB["jobs"]["staging"]["env"]) == _VARIABLES
    assert set(cloud_build.values()) == {"$COMMIT_SHA", *(f"${name}" for name in _CLOUD_BUILD["substitutions"])}
    trigger = (ROOT / "terraform" / "pipeline.tf").read_text()
    assert set(re.findall(r"^    (_[A-Z_]+) +=", trigger, re.MULTILINE)) == {*_CLOUD_BUILD["substitutions"]} - {
        "_ROLLBACK"
    }


def test_production_comes_after_staging_and_an_approval() -> None:
    production = _GITHUB["jobs"]["production"]
    assert (production["needs"], production["environment"]) == ("staging", "production")
    assert _GITHUB["concurrency"]["cancel-in-progress"] is False
    assert _GITHUB["permissions"] == {"contents": "read", "id-token": "write"}


@pytest.mark.parametrize("text", [_GITHUB_TEXT, _CLOUD_BUILD_TEXT, _SCRIPT.read_text()], ids=["github", "build", "sh"])
def test_there_is_no_key_in_them(text: str) -> None:
    assert not re.search(r"credentials_json|secrets\.|PRIVATE KEY|secretEnv|AIza|password", text)


def test_the_script_is_clean() -> None:
    for shell in ("sh", "bash"):
        if shutil.which(shell):
            subprocess.run([shell, "-n", _SCRIPT], check=True)
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=str(CHECKERS))
    if shellcheck is None:
        pytest.skip("install shellcheck: apt-get install shellcheck, or let `make build/checkov-venv/.made` fetch one")
    subprocess.run([shellcheck, _SCRIPT], check=True)


@pytest.fixture
def programs(tmp_path: Path) -> SimulatedPrograms:
    folder = tmp_path / "simulated"
    folder.mkdir()
    programs = SimulatedPrograms(folder, "gcloud", "terraform", "curl", "make", "skopeo")
    programs.answer("print-identity-token", "an-identity\n")
    programs.answer("output -raw migrate_url", "https://migrate.example.com")
    programs.answer("output -raw registry_host", "registry.example.com")
    programs.answer("output -raw token_service", "slipway")
    programs.answer("^skopeo (inspect .*--format|manifest-digest)", f"{_DIGEST}\n")
    programs.answer(r"^skopeo inspect --authfile .+auth.json docker", code=1)
    return programs


class Pipeline:
    """In a folder of its own, as a pipeline checks the repository out."""

    def __init__(self, folder: Path, programs: SimulatedPrograms) -> None:
        self.folder = folder
        self.programs = programs
        (folder / "deploy").mkdir(parents=True)
        (folder / "terraform").mkdir()
        shutil.copy(_SCRIPT, folder / "deploy" / "pipeline")

    def run(self, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "COMMIT": "c0ffee",
            "DEPLOYER": "deploy@example.com",
            "STATE_BUCKET": "state",
            "VARIABLES": "deploy/staging.tfvars",
            **self.programs.environment(),
            **variables,
        }
        command = ["sh", "deploy/pipeline", step]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def commands(self) -> list[str]:
        """Without the folder's name, which is another each time."""
        return [call.command.replace(str(self.folder), ".") for call in self.programs.calls()]


@pytest.fixture
def pipeline(tmp_path: Path, programs: SimulatedPrograms) -> Pipeline:
    return Pipeline(tmp_path / "checkout", programs)


_IDENTITY: Final = (
    "gcloud auth print-identity-token --impersonate-service-account=deploy@example.com --audiences={} --include-email"
)
_CURL: Final = (
    "curl --config - --fail-with-body --silent --show-error --max-time 1800"
    ' --header Content-Type: application/json --data {{"lines": ["{}"]}} https://migrate.example.com'
)
_APPLY: Final = "terraform -chdir=./terraform apply -input=false -auto-approve -var-file=./deploy/staging.tfvars"
_OUTPUT: Final = "terraform -chdir=./terraform output -raw {}"
_IMAGE: Final = "docker://registry.example.com/smoke/pipeline:c0ffee"
_AUTH: Final = "./build/pipeline/auth.json"


def test_the_schema_is_expanded_before_new_code_serves_and_contracted_after(pipeline: Pipeline) -> None:
    """All steps, with simulated programs: what they call, in order."""
    for step in _STEPS:
        done = pipeline.run(step)
        assert done.returncode == 0, (step, done.stderr)
    assert pipeline.commands() == [
        "make -C . test",
        "terraform -chdir=./terraform init -input=false -backend-config=bucket=state -backend-config=prefix=slipway",
        "terraform -chdir=./terraform plan -input=false -var-file=./deploy/staging.tfvars",
        f'{_APPLY} -target=google_cloudfunctions2_function.this["migrate"]',
        _OUTPUT.format("migrate_url"),
        _IDENTITY.format("https://migrate.example.com"),
        _CURL.format("pre"),
        _APPLY,
        _OUTPUT.format("registry_host"),
        _OUTPUT.format("token_service"),
        _IDENTITY.format("slipway"),
        f"skopeo copy --dest-authfile {_AUTH} docker://registry.k8s.io/pause:3.10 {_IMAGE}",
        f"skopeo copy --src-authfile {_AUTH} {_IMAGE} dir:./build/pipeline/pulled",
        f"skopeo inspect --authfile {_AUTH} --format {{{{.Digest}}}} {_IMAGE}",
        "skopeo manifest-digest ./build/pipeline/pulled/manifest.json",
        f"skopeo delete --authfile {_AUTH} {_IMAGE}",
        f"skopeo inspect --authfile {_AUTH} {_IMAGE}",
        _IDENTITY.format("https://migrate.example.com"),
        _CURL.format("post"),
        "gcloud storage cp - gs://state/promoted/c0ffee",
    ]
    assert "backend" in (pipeline.folder / "terraform" / "backend.tf").read_text()
    assert not (pipeline.folder / "build" / "pipeline" / "auth.json").exists()


def test_an_identity_is_never_an_argument(pipeline: Pipeline) -> None:
    pipeline.run("deploy-migrate")
    pipeline.run("migrate-pre")
    calls = pipeline.programs.calls()
    assert calls[-1].given == _AUTH_HEADER
    assert not [call for call in calls if "an-identity" in call.command]


def test_what_the_registry_is_signed_in_with(pipeline: Pipeline) -> None:
    pipeline.run("deploy")
    pipeline.run("sign-in")
    path = pipeline.folder / "build" / "pipeline" / "auth.json"
    assert json.loads(path.read_text()) == {"auths": {"registry.example.com": {"auth": "b2lkYzphbi1pZGVudGl0eQ=="}}}
    assert path.stat().st_mode & 0o077 == 0


def test_production_takes_what_staging_has_promoted_and_tests_it_no_more(pipeline: Pipeline) -> None:
    production = {"PROMOTED_FROM": "staging-state", "VARIABLES": "deploy/production.tfvars"}
    assert pipeline.run("gate", **production).returncode == 0
    assert pipeline.run("test", **production).returncode == 0
    assert pipeline.commands() == ["gcloud storage cat gs://staging-state/promoted/c0ffee"]
    pipeline.programs.answer("storage cat", code=1)
    refused = pipeline.run("gate", **production)
    assert refused.returncode == 1
    assert "has not been promoted" in refused.stderr


def test_a_rollback_leaves_the_schema_alone(pipeline: Pipeline) -> None:
    for step in ("deploy-migrate", "migrate-pre", "deploy", "migrate-post"):
        assert pipeline.run(step, ROLLBACK="yes").returncode == 0
    commands = pipeline.commands()
    assert _APPLY in commands
    assert not [command for command in commands if "-target" in command or command.startswith("curl")]


@pytest.mark.parametrize(
    ("step", "pattern"),
    [
        ("test", "^make"),
        ("plan", " plan "),
        ("deploy-migrate", " apply "),
        ("migrate-pre", "^curl"),
        ("migrate-pre", "print-identity-token"),
        ("deploy", " apply "),
        ("sign-in", "print-identity-token"),
        ("smoke", "^skopeo copy --dest"),
        ("smoke", "^skopeo copy --src"),
        ("smoke", "^skopeo delete"),
        ("promote", "storage cp"),
    ],
)
def test_a_step_whose_program_fails_fails(step: str, pattern: str, pipeline: Pipeline) -> None:
    """So the pipeline ends there: nothing is deployed on a schema that isn't ready."""
    for before in ("deploy-migrate", "deploy"):
        pipeline.run(before)
    pipeline.programs.answer(pattern, code=3)
    assert pipeline.run(step).returncode != 0


@pytest.mark.parametrize(
    ("pattern", "text", "code", "expected"),
    [
        ("^skopeo manifest-digest", "sha256:2\n", 0, "pulled sha256:2"),
        (r"^skopeo inspect --authfile .+auth.json docker", "", 0, "is still there"),
    ],
)
def test_a_registry_that_loses_or_keeps_images_is_not_promoted(
    pattern: str, text: str, code: int, expected: str, pipeline: Pipeline
) -> None:
    pipeline.run("deploy")
    pipeline.programs.answer(pattern, text, code)
    refused = pipeline.run("smoke")
    assert refused.returncode == 1
    assert expected in refused.stderr


@pytest.mark.parametrize("step", ["", "undeploy"])
def test_a_step_that_is_not_known_is_refused(step: str, pipeline: Pipeline) -> None:
    assert pipeline.run(step).returncode == 1


@pytest.mark.parametrize("variable", ["STATE_BUCKET", "VARIABLES"])
def test_a_variable_that_is_missing_is_named(variable: str, pipeline: Pipeline) -> None:
    assert f"{variable} is not set" in pipeline.run("plan", **{variable: ""}).stderr


@pytest.mark.clients
def test_the_smoke_test_with_a_real_client_and_a_real_registry(tmp_path: Path) -> None:
    """Nothing is simulated here but the identity: the administrator signs in instead."""
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("install skopeo: apt-get install skopeo")
    layout = Layout(tmp_path / "layout")
    make_image(layout)
    pipeline = Pipeline(tmp_path / "checkout", SimulatedPrograms(tmp_path))
    left = pipeline.folder / "build" / "pipeline"
    left.mkdir(parents=True)
    with start_registry("streaming", tmp_path / "data", {"SLIPWAY_ACCESS": "token"}) as registry:
        (left / "registry_host").write_text(registry.address)
        (tmp_path / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
        without_tls = tmp_path / "skopeo"
        without_tls.write_text(f'#!/bin/sh\nexec {skopeo} --registries-conf "{tmp_path}/registries.conf" "$@"\n')
        without_tls.chmod(0o755)
        account = base64.b64encode(f"admin:{admin_secret(tmp_path / 'data')}".encode()).decode()
        (left / "auth.json").write_text(json.dumps({"auths": {registry.address: {"auth": account}}}))
        done = pipeline.run("smoke", SMOKE_IMAGE=layout.reference("one"))
    assert done.returncode == 0, done.stderr
    assert "pushed, pulled and deleted sha256:" in done.stderr
