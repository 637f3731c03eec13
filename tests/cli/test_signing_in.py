"""Signing in: by what docker stored, by a credential helper, by a refresh token, and by a CI job's identity."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from functions.registry.auth import accounts
from functions.registry.metadata.access import grants, principals
from slipway_cli.client import Client
from slipway_cli.contexts import Registry
from slipway_cli.failures import Away
from slipway_cli.tokens import Challenge
from tests.cli.stand import Server, Stand
from tests.forgotten import made_services
from tests.issuer import Issuer, serve
from tests.security.people import Guarded

_HELPER = """#!/bin/sh
[ "$1" = get ] || exit 9
read host
[ "$host" = '{host}' ] || {{ echo "credentials not found in native keychain"; exit 1; }}
echo '{answer}'
"""


def helper(stand: Stand, answer: dict[str, str], key: str = "credsStore") -> None:
    """`docker-credential-test`, on the PATH, and named by docker's configuration."""
    folder = stand.home / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "docker-credential-test"
    program.write_text(_HELPER.format(host=stand.server.host, answer=json.dumps(answer)))
    program.chmod(0o755)
    stand.monkeypatch.setenv("PATH", str(folder), prepend=":")
    chosen: Any = "test" if key == "credsStore" else {stand.server.host: "test"}
    (stand.home / ".docker" / "config.json").write_text(json.dumps({key: chosen}))


def secret_of_ci(stand: Stand) -> str:
    return (stand.home / "secret.txt").read_text().strip()


def who(stand: Stand) -> str | None:
    name: str | None = stand("whoami", "-o", "json").json["name"]
    return name


def test_what_docker_stored_signs_in_with_one_request(stand: Stand) -> None:
    stand.sign_in("ci", secret_of_ci(stand))
    stand.server.asked.clear()
    assert who(stand) == "ci"
    assert stand.server.asked == [("GET", "/api/v1/whoami", 200)]
    stand.server.asked.clear()
    assert [each["name"] for each in stand("ls", "-o", "json").json] == ["team/app", "team/old"]
    assert [path for _, path, _ in stand.server.asked] == ["/api/v1/repositories"]


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_credential_helper_signs_in(stand: Stand, key: str) -> None:
    helper(stand, {"ServerURL": stand.server.host, "Username": "ci", "Secret": secret_of_ci(stand)}, key)
    assert who(stand) == "ci"
    assert "docker-credential-test" in stand("whoami").err


def test_a_refresh_token_in_a_helper_signs_in(stand: Stand) -> None:
    ci = secret_of_ci(stand)
    answer = stand.registry.ask_token("ci", ci, "registry:catalog:*", offline_token="true")
    helper(stand, {"ServerURL": "", "Username": "<token>", "Secret": answer.get_json()["refresh_token"]})
    assert who(stand) == "ci"


def test_a_helper_that_fails_is_told_of(stand: Stand) -> None:
    helper(stand, {"ServerURL": "", "Username": "ci", "Secret": "x"})
    program = stand.home / "bin" / "docker-credential-test"
    program.write_text("#!/bin/sh\necho the keychain is locked; exit 1\n")
    ended = stand("whoami")
    assert (ended.code, "the keychain is locked" in ended.err) == (1, True)
    program.unlink()
    assert "docker-credential-test, which isn't there" in stand("whoami").err
    program.write_text("#!/bin/sh\necho credentials not found in native keychain; exit 1\n")
    program.chmod(0o755)
    assert stand("whoami", "-o", "json").json["kind"] == "anonymous"


def test_a_login_keeps_a_refresh_token_and_no_secret(stand: Stand) -> None:
    ci = secret_of_ci(stand)
    stand.sign_out()
    ended = stand("login", stand.server.host, "--user", "ci", "--password-stdin", given=f"{ci}\n")
    assert ended.code == 0, ended
    stand.monkeypatch.delenv("SLIPWAY_REGISTRY")
    kept = stand.home / ".config" / "slipway" / "tokens.json"
    assert ci not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert who(stand) == "ci"
    assert stand("show", "team/app").code == 0
    assert "signed out" in stand("logout").err
    assert stand("whoami", "-o", "json").json["kind"] == "anonymous"


def test_a_wrong_secret_signs_nobody_in(stand: Stand) -> None:
    ended = stand("login", stand.server.host, "--user", "ci", "--password-stdin", given="wrong\n")
    assert (ended.code, "doesn't let you in" in ended.err) == (4, True)
    assert not (stand.home / ".config" / "slipway" / "tokens.json").exists()
    stand.sign_in("ci", "wrong")
    ended = stand("ls")
    assert (ended.code, "config.json" in ended.err) == (4, True)


def test_a_revoked_secret_ends_what_came_from_it(stand: Stand) -> None:
    ci = secret_of_ci(stand)
    stand("login", stand.server.host, "--user", "ci", "--password-stdin", given=f"{ci}\n")
    database = stand.registry.services.database
    robot = principals.get(database, "ci")
    assert robot is not None
    principals.disable(database, robot.id)
    ended = stand("ls")
    assert (ended.code, "`slipway login`" in ended.err) == (4, True)


@pytest.fixture
def issuer() -> Any:
    with serve() as issuer:
        yield issuer


@pytest.fixture
def job(issuer: Issuer, bare: Stand) -> Stand:
    """Within a GitHub job: what it is given, and a robot that trusts it."""
    bare.monkeypatch.setenv("SLIPWAY_OIDC_ISSUERS", issuer.address)
    bare.monkeypatch.setenv("SLIPWAY_PRIVATE_ISSUERS", "127.0.0.1")
    bare.monkeypatch.setenv("SLIPWAY_TENANT_CLAIMS", f"{issuer.address}=repository_id")
    bare.registry = Guarded(bare.registry.client, made_services())
    database = bare.registry.services.database
    robot = accounts.create(database, accounts.NewAccount("robot", "ci"))
    claims = {"repository_id": "42"}
    accounts.add_trusted_publisher(database, robot, issuer.address, claims, bare.registry.services.settings)
    grants.add(database, robot.id, "team/*", "writer")
    return bare


def github(stand: Stand, issuer: Issuer, **claims: str) -> None:
    """GitHub's way: an address that gives a token for an audience, to whoever has the job's own."""
    answer = issuer.answer

    def with_tokens(path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if match := re.fullmatch(r"/idtoken\?api-version=2\.0&audience=(\w+)", path):
            return 200, {"value": issuer.token(audience=match[1], **claims)}
        return answer(path, form)

    stand.monkeypatch.setattr(issuer, "answer", with_tokens)
    stand.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{issuer.address}/idtoken?api-version=2.0")
    stand.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the job's own")


def test_a_github_job_signs_in_with_its_identity(job: Stand, issuer: Issuer) -> None:
    github(job, issuer, repository_id="42")
    assert who(job) == "ci"
    assert "GitHub" in job("whoami").err or job("whoami").code == 0
    github(job, issuer, repository_id="43")
    assert job("whoami").code == 4


def test_the_job_of_another_system_has_it_in_a_variable(job: Stand, issuer: Issuer) -> None:
    job.monkeypatch.setenv("SLIPWAY_ID_TOKEN", issuer.token(audience="slipway", repository_id="42"))
    job.monkeypatch.setenv("SLIPWAY_ROBOT", "ci")
    assert who(job) == "ci"
    # It is good for the whole job.
    assert who(job) == "ci"


def test_an_identity_that_is_not_given_is_told_of(job: Stand, issuer: Issuer) -> None:
    github(job, issuer, repository_id="42")
    issuer.mood = "failing"
    ended = job("whoami")
    assert (ended.code, "id-token: write" in ended.err) == (5, True)


def test_credentials_go_to_no_other_host(stand: Stand, tmp_path: Path, server: Server) -> None:
    """A page's link, and a realm, that lead elsewhere."""
    assert stand.home == tmp_path
    client = Client(Registry(server.address, "test"))
    with pytest.raises(Away, match="not followed"):
        client.own_path("https://evil.example/v2/_catalog?last=x")
    with pytest.raises(Away, match="not encrypted"):
        client._tokens.answer(Challenge("http://evil.example/token"), "/v2/", None)
