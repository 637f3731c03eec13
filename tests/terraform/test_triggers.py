"""What wakes the functions: messages, the schedule below them, and what becomes of a message that nobody takes."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from functions.registry.events.trigger import COLLECT, DELIVER, WORK, is_trigger
from tests.terraform.conftest import EXAMPLES, NewTerraform
from tests.terraform.core import ROOT, Terraform
from tests.terraform.deployment import TRIGGERED, Deployment

_TINY: Final = f"-var-file={EXAMPLES['tiny']}"
_UNATTENDED: Final = ("-input=false", "-no-color", "-auto-approve")
_MIGRATE: Final = 'google_cloudfunctions2_function.this["migrate"]'
# The setting that names the topic, and the kind of its messages.
_TOPICS: Final = {
    "deliver": ("SLIPWAY_EVENTS_TOPIC", DELIVER),
    "gc": ("SLIPWAY_TOPIC", COLLECT),
    "work": ("SLIPWAY_WORK_TOPIC", WORK),
}
_MOVED: Final = re.findall(r"moved \{\n  from = (.+)\n  to   = (.+)\n\}", (ROOT / "terraform" / "moved.tf").read_text())


@pytest.mark.parametrize("program", TRIGGERED)
def test_messages_come_again_slowly_and_end_as_dead_letters(program: str, deployment: Deployment) -> None:
    subscription = deployment.one("google_pubsub_subscription", "trigger", program)
    assert subscription.block("retry_policy") == {"minimum_backoff": "10s", "maximum_backoff": "600s"}
    dead = deployment.one("google_pubsub_topic", "dead").values["id"]
    assert subscription.block("dead_letter_policy")["dead_letter_topic"] == dead
    endpoint = subscription.block("push_config")["push_endpoint"]
    token = subscription.block("push_config", "oidc_token")
    assert token == {"audience": endpoint, "service_account_email": deployment.account("push")}
    assert endpoint == deployment.function(program)["uri"]


def test_subscriptions_never_expire_and_the_dead_letters_have_one(deployment: Deployment) -> None:
    dead = deployment.one("google_pubsub_topic", "dead").values["id"]
    assert deployment.one("google_pubsub_subscription", "dead").values["topic"] == dead
    subscriptions = list(deployment.all("google_pubsub_subscription"))
    assert len(subscriptions) == len(TRIGGERED) + 1
    for one in subscriptions:
        assert one.block("expiration_policy")["ttl"] == ""


@pytest.mark.parametrize("program", TRIGGERED)
def test_the_clock_sends_what_the_api_and_the_function_send(program: str, deployment: Deployment) -> None:
    setting, kind = _TOPICS[program]
    target = deployment.one("google_cloud_scheduler_job", "trigger", program).block("pubsub_target")
    assert target["topic_name"] == deployment.environment("api")[setting] == deployment.environment(program)[setting]
    assert target["topic_name"] == deployment.one("google_pubsub_subscription", "trigger", program).values["topic"]
    assert is_trigger(base64.b64decode(target["data"]), kind)


@pytest.mark.terraform
def test_what_was_deployed_under_other_addresses_is_kept(new_terraform: NewTerraform, tmp_path: Path) -> None:
    terraform = new_terraform()
    terraform.run("apply", *_UNATTENDED, _TINY)
    _go_back(terraform)
    changes = terraform.plan(_TINY)["resource_changes"]
    assert {change["change"]["actions"][0] for change in changes if change["mode"] == "managed"} == {"no-op"}
    assert [(one["previous_address"], one["address"]) for one in changes if "previous_address" in one] == sorted(
        _MOVED, key=lambda move: move[1]
    )
    alone = f"-target={_MIGRATE}"
    assert "Moved resource instances excluded by targeting" in terraform.refusal(_TINY, alone)
    _take_over(terraform, tmp_path)
    changes = terraform.plan(_TINY, alone)["resource_changes"]
    assert {change["change"]["actions"][0] for change in changes if change["mode"] == "managed"} == {"no-op"}


def _go_back(terraform: Terraform) -> None:
    """The state, as a release before the moves left it."""
    assert len(_MOVED) == 19
    for before, now in _MOVED:
        terraform.run("state", "mv", now, before)


def _take_over(terraform: Terraform, folder: Path) -> None:
    """Runs what a pipeline runs before its plan of one target, with this Terraform."""
    program = folder / "terraform"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(terraform.command)} "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, **terraform.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    script = terraform.folder.parent / "deploy" / "pipeline"
    done = subprocess.run(["sh", script, "moved"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.count("Successfully moved 1 object(s).") == len(_MOVED)
