"""What one tenant, or nobody, may have and cause: a bound to each, so that others don't pay for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.registry.auth.secrets import hash_password
from functions.registry.metadata.access import audit, principals, rules
from functions.registry.metadata.access.audit import Filter
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.media_type import OCI_INDEX
from tests.security.people import Guarded, basic
from tests.support import index_of

HERE: Final = {"REMOTE_ADDR": "192.0.2.1"}
PASSWORD: Final = "a long enough password"


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes before the registry, which reads of them in its settings."""
    for name, most in (("GRANTS", 5), ("RULES", 3), ("TRUSTED_PUBLISHERS", 2)):
        monkeypatch.setenv(f"SLIPWAY_{name}_PER_NAMESPACE", str(most))
    monkeypatch.setenv("SLIPWAY_GRANTS_PER_GRANTEE", "3")
    monkeypatch.setenv("SLIPWAY_STARRED_CHARACTERS_PER_GRANTEE", "3")


@pytest.fixture
def lead(guarded: Guarded) -> dict[str, str]:
    return {"Authorization": basic("lead", guarded.robot("lead", ("team/**", "admin")))}


def add(guarded: Guarded, who: dict[str, str], what: str, **document: Any) -> TestResponse:
    return guarded.request("POST", f"/api/v1/{what}", headers=who, json=document)


def test_a_namespace_has_so_many_grants_rules_and_trusted_publishers(guarded: Guarded, lead: dict[str, str]) -> None:
    public = [
        add(guarded, lead, "grants", principal=None, repositories=f"team/{each}", role="reader")
        for each in ("*a", "*b", "a", "b", "c")
    ]
    more = [
        add(guarded, lead, "grants", principal="lead", repositories=f"team/{each}", role="reader") for each in range(3)
    ]
    assert [answer.status_code for answer in [*public, *more]] == [201, 409, 201, 201, 409, 201, 409, 409]
    made = [add(guarded, lead, "rules", name=str(each), kind="immutable", repositories="team/**") for each in range(4)]
    assert [answer.status_code for answer in made] == [201, 201, 201, 409]
    assert add(guarded, lead, "principals", kind="robot", name="team+ci", namespace="team").status_code == 201
    publisher = {"issuer": "https://gitlab.com", "claims": {"project_id": "1"}}
    trusted_publishers = [add(guarded, lead, "principals/team+ci/trusted_publishers", **publisher) for _ in range(3)]
    assert [answer.status_code for answer in trusted_publishers] == [201, 201, 409]
    assert "at most 2 trusted publishers" in trusted_publishers[-1].text


@pytest.mark.parametrize("pattern", ["team/*a*b*c*d*", "team/*a*b*c*d**"])
def test_a_pattern_has_so_many_stars(guarded: Guarded, lead: dict[str, str], pattern: str) -> None:
    grant = add(guarded, lead, "grants", principal=None, repositories=pattern, role="reader")
    rule = add(guarded, lead, "rules", name="x", kind="immutable", repositories=pattern)
    tags = add(guarded, lead, "rules", name="x", kind="immutable", repositories="team/**", tags=pattern[5:])
    for answer in (grant, rule, tags):
        assert (answer.status_code, "at most 4 stars" in answer.text) == (400, True)


def test_what_open_uploads_hold_is_in_the_quota(guarded: Guarded) -> None:
    quotas.put(guarded.services.database, Quota("team", 1 << 20, None))
    secret = guarded.robot("w", ("team/**", "writer"))
    head = guarded.as_bearer(guarded.token("w", secret, "repository:team/app:pull,push"))
    piece, held = bytes(300 << 10), 0
    statuses: list[int] = []
    for _ in range(2):
        path = guarded.request("POST", "/v2/team/app/blobs/uploads/", headers=head).headers["Location"]
        for _ in range(2):
            answer = guarded.request("PATCH", path, headers=head, data=piece)
            statuses.append(answer.status_code)
            held += len(piece) if answer.status_code == 202 else 0
    assert statuses == [202, 202, 202, 403]
    assert (held <= 1 << 20, guarded.error_code(answer)) == (True, "DENIED")
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    endless = guarded.request("PATCH", path, headers=head, input_stream=BytesIO(bytes(3 << 20)), environ_base=chunked)
    assert (endless.status_code, "have come already" in endless.text) == (403, True), "its end is not waited for"


def rows(guarded: Guarded, wanted: Filter | None = None) -> int:
    return len(audit.list_page(guarded.services.database, 1000, wanted))


def test_identities_that_are_refused_are_failures_of_where_they_come_from(guarded: Guarded) -> None:
    """They fill no trail: beyond the free ones, one looks at them now and then."""
    started = time.monotonic()
    seen = Counter(
        guarded.get("/token", headers={"Authorization": basic("oidc", f"eyJ{n}.x.y")}, environ_base=HERE).status_code
        for n in range(80)
    )
    # A wait that is over lets one more through, and the next is twice as long.
    assert (50 <= seen[401] < 60, seen.total()) == (True, 80)
    assert rows(guarded) <= 31 + (time.monotonic() - started) / 2, "one more every two seconds"


def test_the_same_refusal_is_in_the_trail_once_a_minute_and_all_of_one_caller_a_few_times(guarded: Guarded) -> None:
    secret = guarded.robot("out", ("out/**", "reader"))
    started = time.monotonic()
    for repository in ("victim/app", *(f"victim/{number}" for number in range(60))):
        head = guarded.as_bearer(guarded.token("out", secret, f"repository:{repository}:pull"))
        for tag in ("v1", "v2"):
            assert guarded.get(f"/v2/{repository}/manifests/{tag}", headers=head).status_code == 403
    assert rows(guarded, Filter(resource="victim/app")) == 1
    most = 31 + (time.monotonic() - started) / 2
    assert 30 <= rows(guarded, Filter(namespace="victim")) <= most, "one more every two seconds"


def with_password(guarded: Guarded, name: str) -> None:
    user = principals.create_user(guarded.services.database, name)
    principals.set_password(guarded.services.database, user.id, hash_password(PASSWORD))


def ask(guarded: Guarded, name: str, password: str) -> int:
    return guarded.get("/token", headers={"Authorization": basic(name, password)}, environ_base=HERE).status_code


def test_a_right_secret_is_taken_however_many_failed_from_there(guarded: Guarded) -> None:
    with_password(guarded, "alice")
    secret = guarded.robot("ci")
    assert ask(guarded, "alice", PASSWORD) == 200
    seen = Counter(ask(guarded, f"nobody{number}", secret[:-1] + "x") for number in range(60))
    assert seen[429] > 5
    assert ask(guarded, "alice", PASSWORD) == 429, "a password can be guessed"
    assert [ask(guarded, name, secret) for name in ("ci", "token", "alice")] == [200, 200, 429]


def test_of_guesses_at_once_no_more_are_looked_at_than_one_after_the_other(guarded: Guarded) -> None:
    with_password(guarded, "alice")
    together = threading.Barrier(12)

    def guess(number: int) -> int:
        together.wait()
        return ask(guarded, "alice", f"guess {number} of mine")

    with ThreadPoolExecutor(12) as pool:
        seen = Counter(pool.map(guess, range(12)))
    # Where it takes seconds, a wait or two are over meanwhile.
    assert (5 <= seen[401] < 8, seen.total()) == (True, 12)


def test_a_push_over_a_tag_of_a_kept_repository_takes_what_its_deletion_takes(guarded: Guarded) -> None:
    """So does a push of the empty image, which is what regctl does where a tag can't be deleted."""
    secret = guarded.robot("w", ("team/**", "writer"))
    head = guarded.as_bearer(guarded.token("w", secret, "repository:team/app:pull,push"))

    def push(tag: str, **more: Any) -> int:
        path = f"/v2/team/app/manifests/{tag}"
        return guarded.request("PUT", path, headers=head, data=index_of(**more), content_type=OCI_INDEX).status_code

    assert push("v1") == 201
    rules.add(guarded.services.database, NewRule("archive", 0, "delete_protected", "team/**", role="maintainer"))
    assert push("v1", annotations={"another": "one"}) == 403
    assert push("v1") == 201, "the same again changes nothing"
    assert push("v2", annotations={"another": "one"}) == 201
    assert guarded.get("/v2/team/app/manifests/v1", headers=head).data == index_of()
    stronger = guarded.robot("m", ("team/**", "maintainer"))
    head = guarded.as_bearer(guarded.token("m", stronger, "repository:team/app:pull,push,delete"))
    assert push("v1", annotations={"another": "one"}) == 201
