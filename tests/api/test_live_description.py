"""Live answers of each endpoint, against what the description says of their statuses and headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from functions.api.v2 import referrers
from functions.api.web.browsers import PROTECTION
from functions.registry.auth import accounts, webhook_secrets
from functions.registry.auth.accounts import NewAccount
from functions.registry.auth.federation import GITHUB
from functions.registry.events.trigger import Trigger
from functions.registry.metadata.access import audit, grants, rules
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.vocabulary import Found
from functions.registry.metadata.db import Database
from functions.registry.metadata.events import outbox, subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.remote import passes
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from local.access import make_access_secrets
from tests.api.description import OPERATIONS, Operation
from tests.background.building import register
from tests.backups.rows import sealed
from tests.conftest import make_bucket
from tests.forgotten import forget_services
from tests.metadata.build import query, set_grace
from tests.scenes import Scenes
from tests.security.people import basic
from tests.support import Image, Registry, descriptor

IMAGE: Final = Image(config=b"{}", layers=(b"a layer of some bytes",))
LAYER: Final = Digest.of(IMAGE.layers[0])
LOOSE: Final = Digest.of(b"loose")
NEW: Final = b"new"
ATTACHED: Final = [
    Image(b"{}", (), {"subject": descriptor(IMAGE.manifest, OCI_MANIFEST), "annotations": {"n": n}}) for n in "12"
]
BLOB: Final = f"/v2/a/b/blobs/{LAYER}"
UPLOADS: Final = "/v2/a/b/blobs/uploads/"
REFERRERS: Final = f"/v2/a/b/referrers/{IMAGE.digest}"
GITLAB: Final = "/gitlab/v1/repositories/a/b/"
MATCH: Final = {"If-None-Match": f'"{IMAGE.digest}"'}
STREAMING: Final = {"SLIPWAY_BLOB_DELIVERY": "streaming"}
SPARSE: Final = {"SLIPWAY_SPARSE_MANIFESTS": "accept"}
BACKUPS: Final = {"SLIPWAY_BACKUPS": "gs://elsewhere"}
PEPPERED: Final = {"SLIPWAY_PEPPER": "a pepper"}
TOKENS: Final = {
    **make_access_secrets(), "SLIPWAY_ACCESS": "token", "SLIPWAY_TOKEN_REALM": "https://registry.example/token",
}  # fmt: skip
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
PASSWORD: Final = "correct horse battery"
CLAIMS: Final = {"repository_id": "42"}
TIDY: Final[dict[str, object]] = {
    "repositories": "a/**",
    "rules": [{"tags": "*", "keep": {"newest": 2, "pushed_within": "14d"}}],
}
# Sent with every answer, or by HTTP itself.
EVERYWHERE: Final = {
    "Docker-Distribution-Api-Version", "Content-Type", "Content-Length", "Connection",
    "Content-Disposition", *PROTECTION,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """`{upload}` in a path is an upload that is open; `{secret}`, `{trusted_publisher}`, `{grant}` and `{rule}` are ids
    of what is there. `document` is a body in JSON.
    """

    status: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    settings: dict[str, str] = field(default_factory=dict)
    document: dict[str, object] | None = None


EXAMPLES: Final = {
    "GET /v2/": [Example(200, "/v2/")],
    "GET /api/openapi.json": [Example(200, "/api/openapi.json")],
    "GET /token": [Example(200, "/token?service=slipway&scope=repository:a/b:pull", settings=TOKENS)],
    "POST /token": [
        Example(
            200,
            "/token",
            FORM,
            f"grant_type=password&service=slipway&username=alice&password={PASSWORD}".encode(),
            TOKENS,
        )
    ],
    "GET /.well-known/jwks.json": [Example(200, "/.well-known/jwks.json", settings=TOKENS)],
    "GET /api/v1/principals": [Example(200, "/api/v1/principals?n=1")],
    "POST /api/v1/principals": [Example(201, "/api/v1/principals", document={"kind": "robot", "name": "new"})],
    "GET /api/v1/principals/{principal}": [Example(200, "/api/v1/principals/ci")],
    "PATCH /api/v1/principals/{principal}": [Example(200, "/api/v1/principals/ci", document={"disabled": True})],
    "DELETE /api/v1/principals/{principal}": [Example(204, "/api/v1/principals/ci")],
    "GET /api/v1/principals/{principal}/secrets": [Example(200, "/api/v1/principals/ci/secrets")],
    "POST /api/v1/principals/{principal}/secrets": [
        Example(201, "/api/v1/principals/ci/secrets", settings=PEPPERED, document={"name": "new"})
    ],
    "DELETE /api/v1/principals/{principal}/secrets/{secret}": [Example(204, "/api/v1/principals/ci/secrets/{secret}")],
    "GET /api/v1/principals/{principal}/trusted_publishers": [Example(200, "/api/v1/principals/ci/trusted_publishers")],
    "POST /api/v1/principals/{principal}/trusted_publishers": [
        Example(201, "/api/v1/principals/ci/trusted_publishers", document={"issuer": GITHUB, "claims": CLAIMS})
    ],
    "DELETE /api/v1/principals/{principal}/trusted_publishers/{trusted_publisher}": [
        Example(204, "/api/v1/principals/ci/trusted_publishers/{trusted_publisher}")
    ],
    "GET /api/v1/grants": [Example(200, "/api/v1/grants?n=1")],
    "POST /api/v1/grants": [
        Example(201, "/api/v1/grants", document={"principal": "ci", "repositories": "a/*", "role": "admin"})
    ],
    "DELETE /api/v1/grants/{grant}": [Example(204, "/api/v1/grants/{grant}")],
    "GET /api/v1/rules": [Example(200, "/api/v1/rules")],
    "POST /api/v1/rules": [
        Example(201, "/api/v1/rules", document={"name": "new", "kind": "protected", "repositories": "a/*"})
    ],
    "DELETE /api/v1/rules/{rule}": [Example(204, "/api/v1/rules/{rule}")],
    "GET /api/v1/events": [Example(200, "/api/v1/events?after=0&n=1")],
    "GET /api/v1/subscriptions": [Example(200, "/api/v1/subscriptions")],
    "POST /api/v1/subscriptions": [
        Example(201, "/api/v1/subscriptions", document={"name": "new", "repositories": "a/**", "target": "poll"})
    ],
    "GET /api/v1/subscriptions/{subscription}": [Example(200, "/api/v1/subscriptions/{subscription}")],
    "PATCH /api/v1/subscriptions/{subscription}": [
        Example(200, "/api/v1/subscriptions/{subscription}", document={"tags": "v*"})
    ],
    "DELETE /api/v1/subscriptions/{subscription}": [Example(204, "/api/v1/subscriptions/{subscription}")],
    "POST /api/v1/subscriptions/{subscription}/secret": [
        Example(201, "/api/v1/subscriptions/{subscription}/secret", document={})
    ],
    "POST /api/v1/subscriptions/{subscription}/test": [
        Example(202, "/api/v1/subscriptions/{subscription}/test", document={})
    ],
    "POST /api/v1/subscriptions/{subscription}/redeliver": [
        Example(202, "/api/v1/subscriptions/{subscription}/redeliver", document={"dead": True})
    ],
    "GET /api/v1/subscriptions/{subscription}/deliveries": [
        Example(200, "/api/v1/subscriptions/{subscription}/deliveries?n=1")
    ],
    "GET /api/v1/audit": [Example(200, "/api/v1/audit?n=1")],
    "POST /api/v1/console/links": [
        Example(201, "/api/v1/console/links", {"Authorization": basic("alice", PASSWORD)}, document={}, settings=TOKENS)
    ],
    "GET /api/v1/whoami": [Example(200, "/api/v1/whoami")],
    "GET /api/v1/explain": [Example(200, "/api/v1/explain?principal=ci&action=push&repository=a/b&tag=v1")],
    "GET /api/v1/search": [Example(200, "/api/v1/search?q=b")],
    "POST /api/v1/gc/runs": [Example(202, "/api/v1/gc/runs", document={}, settings={"SLIPWAY_TOPIC": "a-topic"})],
    "GET /api/v1/gc": [Example(200, "/api/v1/gc")],
    "GET /api/v1/repositories/{name}/-/gc": [Example(200, "/api/v1/repositories/a/b/-/gc")],
    "PATCH /api/v1/repositories/{name}": [
        Example(200, "/api/v1/repositories/a/b", document={"keep_untagged": True, "grace_seconds": 60})
    ],
    "DELETE /api/v1/repositories/{name}": [Example(200, "/api/v1/repositories/a/b")],
    "POST /api/v1/repositories/{name}/-/move": [
        Example(200, "/api/v1/repositories/a/b/-/move", document={"to": "c/d", "with_below": True})
    ],
    "POST /api/v1/repositories/{name}/-/delete-tags": [
        Example(200, "/api/v1/repositories/a/b/-/delete-tags", document={"tags": ["v1", "none"], "dry_run": True})
    ],
    "GET /api/v1/repositories/{name}/-/history": [
        Example(200, "/api/v1/repositories/a/b/-/history?n=1"),
        Example(200, "/api/v1/repositories/a/b/-/history?tag=gone-1"),
    ],
    "POST /api/v1/repositories/{name}/-/restore": [
        Example(200, "/api/v1/repositories/a/b/-/restore", document={"at": "2026-01-31T12:00:00Z", "dry_run": True}),
        Example(200, "/api/v1/repositories/a/b/-/restore", document={"tag": "gone-1"}),
    ],
    "POST /api/v1/repositories/{name}/-/restore-repository": [
        Example(200, "/api/v1/repositories/a/gone-1/-/restore-repository", document={})
    ],
    "POST /api/v1/repositories/{name}/-/purge": [
        Example(200, "/api/v1/repositories/a/b/-/purge", document={"tags": ["gone-1"]}),
        Example(200, "/api/v1/repositories/a/b/-/purge", document={"all": True}),
    ],
    "POST /api/v1/repositories/{name}/-/purge-repository": [
        Example(200, "/api/v1/repositories/a/gone-2/-/purge-repository", document={})
    ],
    "GET /api/v1/deleted/repositories": [Example(200, "/api/v1/deleted/repositories?n=1")],
    "GET /api/v1/deleted/tags": [Example(200, "/api/v1/deleted/tags?n=1")],
    "PATCH /api/v1/namespaces/{namespace}": [Example(200, "/api/v1/namespaces/a", document={"undo_seconds": 86400})],
    "GET /api/v1/namespaces/{namespace}/quota": [Example(200, "/api/v1/namespaces/a/quota")],
    "PUT /api/v1/namespaces/{namespace}/quota": [
        Example(200, "/api/v1/namespaces/a/quota", document={"bytes": 10**9, "repositories": None})
    ],
    "DELETE /api/v1/namespaces/{namespace}/quota": [Example(204, "/api/v1/namespaces/a/quota")],
    "GET /api/v1/backups": [Example(200, "/api/v1/backups?n=1")],
    "POST /api/v1/backups": [Example(202, "/api/v1/backups", document={}, settings=BACKUPS)],
    "GET /api/v1/backups/{backup}": [Example(200, "/api/v1/backups/{backup}")],
    "POST /api/v1/backups/{backup}/drills": [
        Example(
            201, "/api/v1/backups/{backup}/drills", document={"tags": 9, "lost": 1, "seconds": 60, "note": "staging"}
        )
    ],
    "GET /api/v1/background-migrations": [Example(200, "/api/v1/background-migrations")],
    "GET /api/v1/background-migrations/{migration}": [Example(200, "/api/v1/background-migrations/{migration}")],
    "POST /api/v1/background-migrations/{migration}/{act}": [
        Example(200, "/api/v1/background-migrations/{migration}/finish", document={})
    ],
    "GET /api/v1/checks": [Example(200, "/api/v1/checks?n=1")],
    "POST /api/v1/checks": [Example(201, "/api/v1/checks", document={"repair": True, "hash": 5})],
    "GET /api/v1/checks/{check}": [Example(200, "/api/v1/checks/{check}")],
    "POST /api/v1/checks/{check}/stop": [Example(200, "/api/v1/checks/{running_check}/stop", document={})],
    "POST /api/v1/checks/{check}/undo": [Example(200, "/api/v1/checks/{check}/undo", document={})],
    "GET /api/v1/findings": [Example(200, "/api/v1/findings?n=1")],
    "GET /api/v1/imports": [Example(200, "/api/v1/imports")],
    "POST /api/v1/imports": [Example(201, "/api/v1/imports", document={"address": "https://old.example.com"})],
    "GET /api/v1/imports/{import}": [Example(200, "/api/v1/imports/{import}")],
    "PATCH /api/v1/imports/{import}": [Example(200, "/api/v1/imports/{import}", document={"workers": 2})],
    "DELETE /api/v1/imports/{import}": [Example(204, "/api/v1/imports/{import}")],
    "GET /api/v1/imports/{import}/repositories": [Example(200, "/api/v1/imports/{import}/repositories?n=1")],
    "GET /api/v1/imports/{import}/problems": [Example(200, "/api/v1/imports/{import}/problems?n=1")],
    "POST /api/v1/imports/{import}/events": [Example(200, "/api/v1/imports/{import}/events", document={"events": []})],
    "POST /api/v1/imports/{import}/{act}": [Example(200, "/api/v1/imports/{import}/start", document={})],
    "GET /api/v1/retention/policies": [Example(200, "/api/v1/retention/policies")],
    "GET /api/v1/retention/policies/{policy}": [Example(200, "/api/v1/retention/policies/tidy")],
    "PUT /api/v1/retention/policies/{policy}": [
        Example(200, "/api/v1/retention/policies/tidy", document=TIDY),
        Example(201, "/api/v1/retention/policies/new", document=TIDY),
    ],
    "DELETE /api/v1/retention/policies/{policy}": [Example(204, "/api/v1/retention/policies/tidy")],
    "POST /api/v1/retention/plans": [
        Example(201, "/api/v1/retention/plans", document={"policy": "tidy"}),
    ],
    "GET /api/v1/retention/runs": [Example(200, "/api/v1/retention/runs?n=1")],
    "GET /api/v1/retention/runs/{run}": [Example(200, "/api/v1/retention/runs/{run}")],
    "GET /api/v1/retention/runs/{run}/verdicts": [Example(200, "/api/v1/retention/runs/{run}/verdicts?n=1")],
    "POST /api/v1/retention/runs/{run}/{decision}": [Example(200, "/api/v1/retention/runs/{run}/drop", document={})],
    "GET /api/v1/repositories/{name}/-/tags/{tag}/retention": [
        Example(200, "/api/v1/repositories/a/b/-/tags/v1/retention")
    ],
    "GET /api/v1/quotas": [Example(200, "/api/v1/quotas?n=1")],
    "GET /api/v1/repositories": [Example(200, "/api/v1/repositories"), Example(200, "/api/v1/repositories?n=1")],
    "GET /api/v1/repositories/{name}": [Example(200, "/api/v1/repositories/a/b")],
    "GET /api/v1/repositories/{name}/-/tags": [Example(200, "/api/v1/repositories/a/b/-/tags?n=1")],
    "GET /api/v1/repositories/{name}/-/tags/{tag}": [
        Example(200, "/api/v1/repositories/a/b/-/tags/v1"),
        Example(200, "/api/v1/repositories/a/b/-/tags/v1?at=9999-01-31T12:00:00Z"),
    ],
    "GET /api/v1/repositories/{name}/-/manifests/{digest}": [
        Example(200, f"/api/v1/repositories/a/b/-/manifests/{IMAGE.digest}")
    ],
    "GET /api/v1/namespaces": [Example(200, "/api/v1/namespaces?n=1")],
    "GET /api/v1/namespaces/{namespace}": [Example(200, "/api/v1/namespaces/a")],
    "GET /api/v1/usage": [Example(200, "/api/v1/usage")],
    "GET /api/v1/repositories/{name}/-/daily": [Example(200, "/api/v1/repositories/a/b/-/daily?to=2026-01-31")],
    "GET /api/v1/repositories/{name}/-/manifests/{digest}/config": [
        Example(200, f"/api/v1/repositories/a/b/-/manifests/{IMAGE.digest}/config")
    ],
    "GET /api/v1/repositories/{name}/-/tags/{tag}/daily": [Example(200, "/api/v1/repositories/a/b/-/tags/v1/daily")],
    "GET /api/v1/repositories/{name}/-/manifests/{digest}/daily": [
        Example(200, f"/api/v1/repositories/a/b/-/manifests/{IMAGE.digest}/daily")
    ],
    "GET /api/v1/namespaces/{namespace}/daily": [
        Example(200, "/api/v1/namespaces/a/daily?from=2026-01-31&to=2026-01-31")
    ],
    "GET /api/v1/usage/daily": [Example(200, "/api/v1/usage/daily")],
    "POST /api/v1/usage/recount": [Example(200, "/api/v1/usage/recount", document={})],
    "GET /api/v1/rankings/{ranking}": [Example(200, "/api/v1/rankings/most-active")],
    "GET /v2/_catalog": [Example(200, "/v2/_catalog"), Example(200, "/v2/_catalog?n=1")],
    "GET /v2/{name}/tags/list": [Example(200, "/v2/a/b/tags/list"), Example(200, "/v2/a/b/tags/list?n=1")],
    "GET /v2/{name}/referrers/{digest}": [
        Example(200, REFERRERS),
        Example(200, f"{REFERRERS}?artifactType=application/x"),
    ],
    "GET /v2/{name}/manifests/{reference}": [
        Example(200, "/v2/a/b/manifests/v1"),
        Example(200, f"/v2/a/b/manifests/{IMAGE.digest}"),
        Example(304, "/v2/a/b/manifests/v1", MATCH),
    ],
    "PUT /v2/{name}/manifests/{reference}": [
        Example(201, "/v2/a/b/manifests/v3", body=IMAGE.manifest),
        Example(201, f"/v2/a/b/manifests/{ATTACHED[0].digest}?tag=x&tag=y", body=ATTACHED[0].manifest),
        Example(201, "/v2/a/b/manifests/sparse", body=Image(b"{}", (b"never sent",)).manifest, settings=SPARSE),
    ],
    "DELETE /v2/{name}/manifests/{reference}": [
        Example(202, "/v2/a/b/manifests/v2"),
        Example(202, f"/v2/a/b/manifests/{IMAGE.digest}"),
    ],
    "GET /v2/{name}/blobs/{digest}": [
        Example(307, BLOB),
        Example(304, BLOB, {"If-None-Match": f'"{LAYER}"'}),
        Example(200, BLOB, settings=STREAMING),
        Example(206, BLOB, {"Range": "bytes=1-3"}, settings=STREAMING),
    ],
    "HEAD /v2/{name}/blobs/{digest}": [Example(200, BLOB), Example(304, BLOB, {"If-None-Match": f'"{LAYER}"'})],
    "DELETE /v2/{name}/blobs/{digest}": [Example(202, f"/v2/a/b/blobs/{LOOSE}")],
    "POST /v2/{name}/blobs/uploads/": [
        Example(202, UPLOADS),
        Example(202, f"{UPLOADS}?digest-algorithm=sha512"),
        Example(201, f"{UPLOADS}?digest={Digest.of(NEW)}", body=NEW),
        Example(201, f"/v2/c/blobs/uploads/?mount={LAYER}&from=a/b"),
    ],
    "GET /v2/{name}/blobs/uploads/{upload}": [Example(204, "{upload}")],
    "PATCH /v2/{name}/blobs/uploads/{upload}": [Example(202, "{upload}", body=NEW)],
    "PUT /v2/{name}/blobs/uploads/{upload}": [Example(201, f"{{upload}}?digest={Digest.of(NEW)}", body=NEW)],
    "DELETE /v2/{name}/blobs/uploads/{upload}": [Example(204, "{upload}")],
    "GET /gitlab/v1/": [Example(200, "/gitlab/v1/")],
    "GET /gitlab/v1/statistics/": [Example(200, "/gitlab/v1/statistics/")],
    "GET /gitlab/v1/background-migrations/": [Example(200, "/gitlab/v1/background-migrations/")],
    "GET /gitlab/v1/background-migrations/{id}/": [Example(200, "/gitlab/v1/background-migrations/1/")],
    "POST /gitlab/v1/background-migrations/pause/": [Example(200, "/gitlab/v1/background-migrations/pause/")],
    "POST /gitlab/v1/background-migrations/resume/": [Example(200, "/gitlab/v1/background-migrations/resume/")],
    "POST /gitlab/v1/restart/{id}/": [Example(200, "/gitlab/v1/restart/1/")],
    "GET /gitlab/v1/repositories/{name}/": [Example(200, f"{GITLAB}?size=self_with_descendants")],
    "PATCH /gitlab/v1/repositories/{name}/": [
        Example(202, f"{GITLAB}?dry_run=true", document={"name": "c"}),
        Example(204, GITLAB, document={"namespace": "a/c"}),
    ],
    "GET /gitlab/v1/repository-paths/{name}/repositories/list/": [
        Example(200, "/gitlab/v1/repository-paths/a/repositories/list/"),
        Example(200, "/gitlab/v1/repository-paths/a/repositories/list/?n=1"),
    ],
    "GET /gitlab/v1/repositories/{name}/tags/list/": [
        Example(200, f"{GITLAB}tags/list/"),
        Example(200, f"{GITLAB}tags/list/?n=1&sort=-published_at&referrers=true"),
    ],
    "GET /gitlab/v1/repositories/{name}/tags/detail/{tag}/": [Example(200, f"{GITLAB}tags/detail/v1/")],
}
# (operation, header) → an example whose status the header makes.
HEADER_EFFECTS: Final = {
    ("GET /v2/{name}/manifests/{reference}", "If-None-Match"): Example(304, "/v2/a/b/manifests/v1", MATCH),
    ("HEAD /v2/{name}/manifests/{reference}", "If-None-Match"): Example(304, "/v2/a/b/manifests/v1", MATCH),
    ("GET /v2/{name}/blobs/{digest}", "If-None-Match"): Example(304, BLOB, {"If-None-Match": f'"{LAYER}"'}),
    ("HEAD /v2/{name}/blobs/{digest}", "If-None-Match"): Example(304, BLOB, {"If-None-Match": f'"{LAYER}"'}),
    ("GET /v2/{name}/blobs/{digest}", "Range"): Example(416, BLOB, {"Range": "bytes=999-"}),
    ("POST /v2/{name}/blobs/uploads/", "Content-Range"): Example(
        416, f"{UPLOADS}?digest={Digest.of(NEW)}", {"Content-Range": "5-7"}, NEW
    ),
    ("PATCH /v2/{name}/blobs/uploads/{upload}", "Content-Range"): Example(
        416, "{upload}", {"Content-Range": "5-7"}, NEW
    ),
    ("PUT /v2/{name}/blobs/uploads/{upload}", "Content-Range"): Example(
        416, f"{{upload}}?digest={Digest.of(NEW)}", {"Content-Range": "5-7"}, NEW
    ),
}


@pytest.fixture(scope="module")
def _bucket(storage_address: str) -> str:
    return make_bucket(storage_address)


@pytest.fixture
def bucket_name(_bucket: str) -> str:
    """One for all: they take nothing out of it."""
    return _bucket


@pytest.fixture
def stocked(registry: Registry, scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(referrers, "PAGE_SIZE", 1)
    monkeypatch.setattr(Trigger, "publish", lambda *_: True)
    scenes.set("described", lambda: stock(registry))
    return registry


@pytest.fixture
def made(registry: Registry, scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The ids of what is in it beside."""
    monkeypatch.setattr(Trigger, "publish", lambda *_: True)

    def build() -> dict[str, str]:
        stock(registry)
        return make(registry)

    return scenes.set("described_and_made", build)


def stock(registry: Registry) -> None:
    registry.push_image("z", "v1")
    registry.push_image("a/z", "v1")
    registry.push_image("a/b", "v1", IMAGE)
    registry.put_manifest("a/b", "v2", IMAGE.manifest)
    registry.push_blob("a/b", b"loose")
    for attached in ATTACHED:
        registry.put_manifest("a/b", attached.digest, attached.manifest)
    delete(registry)


def delete(registry: Registry) -> None:
    """Two tags and two repositories, which can be put back."""
    set_grace(registry.services.database, undo=1)
    for name in ("gone-1", "gone-2"):
        registry.put_manifest("a/b", name, IMAGE.manifest)
        registry.push_image(f"a/{name}", "v1")
        for path in (f"/v2/a/b/manifests/{name}", f"/api/v1/repositories/a/{name}"):
            assert registry.request("DELETE", path).status_code < 300


def make(registry: Registry) -> dict[str, str]:
    """One of everything that administrators make, two where lists come in pages; the ids."""
    database = registry.services.database
    robot = accounts.create(database, NewAccount("robot", "ci"))
    accounts.create(database, NewAccount("user", "alice", password=PASSWORD))
    for action in ("one", "two"):
        audit.write(database, Event(action, "success", "robot:ci", "a/b", "127.0.0.1"))
    grants.add(database, None, "public/*", "reader")
    for namespace in ("a", "z"):
        quotas.put(database, Quota(namespace, 10**12, None))
    named = [passes.Named(path, path) for path in ("a", "b")]
    odd = [Problem("", "object", key, "stray") for key in ("one", "two")]
    source = sources.add(database, NewSource("registry", "https://other.example.com"))
    passes.take_page(database, source.id, named, odd, None)
    register(database)
    return {
        "run": _planned(registry),
        "backup": str(max(sealed(database), sealed(database))),
        "migration": "other",
        "check": _checked(database),
        "import": str(source.id),
        "secret": accounts.add_secret(database, robot, "one", "a pepper").id,
        "trusted_publisher": str(
            accounts.add_trusted_publisher(database, robot, GITHUB, CLAIMS, registry.services.settings)
        ),
        "grant": str(grants.add(database, robot.id, "a/b", "reader")),
        "rule": str(rules.add(database, NewRule("releases", 0, "immutable", "none/*"))),
        "subscription": str(_subscribed(database)),
    }


def _planned(registry: Registry) -> str:
    """A policy, and two plans of it."""
    assert registry.request("PUT", "/api/v1/retention/policies/tidy", json=TIDY).status_code == 201
    for _ in range(2):
        planned = registry.request("POST", "/api/v1/retention/plans", json={"policy": "tidy"})
    return str(planned.get_json()["id"])


def _subscribed(database: Database) -> int:
    """A subscription, and two events that wait for it."""
    new = NewSubscription(
        name="receiver",
        repositories="a/**",
        target="https://hooks.example.com",
        created_by="robot:ci",
        secret=webhook_secrets.sealed("", webhook_secrets.make()),
    )
    made = subscriptions.add(database, new)
    for tag in ("one", "two"):
        query(
            database,
            "INSERT INTO events (kind, repository_id, repository, tag) VALUES ('tag.moved', 1, 'a/b', :tag)",
            tag=tag,
        )
    outbox.fan_out(database, 10)
    return made


def _checked(database: Database) -> str:
    """A check that is over, with two findings, beside another one."""
    for _ in range(2):
        check = checks.start(database, "user:admin", {})
        database.batch(findings.noting(check.id, [Found("unknown", f"blobs/{each}") for each in ("one", "two")]))
        checks.stop(database, check.id, "it is over")
    return str(check.id)


def ask(
    registry: Registry, method: str, example: Example, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> TestResponse:
    upload = registry.start_upload("a/b") if "{upload}" in example.path else ""
    if "{running_check}" in example.path:
        ids = {**ids, "running_check": str(checks.start(registry.services.database, None, {}).id)}
    for name, value in example.settings.items():
        monkeypatch.setenv(name, value)
    if example.settings:
        forget_services()
    path = example.path.format(upload=upload, **ids)
    body = {"data": example.body} if example.document is None else {"json": example.document}
    response = registry.request(method, path, headers=example.headers, **body)
    assert response.status_code == example.status, response.text
    return response


def examples_of(operation: Operation) -> list[Example]:
    """HEAD is answered as GET is, where it has no examples of its own."""
    return EXAMPLES.get(str(operation)) or EXAMPLES[f"GET {operation.path}"]


def has_content_as_told(response: TestResponse, method: str, told: dict[str, Any] | None) -> bool:
    """`*/*` is told of content that has the type it was pushed with."""
    content: bytes = response.data
    if method == "HEAD" or told is None:
        return content == b""
    return content != b"" and ("*/*" in told or response.content_type in told)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_endpoint_answers_with_the_statuses_and_headers_that_are_told(
    registry: Registry, made: dict[str, str], operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "PAGE_SIZE", 1)
    sent: dict[int, set[str]] = {status: set() for status in operation.successes}
    for example in examples_of(operation):
        response = ask(registry, operation.method, example, made, monkeypatch)
        names = set(response.headers.keys())
        told = operation.headers(example.status)
        assert {name for name, header in told.items() if header.get("required")} <= names
        assert has_content_as_told(response, operation.method, operation.responses[example.status].get("content"))
        sent[example.status] |= names
    for status, names in sent.items():
        assert names, f"no example of {status}"
        assert names - EVERYWHERE == set(operation.headers(status)) - EVERYWHERE


@pytest.mark.parametrize(("operation", "header"), HEADER_EFFECTS)
def test_a_header_of_a_request_has_an_effect(
    stocked: Registry, operation: str, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = HEADER_EFFECTS[operation, header]
    method = operation.partition(" ")[0]
    assert set(example.headers) == {header}
    assert ask(stocked, method, example, {}, monkeypatch).status_code == example.status
    without = stocked.request(method, example.path.replace("{upload}", stocked.start_upload("a/b")), data=example.body)
    assert without.status_code < 400
    assert without.status_code != example.status
