"""The token endpoint: who gets a token, for what, and how long a wrong secret has to wait."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.auth.secrets import hash_password
from functions.registry.metadata.access import credentials, grants, principals
from tests.forgotten import forget_services
from tests.security.people import Guarded, basic, claims

SCOPE: Final = "repository:team/app:pull,push,delete"


def granted(response: TestResponse) -> dict[str, list[str]]:
    assert response.status_code == 200, response.text
    return {entry["name"]: entry["actions"] for entry in claims(response.get_json()["token"])["access"]}


def post(guarded: Guarded, form: dict[str, str]) -> TestResponse:
    return guarded.request("POST", "/token", data=form)


def test_a_token_has_what_is_both_asked_for_and_allowed(guarded: Guarded) -> None:
    secret = guarded.robot("ci", ("team/app", "writer"), ("team/*", "reader"))
    answer = guarded.ask_token("ci", secret, SCOPE, "repository:team/secret:pull,push repository:other/x:pull")
    assert granted(answer) == {"team/app": ["pull", "push"], "team/secret": ["pull"]}
    document = answer.get_json()
    assert document["token"] == document["access_token"]
    assert document["expires_in"] == 300
    assert answer.headers["Cache-Control"] == "no-store"
    assert "refresh_token" not in document


def test_anybody_gets_what_is_anyones(guarded: Guarded) -> None:
    grants.add(guarded.services.database, None, "public/**", "reader")
    assert granted(guarded.ask_token(None, None, "repository:public/x:pull,push", SCOPE)) == {"public/x": ["pull"]}


def test_a_login_without_credentials_or_with_wrong_ones_is_refused(guarded: Guarded) -> None:
    secret = guarded.robot("ci")
    assert guarded.ask_token(None, None).status_code == 401
    assert guarded.ask_token("ci", secret).status_code == 200
    assert guarded.ask_token("token", secret).status_code == 200
    for name, password in [("ci", secret[:-1]), ("other", secret), ("ci", ""), ("", secret), ("ci", "eyJ.a.b")]:
        answer = guarded.ask_token(name, password, SCOPE)
        assert (answer.status_code, guarded.error_code(answer)) == (401, "UNAUTHORIZED"), (name, password)


def test_secrets_expire_are_revoked_and_end_with_their_principal(guarded: Guarded) -> None:
    database = guarded.services.database
    secret = guarded.robot("ci")
    robot = principals.get(database, "ci")
    assert robot
    expired = guarded.secret_of(robot.id, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert guarded.ask_token("ci", expired).status_code == 401
    assert guarded.ask_token("ci", secret).status_code == 200
    assert credentials.revoke_secret(database, robot.id, secret.split("_")[1])
    assert guarded.ask_token("ci", secret).status_code == 401
    other = guarded.secret_of(robot.id)
    principals.disable(database, robot.id)
    assert guarded.ask_token("ci", other).status_code == 401


def test_a_pepper_is_changed_while_secrets_are_in_use(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    old = guarded.services.settings.pepper
    used, unused = guarded.robot("used", ("team/app", "reader")), guarded.robot("unused")
    first = guarded.ask_token("used", used, SCOPE, offline_token="true").get_json()["refresh_token"]
    remembered = {"grant_type": "refresh_token", "refresh_token": first, "scope": SCOPE}

    def restart(pepper: str) -> None:
        monkeypatch.setenv("SLIPWAY_PEPPER", pepper)
        forget_services()

    restart(f"{old}\na new one\n")
    assert guarded.ask_token("used", used).status_code == 200
    restart(f"a new one\n{old}")
    assert guarded.ask_token("used", used).status_code == 200
    assert granted(post(guarded, remembered)) == {"team/app": ["pull"]}
    second = guarded.ask_token("used", used, SCOPE, offline_token="true").get_json()["refresh_token"]
    restart("a new one")
    assert guarded.ask_token("used", used).status_code == 200
    assert guarded.ask_token("unused", unused).status_code == 401
    assert post(guarded, remembered).status_code == 401
    assert post(guarded, {**remembered, "refresh_token": second}).status_code == 200


def test_a_user_signs_in_with_a_password_and_by_post(guarded: Guarded) -> None:
    database = guarded.services.database
    user = principals.create_user(database, "alice")
    principals.set_password(database, user.id, hash_password("a long enough password"))
    grants.add(database, user.id, "team/app", "maintainer")
    form = {"grant_type": "password", "username": "alice", "password": "a long enough password", "service": "slipway"}
    answer = post(guarded, {**form, "scope": SCOPE, "access_type": "offline"})
    assert granted(answer) == {"team/app": ["delete", "pull", "push"]}
    assert answer.get_json()["scope"] == "repository:team/app:delete,pull,push"
    assert post(guarded, {**form, "password": "wrong"}).status_code == 401

    remembered = {"grant_type": "refresh_token", "refresh_token": answer.get_json()["refresh_token"], "scope": SCOPE}
    assert granted(post(guarded, remembered)) == {"team/app": ["delete", "pull", "push"]}
    principals.set_password(database, user.id, hash_password("another long password"))
    ended = post(guarded, remembered)
    assert (ended.status_code, "log in again" in ended.text) == (401, True)


def test_docker_asks_to_be_remembered_and_is_until_the_secret_is_revoked(guarded: Guarded) -> None:
    secret = guarded.robot("ci", ("team/app", "reader"))
    headers = {"Authorization": basic("ci", secret)}
    answer = guarded.get("/token?service=slipway&offline_token=true&client_id=docker&account=ci", headers=headers)
    remembered = {"grant_type": "refresh_token", "refresh_token": answer.get_json()["refresh_token"], "scope": SCOPE}
    assert granted(post(guarded, remembered)) == {"team/app": ["pull"]}
    robot = principals.get(guarded.services.database, "ci")
    assert robot
    credentials.revoke_secret(guarded.services.database, robot.id, secret.split("_")[1])
    assert post(guarded, remembered).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"grant_type": "magic"},
        {"grant_type": "password", "username": "x"},
        {"grant_type": "refresh_token"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token_type": "saml"},
        {"grant_type": "password", "username": "x", "password": "y", "service": "another"},
    ],
)
def test_a_form_that_lacks_something_is_told_what(guarded: Guarded, form: dict[str, str]) -> None:
    answer = post(guarded, form)
    assert (answer.status_code, guarded.error_code(answer)) == (400, "INVALID_PARAMETER")


def test_forms_are_small_and_are_forms(guarded: Guarded) -> None:
    assert post(guarded, {"grant_type": "x" * 20_000}).status_code == 400
    assert guarded.request("POST", "/token", json={"grant_type": "password"}).status_code == 400
    assert guarded.get("/token?service=another&scope=repository:a:pull").status_code == 400


def test_who_guesses_waits_and_the_owner_does_not(guarded: Guarded) -> None:
    database = guarded.services.database
    user = principals.create_user(database, "alice")
    principals.set_password(database, user.id, hash_password("a long enough password"))

    def ask(password: str, address: str) -> TestResponse:
        headers = {"Authorization": basic("alice", password)}
        return guarded.get("/token", headers=headers, environ_base={"REMOTE_ADDR": address})

    statuses = [ask(f"guess {number}", "192.0.2.1").status_code for number in range(8)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429
    waiting = ask("a long enough password", "192.0.2.1")
    assert 1 <= int(waiting.headers["Retry-After"]) <= 300
    # From elsewhere she waits a second at most, however many guess.
    deadline = time.monotonic() + 3
    while (status := ask("a long enough password", "198.51.100.7").status_code) == 429 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200


def test_who_mistyped_and_then_got_it_right_starts_anew(guarded: Guarded) -> None:
    user = principals.create_user(guarded.services.database, "alice")
    principals.set_password(guarded.services.database, user.id, hash_password("a long enough password"))
    wrong, right = [401] * 4, [200]
    passwords = [*["a mistyped password"] * 4, "a long enough password"]
    statuses = [guarded.ask_token("alice", password).status_code for password in passwords * 2]
    assert statuses == [*wrong, *right] * 2


def test_an_unknown_user_takes_as_long_as_a_wrong_password(guarded: Guarded) -> None:
    database = guarded.services.database
    for number in range(8):
        user = principals.create_user(database, f"user{number}")
        principals.set_password(database, user.id, hash_password("a long enough password"))

    def seconds(name: str, address: str) -> float:
        started = time.perf_counter()
        headers = {"Authorization": basic(name, "wrong, but long")}
        answer = guarded.get("/token", headers=headers, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 401
        return time.perf_counter() - started

    seconds("warm-up", "192.0.2.99")
    # A busy machine may spoil one comparison, but not each.
    for attempt in range(3):
        known, unknown = [], []
        for number in range(24):
            known.append(seconds(f"user{number % 8}", f"192.0.{number}.{attempt}"))
            unknown.append(seconds(f"nobody{number}-{attempt}", f"198.51.{number}.{attempt}"))
        ratio = statistics.median(known) / statistics.median(unknown)
        if 0.6 < ratio < 1.6:
            return
    pytest.fail(f"a known user takes {ratio:.2f} of the time of an unknown one")
