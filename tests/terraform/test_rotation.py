"""A signing key, or the pepper, is changed while the registry runs: at no moment is a good token or secret refused.

gcloud is simulated.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from functions.registry.auth.caller import Caller, TokenRefused
from functions.registry.auth.secrets import Peppers, make_secret
from functions.registry.auth.tokens import KeyRing, Tokens
from functions.registry.config import Settings
from slipway_cli.operator.rotation import SETTLED_AFTER, USED_WITHIN
from tests.issuer import ec_key, private_pem
from tests.terraform.core import ROOT

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl: apt-get install openssl")

# Versions of the secret are files; what serves is a revision, with the version that it reads.
_GCLOUD: Final = """#!/bin/sh
cd "$SIMULATED"
newest=$(ls versions | sort -n | tail -1)
case "$*" in
"secrets versions describe latest --secret=slipway-$KIND --format=json --project=p --quiet")
  echo "{\\"name\\": \\"projects/1/secrets/slipway-$KIND/versions/$newest\\"}" ;;
"secrets versions access "*" --secret=slipway-$KIND --project=p --quiet") cat "versions/$4" ;;
"secrets versions add slipway-$KIND --data-file=- --format=value(name) --project=p --quiet")
  cat > "versions/$((newest + 1))"
  echo "projects/1/secrets/slipway-$KIND/versions/$((newest + 1))" ;;
"run services describe slipway --region=r --format=json --project=p --quiet") cat service.json ;;
"run revisions describe "*" --region=r --format=json --project=p --quiet") cat revision.json ;;
*) echo "not simulated: $*" >&2; exit 9 ;;
esac
"""


_SECRETS: Final = {"signing-key": "token-keys", "pepper": "pepper"}


class Cloud:
    def __init__(self, folder: Path, kind: str = "signing-key") -> None:
        self.folder = folder
        self.kind = kind
        (folder / "versions").mkdir()
        gcloud = folder / "gcloud"
        gcloud.write_text(_GCLOUD)
        gcloud.chmod(0o755)
        self.write("1", private_pem(ec_key()) if kind == "signing-key" else "the first pepper")
        self.deploy("1")

    def write(self, version: str, text: str) -> None:
        (self.folder / "versions" / version).write_text(text)

    def deploy(
        self, version: str, age: timedelta = SETTLED_AFTER, *, serving: tuple[str, ...] = ("slipway-7",)
    ) -> None:
        made = (datetime.now(UTC) - age).isoformat().replace("+00:00", "Z")
        read = {"secretKeyRef": {"name": "x", "key": version}}
        variable = {"name": f"SLIPWAY_{_SECRETS[self.kind].replace('-', '_').upper()}", "valueFrom": read}
        containers = [{"name": "front"}, {"name": "app", "env": [{"name": "A", "value": "b"}, variable]}]
        traffic = [{"revisionName": name, "percent": 100 // len(serving)} for name in serving]
        revision = {"metadata": {"creationTimestamp": made}, "spec": {"containers": containers}}
        (self.folder / "service.json").write_text(json.dumps({"status": {"traffic": traffic}}))
        (self.folder / "revision.json").write_text(json.dumps(revision))

    def run(self, step: str, meant: str = "--yes") -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "slipway_cli",
            "operator",
            "rotate",
            self.kind,
            step,
            "--project=p",
            "--region=r",
        ]
        simulated = {"SIMULATED": str(self.folder), "KIND": _SECRETS[self.kind]}
        command.append(meant)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "cli"),
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            **simulated,
        }
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def step(self, name: str) -> str:
        """The version that it made."""
        done = self.run(name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"deploy with {_SECRETS[self.kind].replace('-', '_')}_version = ")
        return done.stdout.split()[-1]

    def peppers(self, version: str) -> Peppers:
        return Peppers((self.folder / "versions" / version).read_text())

    def tokens(self, version: str) -> Tokens:
        """Makes them as an instance has them that reads this version."""
        ring = KeyRing((self.folder / "versions" / version).read_text())
        return Tokens(ring, "slipway", "https://registry.example.com/token", 300)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


@pytest.fixture
def rotated(cloud: Cloud) -> list[str]:
    """Versions, in the order in which they served."""
    versions = ["1"]
    for step in ("add", "promote", "retire"):
        versions.append(cloud.step(step))
        cloud.deploy(versions[-1])
    return versions


def _is_good(token: str, to: Tokens) -> bool:
    try:
        to.verify(token)
    except TokenRefused:
        return False
    return True


def test_a_token_is_good_with_the_version_before_and_the_version_after(cloud: Cloud, rotated: list[str]) -> None:
    """While one takes over from the other both serve: what either has signed, either takes."""
    assert rotated == ["1", "2", "3", "4"]
    caller = Caller(kind="robot", name="ci", principal_id=1, is_admin=False, access={}, refused={}, catalog=False)
    for before, after in pairwise([cloud.tokens(version) for version in rotated]):
        for signing in (before, after):
            token = signing.issue(caller).token
            assert _is_good(token, before)
            assert _is_good(token, after)
    first, last = cloud.tokens(rotated[0]), cloud.tokens(rotated[-1])
    assert not _is_good(first.issue(caller).token, last), "the old key is gone"


def test_the_new_key_signs_and_the_old_one_goes(cloud: Cloud, rotated: list[str]) -> None:
    rings = [cloud.tokens(version).key_set()["keys"] for version in rotated]
    names = [[key["kid"] for key in ring] for ring in rings]
    (old,), (new,) = names[0], names[3]
    assert names == [[old], [old, new], [new, old], [new]]
    assert old != new


def test_a_secret_is_good_with_the_pepper_before_and_the_one_after(tmp_path: Path) -> None:
    """Whatever signs in is hashed by the version that serves."""
    cloud = Cloud(tmp_path, "pepper")
    secret, versions = make_secret().text, ["1"]
    for step in ("add", "promote", "retire"):
        versions.append(cloud.step(step))
        cloud.deploy(versions[-1], USED_WITHIN)
    for before, after in pairwise([cloud.peppers(version) for version in versions]):
        assert after.knows(secret, before.hash(secret))
        assert before.knows(secret, after.hash(secret))
    first, last = cloud.peppers("1"), cloud.peppers(versions[-1])
    assert not last.knows(secret, first.hash(secret)), "what was never used meanwhile is lost"


def test_an_old_pepper_goes_once_secrets_have_had_the_time_to_be_used(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, "pepper")
    cloud.deploy(cloud.step("add"))
    cloud.deploy(cloud.step("promote"))
    assert "wait for 29 days" in cloud.run("retire").stderr


def test_a_dry_run_says_whether_it_would_be_refused(cloud: Cloud) -> None:
    done = cloud.run("add", "--dry-run")
    assert (done.returncode, "nothing was done" in done.stderr) == (0, True)
    assert "version 1 holds 1, and promote takes 2" in cloud.run("promote", "--dry-run").stderr
    cloud.step("add")
    assert "reads version 1, the newest is 2" in cloud.run("promote", "--dry-run").stderr
    assert sorted(path.name for path in (cloud.folder / "versions").iterdir()) == ["1", "2"]


@pytest.mark.parametrize("step", ["promote", "retire"])
@pytest.mark.parametrize(
    ("version", "age", "serving", "expected"),
    [
        ("1", SETTLED_AFTER, ("slipway-7",), "reads version 1, the newest is 2: deploy that first"),
        ("2", SETTLED_AFTER - timedelta(minutes=9, seconds=30), ("slipway-7",), "wait for 10 minutes"),
        ("2", SETTLED_AFTER, ("slipway-6", "slipway-7"), "slipway-6 and slipway-7 serve at once"),
    ],
)
def test_a_step_that_comes_too_soon_is_refused(
    step: str, version: str, age: timedelta, serving: tuple[str, ...], expected: str, cloud: Cloud
) -> None:
    cloud.step("add")
    cloud.deploy(version, age, serving=serving)
    refused = cloud.run(step)
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert not (cloud.folder / "versions" / "3").exists()


@pytest.mark.parametrize("step", ["promote", "retire"])
def test_a_step_without_the_one_before_is_refused(step: str, cloud: Cloud) -> None:
    refused = cloud.run(step)
    assert refused.returncode == 1
    assert f"version 1 holds 1, and {step} takes 2" in refused.stderr


def test_a_second_key_is_not_added_to_two(cloud: Cloud) -> None:
    cloud.step("add")
    assert "version 2 holds 2, and add takes 1" in cloud.run("add").stderr


def test_a_leaked_key_is_replaced_at_once(cloud: Cloud) -> None:
    cloud.deploy("1", timedelta(0))
    made = cloud.step("replace")
    (before,), (after,) = (cloud.tokens(version).key_set()["keys"] for version in ("1", made))
    assert before["kid"] != after["kid"]


def test_no_key_is_an_argument_or_is_shown(cloud: Cloud) -> None:
    """The simulated gcloud takes keys by standard input alone."""
    done = cloud.run("add")
    assert "PRIVATE KEY" not in done.stdout + done.stderr


def test_what_gcloud_refuses_is_told(cloud: Cloud) -> None:
    (cloud.folder / "gcloud").write_text("#!/bin/sh\necho 'not signed in' >&2\nexit 1\n")
    refused = cloud.run("add")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not signed in" in refused.stderr


def test_it_waits_longer_than_any_token_lives() -> None:
    longest = next(
        seconds
        for seconds in range(7200, 0, -60)
        if _is_taken({"SLIPWAY_DATABASE": "x", "SLIPWAY_BUCKET": "x", "SLIPWAY_TOKEN_SECONDS": str(seconds)})
    )
    assert longest == 3600
    assert timedelta(seconds=longest + 60) < SETTLED_AFTER


def _is_taken(environment: dict[str, str]) -> bool:
    try:
        Settings.from_environment(environment)
    except ValueError:
        return False
    return True
