"""Two tenants with a token each: whatever one of them asks for, nothing fails, and nothing of the other's is seen,
taken or changed.

One administers a namespace and asks every endpoint for anything, with its token, its secret, the token of a push, or
nobody's; the other pushes and pulls meanwhile, and keeps what nobody else knows of. The long run is as that of
test_fuzz.py.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from werkzeug.test import Client

from functions.registry.metadata.access import grants, principals, rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.driver import Connection
from functions.registry.oci.digest import Digest
from tests.forgotten import forget_services, made_services
from tests.property.requests import Answer, Judge, Request
from tests.property.stranger import Stranger
from tests.security.conftest import REALM, access_secrets  # noqa: F401  # a fixture
from tests.security.people import Guarded, basic
from tests.support import Image

# Nothing of the other's is without it, and the one never says it.
MARK: Final = "kestrel"
OURS: Final = ("ours/app", "ours/b", "ours/a/manifests/list")
THEIRS: Final = ("theirs/app", "theirs/blobs/uploads", "theirs")
ROBOTS: Final = ("ours", "theirs", "ours+ci")
SETTINGS: Final = {"SLIPWAY_ACCESS": "token", "SLIPWAY_TOKEN_REALM": REALM, "SLIPWAY_REQUESTS_PER_MINUTE": "0"}
_OF_THEIRS: Final = (
    *("/v2/theirs/", "/api/v1/repositories/theirs/", "/api/v1/namespaces/theirs"),
    *("/gitlab/v1/repositories/theirs/", "/gitlab/v1/repository-paths/theirs/"),
)
REQUESTS_A_TOKEN: Final = 200
LONGEST_SECONDS: Final = 30.0
# All that the other's namespace is made of, and who may what there.
_STATE: Final = """
    SELECT 'grant', CAST(to_jsonb(grants) AS text) FROM grants WHERE namespace = 'theirs'
    UNION ALL SELECT 'rule', CAST(to_jsonb(tag_rules) AS text) FROM tag_rules WHERE namespace = 'theirs'
    UNION ALL SELECT 'quota', CAST(to_jsonb(quotas) AS text) FROM quotas WHERE namespace = 'theirs'
    UNION ALL SELECT 'principal', CAST(to_jsonb(principals) AS text) FROM principals WHERE name LIKE 'theirs%'
"""
_TAKEN: Final = """
    SELECT repositories.name, encode(link.digest, 'hex') FROM repository_blobs AS link
      JOIN repositories ON repositories.id = link.repository_id
     WHERE repositories.name NOT LIKE 'theirs%' AND link.digest = ANY (CAST(:digests AS bytea[]))
"""


@pytest.fixture
def guarded(
    environment: dict[str, str],
    access_secrets: dict[str, str],  # noqa: F811
    api_function: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Guarded]:
    for name, value in {**environment, **access_secrets, **SETTINGS}.items():
        monkeypatch.setenv(name, value)
    yield Guarded(api_function, made_services())
    forget_services()


@dataclass
class Tenant:
    guarded: Guarded
    name: str
    stranger: Stranger
    secret: str
    _bearer: dict[str, str] = field(default_factory=dict)
    _left: int = 0

    def bearer(self) -> dict[str, str]:
        """A token for all of its own names, and those of the other, as far as it is given them."""
        if not self._left:
            scopes = [f"repository:{name}:pull,push,delete" for name in self.stranger.names]
            token = self.guarded.token(self.name, self.secret, *scopes, "registry:catalog:*")
            self._bearer, self._left = self.guarded.as_bearer(token), REQUESTS_A_TOKEN
        self._left -= 1
        return self._bearer

    def request(self) -> Request:
        request, chance = self.stranger.request(), self.stranger.random
        if request.path.startswith("/api/v1/") and request.method in ("POST", "PUT", "PATCH") and chance.random() < 0.7:
            content_type = ("Content-Type", "application/json")
            body = json.dumps(self._document(chance)).encode()
            request = replace(request, body=body, length=None, headers=(content_type,))
        identities: tuple[dict[str, str], ...] = (
            self.bearer(),
            self.bearer(),
            {"Authorization": basic(self.name, self.secret)},
            {},
        )
        return replace(request, headers=(*request.headers, *chance.choice(identities).items()))

    def _document(self, chance: random.Random) -> dict[str, Any]:
        """Makes one for whichever endpoint: a few of all the fields there are."""
        names = [*self.stranger.names, "theirs/**", "ours/**", "**", "*"]
        fields: dict[str, Any] = {
            "principal": chance.choice(ROBOTS),
            "repositories": chance.choice(names),
            "role": chance.choice(["reader", "writer", "maintainer", "admin"]),
            "name": chance.choice([*names, *ROBOTS, "r"]),
            "kind": chance.choice(["robot", "user", "kept", "immutable", "protected"]),
            "namespace": chance.choice(["ours", "theirs"]),
            "position": chance.choice([1, 2]),
            "to": chance.choice(names),
            "tags": chance.choice(["v*", ["v1", "latest"]]),
            "bytes": chance.choice([0, 1, 10**6]),
            "claims": {"repository_id": "1", "repository_owner_id": "1"},
            "issuer": "https://token.actions.githubusercontent.com",
        }
        kept = chance.sample(sorted(fields), chance.randrange(1, 5))
        return {name: fields[name] for name in kept}


class Town:
    """A registry with both tenants in it."""

    def __init__(self, guarded: Guarded, judge: Judge, seed: int) -> None:
        self._guarded = guarded
        self._judge = judge
        self.image = Image(more={"annotations": {MARK: MARK}}, layers=(os.urandom(100) + MARK.encode(),))
        self._ours = self._settle("ours", seed, (*OURS, *THEIRS), "admin")
        self._theirs = self._settle("theirs", seed + 1, THEIRS[:2], "admin")
        self._push_what_is_hidden()
        database = guarded.services.database
        robot = principals.create_robot(database, f"theirs+{MARK}", "theirs")
        grants.add(database, robot.id, "theirs/**", "reader")
        rules.add(database, NewRule(MARK, 1, "immutable", f"theirs/{MARK}", "*"))
        self._before = self._state()
        # It has heard of a digest, and of nothing else.
        self._ours.stranger.digests.extend(map(str, [*self.image.blob_digests, self.image.digest]))
        self.statuses: Counter[int] = Counter()

    def _settle(self, name: str, seed: int, names: tuple[str, ...], role: str) -> Tenant:
        values = {
            "namespace": ["ours", "theirs"],
            "principal": list(ROBOTS),
            "tag": ["v1", "latest", "list"],
            "ranking": ["largest", "most-active", "fastest-growing", "most-pulled"],
            **{each: [str(number) for number in range(30)] for each in ("grant", "rule", "secret", "trust", "id")},
        }
        stranger = Stranger(random.Random(seed), names, values)  # noqa: S311  # repeatable, not secret
        return Tenant(self._guarded, name, stranger, self._guarded.robot(name, (f"{name}/**", role)))

    def _push_what_is_hidden(self) -> None:
        for repository in (THEIRS[0], f"theirs/{MARK}"):
            token = self._guarded.token("theirs", self._theirs.secret, f"repository:{repository}:pull,push")
            owner = {"headers": self._guarded.as_bearer(token)}
            for blob in self.image.blobs:
                path = f"/v2/{repository}/blobs/uploads/?digest={Digest.of(blob)}"
                assert self._guarded.request("POST", path, data=blob, **owner).status_code == 201
            answer = self._guarded.put_manifest(repository, f"{MARK}-1", self.image.manifest, **owner)
            assert answer.status_code == 201

    def live(self, count: int) -> None:
        for number in range(count):
            tenant = self._theirs if number % 5 == 0 else self._ours
            request = tenant.request()
            if tenant is self._theirs and not request.path.startswith("/v2/"):
                continue
            answer = self._judge.ask(request)
            if tenant is self._ours:
                self._require_apart(request, answer)
            tenant.stranger.learn(request, answer)
            self.statuses[answer.status] += 1

    def _require_apart(self, request: Request, answer: Answer) -> None:
        told = f"{answer.status} for {request}\n{answer.headers}\n{answer.body[:2000]!r}"
        seen = f"{answer.headers}{answer.body.decode(errors='replace')}"
        said = f"{request}"
        for mark in (MARK, *(digest.hex for digest in (*self.image.blob_digests, self.image.digest))):
            assert mark not in seen or mark in said, f"{mark}: {told}"
        assert answer.status >= 300 or not request.path.startswith(_OF_THEIRS), told
        asked = request.path + (request.query if request.method == "POST" else "")
        is_theirs = any(str(digest) in asked for digest in (*self.image.blob_digests, self.image.digest))
        # A referrer of what is not here is none, and an upload takes any digest as a wish.
        is_harmless = "/referrers/" in asked or answer.status == 202
        assert answer.status >= 300 or is_harmless or not is_theirs, told

    def require_untouched(self) -> None:
        """All of the other's is there, and nothing of it elsewhere."""
        assert self._state() == self._before
        connection = Connection(self._guarded.services.settings.database)
        digests = [digest.to_bytes() for digest in self.image.blob_digests]
        taken = connection.run([(_TAKEN, {"digests": digests})])[0].rows
        connection.close()
        assert taken == []
        repository = f"theirs/{MARK}"
        token = self._guarded.token("theirs", self._theirs.secret, f"repository:{repository}:pull")
        owner = {"headers": self._guarded.as_bearer(token)}
        assert self._guarded.get(f"/v2/{repository}/manifests/{MARK}-1", **owner).data == self.image.manifest
        for digest in self.image.blob_digests:
            assert self._guarded.get(f"/v2/{repository}/blobs/{digest}", **owner).status_code == 307

    def _state(self) -> list[list[Any]]:
        connection = Connection(self._guarded.services.settings.database)
        try:
            return sorted(connection.run([(_STATE, {})])[0].rows)
        finally:
            connection.close()


@pytest.fixture
def judge(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> Judge:
    judge = Judge.over(guarded, monkeypatch)
    judge.longest_seconds = LONGEST_SECONDS
    return judge


@pytest.mark.parametrize("seed", range(2))
def test_tenants_stay_apart(guarded: Guarded, judge: Judge, seed: int) -> None:
    live(guarded, judge, seed, 600)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_requests_of_tenants_stay_apart(guarded: Guarded, judge: Judge) -> None:
    requests = int(os.environ.get("SLIPWAY_FUZZ_REQUESTS", "100000"))
    seed = int(os.environ.get("SLIPWAY_FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
    started = time.monotonic()
    town = live(guarded, judge, seed, requests)
    seconds = time.monotonic() - started
    statuses = dict(sorted(town.statuses.items()))
    print(f"seed {seed}: {requests} requests in {seconds:.0f} s, {requests / seconds:.0f}/s, {statuses}")  # noqa: T201


def live(guarded: Guarded, judge: Judge, seed: int, count: int) -> Town:
    town = Town(guarded, judge, seed)
    try:
        town.live(count)
        town.require_untouched()
    except AssertionError as error:
        raise AssertionError(f"SLIPWAY_FUZZ_SEED={seed}: {error}") from error
    assert {200, 201, 202, 400, 401, 403, 404} <= set(town.statuses)
    return town
