"""A source tells what changed in it: its bucket by notifications, the older registry by its own."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from functions.migrate import work
from functions.migrate.imports import layouts
from functions.migrate.imports.batch import list_batch
from functions.registry.imports import names, news
from functions.registry.imports.news import ObjectChange
from functions.registry.metadata.imports import news as noted
from functions.registry.oci.digest import Digest
from tests.cli.stand import serve
from tests.imports import debian
from tests.imports.demo import push
from tests.imports.importing import add, problems, requests_counted, run, states
from tests.imports.old import OldRegistry
from tests.imports.test_delta import named
from tests.imports.truth import ROOT
from tests.metadata.build import query, value
from tests.support import Image, Registry

APP = "team/app"


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry, old: OldRegistry) -> int:
    """Imported to its end."""
    old.push(APP, Image(), "v1", "v2")
    old.push("team/other", Image(), "v1")
    source = add(registry.services)
    run(registry.services)
    return source.id


def told(bucket: str, name: str, event: str = "OBJECT_FINALIZE") -> dict[str, Any]:
    """A message as the bucket's notifications have it."""
    resource = json.dumps({"kind": "storage#object", "bucket": bucket, "name": name}).encode()
    attributes = {"eventType": event, "bucketId": bucket, "objectId": name, "payloadFormat": "JSON_API_V1"}
    return {"message": {"data": base64.b64encode(resource).decode(), "attributes": attributes}}


def receive(registry: Registry, payload: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "services", lambda: registry.services)
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub.googleapis.com/a"}
    work.work(CloudEvent(attributes, payload))


def is_due(registry: Registry, path: str = APP) -> bool:
    text = "SELECT due_at <= now() FROM import_repositories WHERE path = :path"
    return value(registry.services.database, text, path=path) is True


def test_what_its_bucket_tells_of_is_compared_at_once(
    registry: Registry, old: OldRegistry, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image()
    digest = old.push(APP, image, "v1")
    with requests_counted() as asked:
        receive(registry, told(old.bucket, ROOT + names.current_link_name(APP, "v1")), monkeypatch)
    assert named(registry, "v1") == str(digest)
    assert asked.count("list") == 1
    old.untag(APP, "v2")
    receive(registry, told(old.bucket, ROOT + names.current_link_name(APP, "v2"), "OBJECT_DELETE"), monkeypatch)
    assert named(registry, "v2") is None
    assert source


def test_a_repository_that_is_new_there_comes(
    registry: Registry, old: OldRegistry, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = old.push("new/one", Image(), "v1")
    receive(registry, told(old.bucket, ROOT + names.revision_link_name("new/one", digest)), monkeypatch)
    assert named(registry, "v1", "new/one") == str(digest)
    assert source


@pytest.mark.parametrize(
    ("bucket", "name", "event"),
    [
        ("another", ROOT + names.current_link_name(APP, "v1"), "OBJECT_FINALIZE"),
        ("", names.current_link_name(APP, "v1"), "OBJECT_FINALIZE"),
        ("", ROOT + names.current_link_name(names.GUARD, "guard"), "OBJECT_FINALIZE"),
        ("", ROOT + names.layer_link_name(APP, Digest.of(b"x")), "OBJECT_FINALIZE"),
        ("", ROOT + names.blob_name(Digest.of(b"x")), "OBJECT_FINALIZE"),
        ("", ROOT + f"repositories/{APP}/_uploads/1/data", "OBJECT_FINALIZE"),
        ("", ROOT + names.current_link_name(APP, "v1"), "OBJECT_METADATA_UPDATE"),
        ("", "blobs/1/2", "OBJECT_FINALIZE"),
    ],
)
def test_what_is_no_tag_and_no_manifest_wakes_nobody(
    registry: Registry, source: int, bucket: str, name: str, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "run", lambda *_: pytest.fail("woken"))
    receive(registry, told(bucket or registry.services.settings.bucket, name, event), monkeypatch)
    assert not is_due(registry)
    assert source


def test_a_name_that_can_t_be_one_here_is_left_to_the_listing(registry: Registry, source: int) -> None:
    change = ObjectChange(registry.services.settings.bucket, ROOT + names.current_link_name("Bad_Name", "v1"))
    assert news.take_object(registry.services.database, change)
    assert "Bad_Name" not in states(registry.services)
    assert source


@pytest.mark.parametrize("payload", [None, [], {}, {"message": 1}, {"message": {"attributes": []}}])
def test_what_is_no_notification(payload: Any) -> None:
    assert news.object_change(payload) is None


def test_what_changes_while_it_is_compared_is_compared_again(
    registry: Registry, old: OldRegistry, source: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing was read before the change, and the news come before the comparison is over."""
    database = registry.services.database
    moved = Image()
    tellings: list[Digest] = []

    def late(*arguments: Any) -> Any:
        listed = list_batch(*arguments)
        if not tellings:
            tellings.append(old.push(APP, moved, "v1"))
            noted.note(database, source, {APP: APP})
        return listed

    monkeypatch.setattr(layouts, "list_batch", late)
    noted.note(database, source, {APP: APP})
    run(registry.services)
    assert named(registry, "v1") == str(moved.digest)
    assert value(database, "SELECT count(*) FROM import_repositories WHERE due_at IS NOT NULL") == 0


def envelope(*events: dict[str, Any]) -> dict[str, Any]:
    return {"events": list(events)}


def event(action: str, repository: object) -> dict[str, Any]:
    """Makes one as CNCF Distribution sends it, but for what is passed by."""
    target = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 708, "repository": repository}
    return {"id": "1", "timestamp": "2026-01-01T00:00:00Z", "action": action, "target": target, "actor": {}}


def test_what_the_older_registry_tells_of_is_compared_at_once(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    digest = old.push(APP, Image(), "v1")
    old.push("team/other", Image(), "v1")
    body = envelope(event("push", APP), event("pull", "team/other"), event("push", "Bad_Name"))
    answer = registry.request("POST", f"/api/v1/imports/{source}/events", json=body)
    assert (answer.status_code, answer.get_json()) == (200, {"repositories": [APP]})
    assert (is_due(registry), is_due(registry, "team/other")) == (True, False)
    run(registry.services)
    assert named(registry, "v1") == str(digest)


def test_a_repository_by_another_name_is_told_of_by_its_name_there(registry: Registry, old: OldRegistry) -> None:
    old.push("first", Image(), "v1")
    source = add(registry.services, renames={"odd/one": "team/one", "first": "team/first"})
    run(registry.services)
    old.push("odd/one", Image(), "v1")
    registry.request("POST", f"/api/v1/imports/{source.id}/events", json=envelope(event("push", "odd/one")))
    run(registry.services)
    assert named(registry, "v1", "team/one") is not None
    assert problems(registry.services) == set()


@pytest.mark.parametrize(
    "events",
    [
        "push",
        [1, None, [], {}],
        [{"action": ["push"], "target": {"repository": APP}}],
        [{"action": "push", "target": APP}],
        [event("push", {"name": APP}), event("push", None), event("push", "../../etc"), event("push", "x" * 5000)],
    ],
)
def test_events_that_make_no_sense_change_nothing(registry: Registry, source: int, events: Any) -> None:
    before = query(registry.services.database, "SELECT * FROM import_repositories ORDER BY id")
    answer = registry.request("POST", f"/api/v1/imports/{source}/events", json={"events": events})
    assert answer.status_code == (400 if isinstance(events, str) else 200)
    assert query(registry.services.database, "SELECT * FROM import_repositories ORDER BY id") == before


def test_more_than_a_registry_ever_sends_is_refused(registry: Registry, source: int) -> None:
    answer = registry.request("POST", f"/api/v1/imports/{source}/events", json={"events": [{}] * 1001})
    assert answer.status_code == 400
    assert registry.request("POST", "/api/v1/imports/999/events", json={"events": []}).status_code == 404


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_IMPORT_FOLDERS": "accept"}


@pytest.mark.clients
def test_debians_registry_tells_of_a_push(registry: Registry, tmp_path: Path) -> None:
    """It does by the notifications that docs/migrate.md has it configured with."""
    folder = tmp_path / "old"
    folder.mkdir()
    source = add(registry.services, str(folder))
    with serve(registry.client.application) as here:
        url = f"{here.address}/api/v1/imports/{source.id}/events"
        endpoint = {"name": "slipway", "url": url, "timeout": "5s", "threshold": 3, "backoff": "1s"}
        with debian.serve(folder, notifications={"endpoints": [endpoint]}) as address:
            push(address, APP, Image(), "v1")
            run(registry.services)
            image = Image()
            push(address, APP, image, "v1")
            push(address, "new/one", image, "v1")
            deadline = time.monotonic() + 20
            while named(registry, "v1") != str(image.digest) and time.monotonic() < deadline:
                time.sleep(0.2)
                run(registry.services)
    assert named(registry, "v1") == named(registry, "v1", "new/one") == str(image.digest)
