"""A worker's share of a copy: what it lists, what it copies, and what it leaves for the next one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.migrate.imports.remote.work import RemoteWork
from functions.registry.auth.source_credentials import Credentials
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.metadata.imports.vocabulary import Source
from functions.registry.metadata.usage import quotas
from functions.registry.wiring import Services
from tests.imports.remote.other_registry import Other
from tests.statements import of_tests
from tests.support import Image, Registry
from tests.surroundings import require_localhost

_STATES = of_tests(
    "tests_import_states",
    list,
    "SELECT json_agg(json_build_array(path, state, error) ORDER BY path) FROM import_repositories",
)
_PROBLEMS = of_tests(
    "tests_import_problems",
    list,
    "SELECT coalesce(json_agg(json_build_array(repository, kind, key, reason) ORDER BY repository, key), '[]')"
    " FROM import_problems",
)
_COUNTS = of_tests("tests_import_counts", dict, "SELECT counts FROM import_sources")
_SEAL = of_tests("tests_import_sealed", int, "UPDATE import_sources SET state = 'sealed'")
_DUE = of_tests("tests_import_due", int, "UPDATE import_repositories SET due_at = now(), lease_until = now()")


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1 localhost"}


def source(services: Services, other: Other, **options: Any) -> Source:
    new = NewSource("registry", other.address, renames=options.pop("renames", None), options=options)
    added = sources.add(services.database, new)
    sources.open_up(services.database, added.id)
    return get(services, added.id)


def get(services: Services, source_id: int) -> Source:
    found = sources.get(services.database, source_id)
    assert found is not None
    return found


def run(services: Services, which: Source, seconds: float = 60) -> bool:
    return RemoteWork(services, get(services, which.id), time.monotonic() + seconds).run()


def test_the_whole_of_a_registry(services: Services, other: Other, registry: Registry) -> None:
    other.page = 2
    images = {name: other.hold_image(name, "v1") for name in ("a", "b/c", "d", "e/f/g", "h")}
    other.manifests["Bad_Name"] = {}
    which = source(services, other, renames={"a": "moved/a"})

    while run(services, which):
        pass

    assert get(services, which.id).state == "open"
    for name, image in images.items():
        here = "moved/a" if name == "a" else name
        assert registry.get(f"/v2/{here}/manifests/v1").data == image.manifest
    states = services.database.one_or_none(_STATES())
    assert states == [["Bad_Name", "refused", None], *([name, "imported", None] for name in sorted(images))]
    assert services.database.one_or_none(_PROBLEMS()) == [["Bad_Name", "repository", "Bad_Name", "name"]]
    counts = services.database.one_or_none(_COUNTS())
    assert counts is not None
    assert (counts["manifests_copied"], counts["tags_changed"]) == (5, 5)


def test_a_client_may_not_push_before_it_leads(services: Services, other: Other, registry: Registry) -> None:
    other.hold_image("a/b", "v1")
    which = source(services, other)
    while run(services, which):
        pass
    for blob in (image := Image()).blobs:
        registry.push_blob("a/b", blob)
    assert registry.put_manifest("a/b", "v2", image.manifest).status_code == 405
    sources.set_mode(services.database, which.id, "lead")
    assert registry.put_manifest("a/b", "v2", image.manifest).status_code == 201


def test_named_repositories_where_there_is_no_catalog(services: Services, other: Other, registry: Registry) -> None:
    other.hold_image("a/b", "v1")
    other.odd["_catalog"] = lambda handler: handler._answer(404, b"{}")
    paused = source(services, other)
    run(services, paused)
    assert (get(services, paused.id).state, "catalog" in (get(services, paused.id).reason or "")) == ("paused", True)
    services.database.count(_SEAL())
    which = source(services, other, repositories=["a/b", "not/there"])
    while run(services, which):
        pass
    assert registry.get("/v2/a/b/manifests/v1").status_code == 200


def test_why_a_listing_waits_is_told_until_it_goes_on(services: Services, other: Other) -> None:
    other.hold_image("a/b", "v1")
    other.odd["_catalog"] = lambda handler: handler._answer(200, b"no JSON")
    which = source(services, other)
    run(services, which)
    waiting = get(services, which.id)
    assert (waiting.state, bool(waiting.reason)) == ("listing", True)
    del other.odd["_catalog"]
    while run(services, which):
        pass
    assert (get(services, which.id).state, get(services, which.id).reason) == ("open", None)


def test_a_name_of_another_source_is_refused(services: Services, other: Other) -> None:
    require_localhost()
    other.hold_image("a/b", "v1")
    first = source(services, other)
    while run(services, first):
        pass
    second = sources.add(services.database, NewSource("registry", other.address.replace("127.0.0.1", "localhost")))
    sources.open_up(services.database, second.id)
    run(services, second)
    assert services.database.one_or_none(_PROBLEMS()) == [["a/b", "repository", "a/b", "name"]]


def test_one_that_lets_nobody_in_pauses_the_source(services: Services, other: Other) -> None:
    other.hold_image("a/b", "v1")
    which = source(services, other)
    other.username, other.secret = "reader", "s3cret"
    run(services, which)
    paused = get(services, which.id)
    assert paused.state == "paused"
    assert "name and the secret" in (paused.reason or "")
    sealed = Credentials("reader", "s3cret").sealed(services.settings.pepper)
    assert "s3cret" not in sealed
    sources.choose(services.database, which.id, {"credentials": sealed})
    sources.resume(services.database, which.id)
    while run(services, which):
        pass
    assert services.database.one_or_none(_STATES()) == [["a/b", "imported", None]]


def test_one_that_is_down_is_come_back_to(services: Services, other: Other) -> None:
    other.hold_image("a/b", "v1")
    which = source(services, other)
    run(services, which, seconds=4.9)  # lists, and has no time for more
    other.odd["/v2/a"] = lambda handler: handler.failing()
    other.odd["/v2/"] = lambda handler: handler.failing()
    run(services, which)
    states = services.database.one_or_none(_STATES())
    assert states is not None
    assert states[0][1] == "importing"
    assert "500" in states[0][2]
    other.odd.clear()
    services.database.count(_DUE())
    run(services, which)
    assert services.database.one_or_none(_STATES()) == [["a/b", "imported", None]]


def test_a_repository_over_its_quota_waits_with_the_reason(services: Services, other: Other) -> None:
    quotas.put(services.database, quotas.Quota("a", 100, None))
    other.hold_image("a/b", "v1")
    other.hold_image("c/d", "v1")
    which = source(services, other)
    while run(services, which):
        pass
    states = services.database.one_or_none(_STATES())
    assert states is not None
    assert "quota" in states[0][2]
    assert states[1] == ["c/d", "imported", None]
