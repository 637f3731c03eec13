"""The pipelines: two files that say the same, and steps that run here with simulated programs instead of a cloud."""

from __future__ import annotations

import base64
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.clients.content import Layout, make_image
from tests.clients.server import admin_secret, start_registry
from tests.terraform.core import CHECKERS, ROOT
from tests.terraform.programs import SimulatedPrograms

_SCRIPT: Final = ROOT / "deploy" / "pipeline"
_STEPS: Final = (
    "gate",
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
_TEST_BUILD: Final = yaml.safe_load((ROOT / "cloudbuild.test.yaml").read_text())
_VARIABLES: Final = {"COMMIT", "DEPLOYER", "PROMOTED_FROM", "ROLLBACK", "STATE_BUCKET", "TESTED_IN", "VARIABLES"}
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
    cloud_build = _build_steps(_CLOUD_BUILD)
    assert _github_steps("staging") == _github_steps("production") == cloud_build
    assert [(name, command) for name, _, command in cloud_build] == [
        (name, ["/bin/sh", "deploy/pipeline", name]) for name in _STEPS
    ]


def _build_steps(build: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    return [(step["id"], step["name"], [step["entrypoint"], *step["args"]]) for step in build["steps"]]


def test_the_tests_have_no_rights_to_take() -> None:
    """They run what many hands have written: before anything is signed in to, or as an account that may do nothing."""
    assert _GITHUB["permissions"] == {"contents": "read"}
    assert "permissions" not in _GITHUB["jobs"]["test"]
    assert not [step for step in _GITHUB["jobs"]["test"]["steps"] if "auth" in step.get("uses", "")]
    (test,) = _github_steps("test")
    said, tested = _build_steps(_TEST_BUILD)
    assert test == said
    assert (test[0], tested[0]) == ("test", "tested")
    for steps in (_github_steps("staging"), _build_steps(_CLOUD_BUILD)):
        assert not [command for name, _, command in steps if name == "test" or "test" in command]
    trigger = (ROOT / "terraform" / "pipeline.tf").read_text().split('"google_cloudbuild_trigger" "test"')[1]
    assert "service_account = google_service_account.test[0].id" in trigger


def test_every_image_and_action_is_pinned() -> None:
    steps = [*_github_steps("test"), *_github_steps("staging"), *_build_steps(_TEST_BUILD), *_build_steps(_CLOUD_BUILD)]
    nginx = re.findall(r'default +="?.*"(library/nginx.*)"', _all_terraform().replace("= ", "="))
    smoke = re.findall(r"SMOKE_IMAGE:-docker://(\S+)\}", _SCRIPT.read_text())
    assert (len(nginx), len(smoke)) == (1, 1)
    for image in [*(image for _, image, _ in steps), *nginx, *smoke]:
        assert re.search(r"@sha256:[0-9a-f]{64}$", image), image
    for job in ("test", "staging", "production"):
        for step in _GITHUB["jobs"][job]["steps"]:
            if "name" not in step:
                assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])


def _all_terraform() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "terraform").glob("*.tf"))


def test_both_pipelines_know_the_variables_that_the_steps_read() -> None:
    read = set(re.findall(r"^#   ([A-Z_]+)  ", _SCRIPT.read_text(), re.MULTILINE)) - {"BRANCH", "SMOKE_IMAGE"}
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
    for job in ("staging", "production"):
        assert _GITHUB["jobs"][job]["permissions"] == {"contents": "read", "id-token": "write"}
    assert _GITHUB["jobs"]["staging"]["needs"] == "test"


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
    programs = SimulatedPrograms(folder, "gcloud", "terraform", "curl", "git", "make", "skopeo", "sleep")
    # What IAM says to an account that may have identity tokens of itself, and nothing else.
    programs.answer("impersonate-service-account", "PERMISSION_DENIED: getAccessToken denied", code=1)
    programs.answer("print-access-token", "an-access-token\n")
    programs.answer("^curl .*:generateIdToken$", '{"token": "an-identity"}')
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
        shutil.copy(ROOT / "terraform" / "moved.tf", folder / "terraform")

    def run(self, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "COMMIT": "c0ffee",
            "DEPLOYER": "deploy@example.com",
            "STATE_BUCKET": "state",
            "TESTED_IN": "state" if step == "tested" else "",
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
    "gcloud auth print-access-token",
    (
        "curl --config - --fail-with-body --silent --show-error --max-time 60"
        ' --json {{"audience": "{}", "includeEmail": true}}'
        " https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/deploy@example.com:generateIdToken"
    ),
)
_CURL: Final = (
    "curl --config - --fail-with-body --silent --show-error --max-time 1800"
    ' --header Content-Type: application/json --data {{"lines": ["{}"]}} https://migrate.example.com'
)
_PLAN: Final = "terraform -chdir=./terraform plan -input=false -var-file=./deploy/staging.tfvars"
_APPLY: Final = "terraform -chdir=./terraform apply -input=false ./build/pipeline/{}.plan"
_ONE: Final = 'google_cloudfunctions2_function.this["migrate"]'
_OUTPUT: Final = "terraform -chdir=./terraform output -raw {}"
_IMAGE: Final = "docker://registry.example.com/smoke/pipeline:c0ffee"
_AUTH: Final = "./build/pipeline/auth.json"
_SMOKED: Final = (
    "docker://registry.k8s.io/pause@sha256:ee6521f290b2168b6e0935a181d4cff9be1ac3f505666ef0e3c98fae8199917a"
)


def _identity(audience: str) -> list[str]:
    return [command.format(audience) for command in _IDENTITY]


def test_the_schema_is_expanded_before_new_code_serves_and_contracted_after(pipeline: Pipeline) -> None:
    """All steps, with simulated programs: what they call, in order."""
    for step in _STEPS:
        done = pipeline.run(step)
        assert done.returncode == 0, (step, done.stderr)
    assert pipeline.commands() == [
        "terraform -chdir=./terraform init -input=false -backend-config=bucket=state -backend-config=prefix=slipway",
        _PLAN,
        "terraform -chdir=./terraform state list",
        f"{_PLAN} -out=./build/pipeline/migrate.plan -target={_ONE}",
        _APPLY.format("migrate"),
        _OUTPUT.format("migrate_url"),
        *_identity("https://migrate.example.com"),
        _CURL.format("pre"),
        f"{_PLAN} -out=./build/pipeline/deploy.plan",
        _APPLY.format("deploy"),
        _OUTPUT.format("registry_host"),
        _OUTPUT.format("token_service"),
        *_identity("slipway"),
        f"skopeo copy --dest-authfile {_AUTH} {_SMOKED} {_IMAGE}",
        f"skopeo copy --src-authfile {_AUTH} {_IMAGE} dir:./build/pipeline/pulled",
        f"skopeo inspect --authfile {_AUTH} --format {{{{.Digest}}}} {_IMAGE}",
        "skopeo manifest-digest ./build/pipeline/pulled/manifest.json",
        f"skopeo delete --authfile {_AUTH} {_IMAGE}",
        f"skopeo inspect --authfile {_AUTH} {_IMAGE}",
        *_identity("https://migrate.example.com"),
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
    assert not [call for call in calls if "an-identity" in call.command or "an-access-token" in call.command]


@pytest.fixture
def iam() -> Iterator[tuple[str, list[Any]]]:
    """Answers as IAM does an account that may have identity tokens of itself alone; and tells what it was asked."""
    asked: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], self.headers["Content-Type"], json.loads(body)))
            is_allowed = self.path.endswith("/deploy@example.com:generateIdToken")
            self.send_response(200 if is_allowed else 403)
            self.end_headers()
            # As the API writes it: on lines of its own, with a space.
            self.wfile.write(b'{\n  "token": "an-identity"\n}\n' if is_allowed else b'{"error": {"code": 403}}')

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("account", "expected"), [("deploy@example.com", 0), ("other@example.com", 1)])
def test_an_identity_is_had_with_the_right_that_the_account_has(
    account: str, expected: int, tmp_path: Path, iam: tuple[str, list[Any]]
) -> None:
    """The real curl makes only the one call that the narrow right is for."""
    if shutil.which("curl") is None:
        pytest.skip("install curl: apt-get install curl")
    programs = SimulatedPrograms(tmp_path, "gcloud")
    programs.answer("print-access-token", "an-access-token\n")
    pipeline, (address, asked) = Pipeline(tmp_path / "checkout", programs), iam
    left = pipeline.folder / "build" / "pipeline"
    left.mkdir(parents=True)
    (left / "token_service").write_text("slipway")
    (left / "registry_host").write_text("registry.example.com")
    done = pipeline.run("sign-in", DEPLOYER=account, CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS=address)
    assert (done.returncode != 0) == bool(expected), done.stderr
    path = f"/v1/projects/-/serviceAccounts/{account}:generateIdToken"
    body = {"audience": "slipway", "includeEmail": True}
    assert asked == [(path, "Bearer an-access-token", "application/json", body)]
    if not expected:
        auth = json.loads((left / "auth.json").read_text())["auths"]["registry.example.com"]["auth"]
        assert base64.b64decode(auth) == b"oidc:an-identity"


def test_what_the_registry_is_signed_in_with(pipeline: Pipeline) -> None:
    pipeline.run("deploy")
    pipeline.run("sign-in")
    path = pipeline.folder / "build" / "pipeline" / "auth.json"
    assert json.loads(path.read_text()) == {"auths": {"registry.example.com": {"auth": "b2lkYzphbi1pZGVudGl0eQ=="}}}
    assert path.stat().st_mode & 0o077 == 0


def test_production_takes_what_staging_has_promoted_and_tests_it_no_more(pipeline: Pipeline) -> None:
    production = {"PROMOTED_FROM": "staging-state", "VARIABLES": "deploy/production.tfvars"}
    assert pipeline.run("gate", **production).returncode == 0
    assert pipeline.commands() == ["gcloud storage cat gs://staging-state/promoted/c0ffee"]
    pipeline.programs.answer("storage cat", code=1)
    refused = pipeline.run("gate", **production)
    assert refused.returncode == 1
    assert "has not been promoted" in refused.stderr


def test_the_first_environment_waits_for_the_tests(pipeline: Pipeline) -> None:
    """They run at the same time, elsewhere."""
    assert pipeline.run("gate", TESTED_IN="state").returncode == 0
    assert pipeline.commands() == ["gcloud storage cat gs://state/tested/c0ffee"]
    pipeline.programs.answer("storage cat", code=1)
    refused = pipeline.run("gate", TESTED_IN="state")
    assert refused.returncode == 1
    assert "was not tested within an hour" in refused.stderr
    assert pipeline.commands().count("sleep 60") == 60


def test_what_passes_is_said_to_have(pipeline: Pipeline) -> None:
    for step in ("test", "tested"):
        assert pipeline.run(step, BRANCH="main", TESTED_IN="state").returncode == 0
    assert pipeline.commands() == [
        "git -c safe.directory=. -C . merge-base --is-ancestor c0ffee origin/main",
        "make -C . test test-thorough",
        "gcloud storage cp - gs://state/tested/c0ffee",
    ]


def test_a_commit_that_was_never_on_the_branch_is_not_tested(pipeline: Pipeline) -> None:
    """Whoever starts the pipeline by hand names any commit, also one of a fork."""
    pipeline.programs.answer("^git", code=1)
    refused = pipeline.run("test", BRANCH="main")
    assert refused.returncode == 1
    assert "c0ffee is not on main" in refused.stderr
    assert not [command for command in pipeline.commands() if command.startswith("make")]


def test_a_schema_that_waits_for_a_background_migration_stops_no_deployment(pipeline: Pipeline) -> None:
    pipeline.run("deploy-migrate")
    waits = '{"applied": [], "error": "about 7 rows are left", "waits_for": {"migration": "tag_subjects"}}'
    pipeline.programs.answer("^curl .*lines", waits, code=22)
    left = pipeline.run("migrate-post")
    assert left.returncode == 0
    assert waits in left.stdout
    assert "left to a later deployment" in left.stderr
    pipeline.programs.answer("^curl .*lines", '{"error": "the database is at post_9999"}', code=22)
    assert pipeline.run("migrate-post").returncode == 22


def test_a_rollback_leaves_the_schema_alone(pipeline: Pipeline) -> None:
    for step in ("deploy-migrate", "migrate-pre", "deploy", "migrate-post"):
        assert pipeline.run(step, ROLLBACK="yes").returncode == 0
    commands = pipeline.commands()
    assert _APPLY.format("deploy") in commands
    assert not [command for command in commands if "migrate.plan" in command or command.startswith("curl")]


@pytest.mark.parametrize(
    ("step", "pattern"),
    [
        ("test", "^make"),
        ("plan", " plan "),
        ("deploy-migrate", " apply "),
        ("migrate-pre", "^curl"),
        ("migrate-pre", "print-access-token"),
        ("migrate-pre", "generateIdToken"),
        ("plan", "migrate.plan"),
        ("deploy", "deploy.plan"),
        ("tested", "storage cp"),
        ("deploy", " apply "),
        ("sign-in", "generateIdToken"),
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
