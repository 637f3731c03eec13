"""What the programs are told is what they read: nothing unknown, nothing missing, no secret in the open."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Final

import pytest

from functions.registry.auth.guard import Guard
from functions.registry.config import Settings
from functions.registry.metadata.db import Database
from tests.terraform.core import ROOT
from tests.terraform.deployment import Deployment

_NAMES: Final = {f"SLIPWAY_{setting.name.upper()}" for setting in fields(Settings)}
_NEEDED: Final = {
    f"SLIPWAY_{setting.name.upper()}" for setting in fields(Settings) if setting.metadata["default"] is None
}
_SECRET: Final = {f"SLIPWAY_{setting.name.upper()}" for setting in fields(Settings) if not setting.repr}
# Signing by IAM has no secret to keep; the administrator's is a file; a function has no folder to import from.
_NEVER_SET: Final = {"SLIPWAY_SIGNER_SECRET", "SLIPWAY_ADMIN_SECRET", "SLIPWAY_IMPORT_FOLDERS"}
_VARIABLES: Final = (ROOT / "terraform" / "variables_access.tf").read_text()
_CHOSEN: Final = set(re.findall(r'^ +"(SLIPWAY_\w+)",$', _VARIABLES, re.MULTILINE))
_BY_MODE: Final = {
    "token": {"SLIPWAY_TOKEN_REALM", "SLIPWAY_TOKEN_KEYS", "SLIPWAY_PEPPER"},
    "external": {
        "SLIPWAY_TOKEN_REALM",
        "SLIPWAY_EXTERNAL_ISSUER",
        "SLIPWAY_EXTERNAL_KEYS",
        "SLIPWAY_EXTERNAL_JWKS_URL",
        "SLIPWAY_PEPPER",
    },
    "open": {"SLIPWAY_OPEN_IN_CLOUD"},
}


def _told(deployment: Deployment, program: str) -> dict[str, str]:
    """Returns what the program sees; secrets are stood in for."""
    secrets = dict.fromkeys(deployment.secrets(program), "a secret")
    return {**deployment.environment(program), **secrets}


@pytest.mark.terraform
def test_every_setting_is_set_somewhere_or_left_out_on_purpose(deployments: Mapping[str, Deployment]) -> None:
    set_somewhere = {
        name
        for deployment in deployments.values()
        for program in deployment.programs()
        for name in _told(deployment, program)
        if name.startswith("SLIPWAY_")
    }
    assert not set_somewhere - _NAMES, "nobody reads these"
    assert _NAMES - set_somewhere - _CHOSEN == _NEVER_SET
    assert not _CHOSEN & _SECRET
    assert not _CHOSEN - _NAMES


def test_a_program_is_told_what_it_needs_and_nothing_else(deployment: Deployment) -> None:
    always = _NEEDED | {"SLIPWAY_DATABASE_CONNECTIONS", "SLIPWAY_TOPIC"}
    mode = deployment.environment("api")["SLIPWAY_ACCESS"]
    expected = {
        "api": always
        | _BY_MODE[mode]
        | {
            "SLIPWAY_SIGNER",
            "SLIPWAY_SIGNER_IDENTITY",
            "SLIPWAY_UPLOAD_CHUNK_BYTES",
            "SLIPWAY_ACCESS",
            "SLIPWAY_SERVICE",
            "SLIPWAY_PROJECT",
            "SLIPWAY_TRUSTED_PROXIES",
            "SLIPWAY_REQUEST_LIMIT_BYTES",
            "SLIPWAY_WORK_TOPIC",
            "SLIPWAY_EVENTS_TOPIC",
            "SLIPWAY_PUBLIC_HOST",
        },
        "gc": always | {"SLIPWAY_DATABASE_LOCK_SECONDS"},
        "work": _NEEDED
        | {"SLIPWAY_DATABASE_CONNECTIONS", "SLIPWAY_DATABASE_LOCK_SECONDS", "SLIPWAY_WORK_TOPIC"}
        | (set() if mode == "open" else {"SLIPWAY_PEPPER"}),
        "deliver": _NEEDED
        | {
            "SLIPWAY_DATABASE_CONNECTIONS",
            "SLIPWAY_DATABASE_LOCK_SECONDS",
            "SLIPWAY_EVENTS_TOPIC",
            "SLIPWAY_PUBLIC_HOST",
        }
        | (set() if mode == "open" else {"SLIPWAY_PEPPER"}),
        "migrate": _NEEDED
        | {f"SLIPWAY_DATABASE_{program}_USER" for program in ("API", "GC", "WORK", "DELIVER")}
        | ({"SLIPWAY_PEPPER", "SLIPWAY_ADMIN_SECRET_FILE"} if mode == "token" else set()),
    }
    if deployment.backs_up():
        expected["api"] |= {"SLIPWAY_BACKUPS"}
        expected["work"] |= {"SLIPWAY_BACKUPS", "SLIPWAY_BACKUP_EVERY_SECONDS", "SLIPWAY_BACKUP_KEEP"}
    if deployment.signs_people_in():
        expected["api"] |= {f"SLIPWAY_CONSOLE_{name}" for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")}
    expected["registry"] = expected["api"] - {"SLIPWAY_REQUEST_LIMIT_BYTES"}
    if deployment.shares():
        expected["api"] |= {"SLIPWAY_CORS_ORIGINS"}
        expected["registry"] |= {"SLIPWAY_CORS_ORIGINS"}
    if deployment.has_front():
        expected["api"] |= {"SLIPWAY_REGISTRY_HOST"}
    for program in deployment.programs():
        told = {name for name in _told(deployment, program) if name.startswith("SLIPWAY_")}
        assert told - (_CHOSEN - expected[program]) == expected[program], program


def test_the_programs_accept_what_they_are_told(deployment: Deployment) -> None:
    for program in deployment.programs():
        settings = Settings.from_environment(_told(deployment, program))
        if program in ("api", "registry"):
            Guard(settings, Database(settings.database, 1)).check(in_cloud=True)


def test_secrets_come_from_secret_manager_alone(deployment: Deployment) -> None:
    for program in deployment.programs():
        assert not set(deployment.environment(program)) & _SECRET
        assert set(deployment.secrets(program)) <= _SECRET


def test_the_newest_version_of_a_secret_is_a_file(deployment: Deployment) -> None:
    """A variable is read when an instance starts: it would hold what was the newest then."""
    for function in deployment.all("google_cloudfunctions2_function"):
        for variable in function.block("service_config")["secret_environment_variables"]:
            assert variable["version"].isdigit(), variable
    for container in deployment.all("google_cloud_run_v2_service"):
        assert '"latest"' not in json.dumps(container.values)
    is_of_tokens = deployment.environment("api")["SLIPWAY_ACCESS"] == "token"
    path = deployment.environment("migrate").get("SLIPWAY_ADMIN_SECRET_FILE", "")
    assert deployment.secret_files("migrate") == ({path: "slipway-admin-secret"} if is_of_tokens else {})


def test_migrate_gives_rights_to_those_who_log_in(deployment: Deployment) -> None:
    users = {user.index: user.values["name"] for user in deployment.all("google_sql_user")}
    told = deployment.environment("migrate")
    assert told["SLIPWAY_DATABASE_API_USER"] == users["api"]
    assert told["SLIPWAY_DATABASE_GC_USER"] == users["gc"]
    assert told["SLIPWAY_DATABASE_WORK_USER"] == users["work"]
    assert told["SLIPWAY_DATABASE_DELIVER_USER"] == users["deliver"]


def test_the_database_is_named_in_a_form_that_the_driver_takes(deployment: Deployment) -> None:
    for program in deployment.programs():
        url = deployment.environment(program)["SLIPWAY_DATABASE"]
        account = "api" if program == "registry" else program
        assert re.fullmatch(
            rf"cloudsql://slipway-{account}%40example-registry\.iam@/registry"
            r"\?instance=example-registry:europe-west1:slipway&network=(private|public)",
            url,
        )


def test_addresses_lead_back_to_the_registry(deployment: Deployment) -> None:
    environment, host = deployment.environment("api"), deployment.outputs["registry_host"]
    assert environment["SLIPWAY_SIGNER_IDENTITY"] == deployment.account("api")
    assert deployment.outputs["token_service"] == environment["SLIPWAY_SERVICE"]
    if environment["SLIPWAY_ACCESS"] == "token":
        assert environment["SLIPWAY_SERVICE"] == host, "an identity that is meant for another registry is not good here"
    if environment["SLIPWAY_ACCESS"] == "token":
        assert environment["SLIPWAY_TOKEN_REALM"] == f"https://{host}/token"
    has_domain = any(deployment.all("google_compute_backend_service"))
    assert environment["SLIPWAY_TRUSTED_PROXIES"] == ("2" if has_domain else "1")
    if not has_domain:
        service = "slipway" if deployment.has_front() else "slipway-api"
        assert host == f"{service}-123456789012.europe-west1.run.app"
