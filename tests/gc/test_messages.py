"""Messages that wake garbage collection, through the framework; and the trigger messages that the api sends."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import functions_framework
import pytest
from google.pubsub_v1.types import PushConfig
from werkzeug.serving import make_server
from werkzeug.test import Client, TestResponse

from functions.registry import wiring
from functions.registry.events import trigger
from functions.registry.events.trigger import Trigger, encode, is_trigger
from functions.registry.oci.digest import Digest
from local.guard import choose_port
from local.postgres import Postgres
from local.pubsub import Delivery, FakePubSub
from tests.conftest import ROOT, administer
from tests.contract.pubsub_support import Project, eventually
from tests.forgotten import forget_services
from tests.gc.conftest import rows
from tests.gc.watch import logged
from tests.support import Image, Registry

pytest_plugins = ["tests.contract.pubsub_fixtures"]

TOPIC = "projects/p/topics/slipway-collect"
EVENTARC = {
    "ce-id": "1",
    "ce-source": f"//pubsub.googleapis.com/{TOPIC}",
    "ce-specversion": "1.0",
    "ce-time": "2025-01-01T00:00:00.000Z",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
}
FORMS = ("push", "eventarc")


@pytest.fixture(scope="module")
def function() -> Any:
    """The gc function as the framework serves it."""
    return functions_framework.create_app("collect", str(ROOT / "functions" / "gc" / "main.py"), "cloudevent")


def deliver(function: Any, form: str, data: bytes | None) -> TestResponse:
    message: dict[str, Any] = {"messageId": "1", "message_id": "1", "publishTime": "2025-01-01T00:00:00.000Z"}
    if data is not None:
        message["data"] = base64.b64encode(data).decode()
    body = {"message": message, "subscription": "projects/p/subscriptions/s"}
    path = f"/{TOPIC}" if form == "push" else "/?__GCP_CloudEventsMode=CUSTOM_PUBSUB_x"
    return Client(function).post(path, json=body, headers=EVENTARC if form == "eventarc" else {})


@pytest.fixture
def garbage(hasty: Registry) -> Registry:
    hasty.push_blob("a/b", b"to be collected")
    return hasty


@pytest.mark.parametrize("form", FORMS)
def test_a_gc_trigger_runs_garbage_collection(garbage: Registry, function: Any, form: str) -> None:
    assert deliver(function, form, encode()).status_code == 200
    assert (rows(garbage, "blobs"), rows(garbage, "deletions")) == (0, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "data",
    [
        b'{"collect": 2}',
        b'{"collect": "1"}',
        b'{"other": 1}',
        b"{}",
        b"[1]",
        b'["collect"]',
        b"null",
        b"1",
        b'"collect"',
        b"not json",
        b"\xff\xfe",
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_gc_trigger_is_acknowledged_and_told_and_nothing_is_collected(
    garbage: Registry, function: Any, form: str, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver(function, form, data).status_code == 200
    assert [line["severity"] for line in logged(capsys, "not a trigger")] == ["WARNING"]
    assert rows(garbage, "blobs") == 1


@pytest.mark.parametrize("payload", [None, [], "text", {"message": None}, {"message": []}, {"message": {"data": 1}}])
def test_an_event_of_another_shape_is_acknowledged_too(garbage: Registry, function: Any, payload: Any) -> None:
    assert Client(function).post("/", json=payload, headers=EVENTARC).status_code == 200
    assert rows(garbage, "blobs") == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_message_without_data_is_acknowledged(garbage: Registry, function: Any, form: str) -> None:
    assert deliver(function, form, None).status_code in {200, 204}
    assert rows(garbage, "blobs") == 1


@pytest.mark.parametrize("body", [b"", b"[", b"{}"])
def test_what_is_no_message_at_all_is_acknowledged_and_told(
    garbage: Registry, function: Any, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = {"Authorization": "Bearer an-identity"}
    answer = Client(function).post(f"/{TOPIC}", data=body, content_type="application/json", headers=identity)
    assert answer.status_code == 204
    (line,) = logged(capsys, "not a message")
    assert line["severity"] == "WARNING"
    assert "an-identity" not in str(line)
    assert rows(garbage, "blobs") == 1


def test_data_that_is_not_base64_is_acknowledged(garbage: Registry, function: Any) -> None:
    body = {"message": {"data": "%%%"}}
    assert Client(function).post("/", json=body, headers=EVENTARC).status_code == 200
    assert rows(garbage, "blobs") == 1


def test_a_message_that_comes_before_the_first_migration_is_acknowledged(
    garbage: Registry,
    function: Any,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs are scheduled from the apply on; a message that comes again and again would end as a dead letter."""
    administer(postgres, "CREATE DATABASE not_migrated")
    garbage.services.database.close()
    with monkeypatch.context() as early:
        early.setenv("SLIPWAY_DATABASE", postgres.url("not_migrated"))
        forget_services()
        assert deliver(function, "push", encode()).status_code == 200
        wiring.services().database.close()
    forget_services()
    administer(postgres, "DROP DATABASE not_migrated")
    assert len(logged(capsys, "no run without the schema")) == 1


def test_without_a_database_the_message_comes_again(
    garbage: Registry, function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage.services.database.close()
    with monkeypatch.context() as broken:
        broken.setenv("SLIPWAY_DATABASE", f"postgresql://postgres@127.0.0.1:{choose_port(0)}/none")
        forget_services()
        assert deliver(function, "push", encode()).status_code == 503
    forget_services()
    assert deliver(function, "push", encode()).status_code == 200
    assert rows(garbage, "blobs") == 0


@contextmanager
def served(function: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, function, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_gc_triggers_that_come_doubled_out_of_order_and_at_once_are_harmless(
    hasty: Registry, function: Any, pubsub: Project, fake_pubsub: FakePubSub, storage_address: str
) -> None:
    kept = hasty.push_image("a/b", "v1")
    for _ in range(5):
        hasty.push_image("a/b")
    topic = pubsub.topic()
    with served(function) as url:
        pubsub.subscription(topic, push_config=PushConfig(push_endpoint=f"{url}/{topic}"), ack_deadline_seconds=60)
        fake_pubsub.set_delivery(Delivery(duplicate=0.9, reorder=0.5, drop=0.2))
        pubsub.publish(topic, *[encode()] * 10, b"foreign")
        assert fake_pubsub.drain(30)
    assert storage_address
    assert (rows(hasty, "manifests"), rows(hasty, "blobs"), rows(hasty, "deletions")) == (1, 3, 0)
    assert hasty.pull_blob("a/b", Digest.of(kept.config)) == kept.config
    assert rows(hasty, "collected WHERE level = 'object' AND rows = 15") == 1


# ---- trigger messages from the api


class Sending:
    """The registry, with a topic to send trigger messages to."""

    def __init__(self, registry: Registry, project: Project, interval: float = 0) -> None:
        self.registry = registry
        self._project = project
        self.topic = project.topic()
        self._subscription = project.subscription(self.topic)
        self.set_gc_trigger(self.topic, interval)

    def set_gc_trigger(self, topic: str, interval: float = 0) -> None:
        object.__setattr__(self.registry.services, "gc_trigger", Trigger(topic, interval))

    def received(self, count: int) -> list[bytes]:
        return [message.data for message in self._project.pull_until(self._subscription, count)]

    def require_none(self) -> None:
        assert self._project.pull(self._subscription, timeout=0.3) == []


@pytest.fixture
def sending(registry: Registry, pubsub: Project) -> Sending:
    return Sending(registry, pubsub)


def act(registry: Registry, what: str) -> None:
    """One request that may leave garbage; what it needs is there already."""
    image = Image(config=b"{}", layers=())
    location = registry.start_upload("a/b")
    requests = {
        "a manifest is pushed": lambda: registry.put_manifest("a/b", "v2", image.manifest),
        "a tag is deleted": lambda: registry.request("DELETE", "/v2/a/b/manifests/v1"),
        "a manifest is deleted": lambda: registry.request("DELETE", f"/v2/a/b/manifests/{image.digest}"),
        "a blob is deleted": lambda: registry.request("DELETE", f"/v2/a/b/blobs/{Digest.of(b'loose')}"),
        "a blob is pushed": lambda: registry.request("PUT", f"{location}?digest={Digest.of(b'')}"),
        "an upload is cancelled": lambda: registry.request("DELETE", location),
    }
    assert requests[what]().status_code in (201, 202, 204)


@pytest.mark.parametrize(
    "what",
    [
        "a manifest is pushed",
        "a tag is deleted",
        "a manifest is deleted",
        "a blob is deleted",
        "a blob is pushed",
        "an upload is cancelled",
    ],
)
def test_a_gc_trigger_is_sent_after(sending: Sending, what: str) -> None:
    registry = sending.registry
    sending.set_gc_trigger("")
    registry.push_image("a/b", "v1", Image(config=b"{}", layers=()))
    registry.push_blob("a/b", b"loose")
    sending.set_gc_trigger(sending.topic)
    act(registry, what)
    [data] = sending.received(1)
    assert data
    assert is_trigger(data)


def test_no_gc_trigger_is_sent_after_reads_nor_after_refusals(sending: Sending) -> None:
    registry = sending.registry
    sending.set_gc_trigger("")
    image = registry.push_image("a/b", "v1")
    sending.set_gc_trigger(sending.topic)
    for path in ("_catalog", "a/b/tags/list", "a/b/manifests/v1", f"a/b/blobs/{Digest.of(image.config)}"):
        registry.get(f"/v2/{path}")
        registry.request("HEAD", f"/v2/{path}")
    location = registry.start_upload("a/b")
    registry.get(location)
    registry.request("DELETE", "/v2/a/b/manifests/none")
    registry.put_manifest("a/b", "v2", Image().manifest)
    sending.require_none()


def test_gc_triggers_are_held_back_to_one_in_an_interval(sending: Sending) -> None:
    sending.set_gc_trigger(sending.topic, 60)
    for _ in range(3):
        sending.registry.push_image("a/b", "v1")
    assert len(sending.received(1)) == 1
    sending.require_none()
    sending.set_gc_trigger(sending.topic, 0.05)
    sending.registry.push_blob("a/b", b"1")
    time.sleep(0.06)
    sending.registry.push_blob("a/b", b"2")
    assert len(sending.received(2)) == 2


@contextmanager
def hole() -> Iterator[str]:
    """Takes connections and never says anything."""
    import socket  # noqa: PLC0415

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def quickest_push(registry: Registry) -> float:
    """Takes the quickest of several: what else the machine does is of no account."""
    seconds = []
    for number in range(8):
        started = time.monotonic()
        assert registry.put_manifest("a/b", f"v{number}", Image(config=b"{}", layers=()).manifest).status_code == 201
        seconds.append(time.monotonic() - started)
    return min(seconds)


@pytest.mark.parametrize("trouble", ["no topic", "refused", "silent"])
def test_a_gc_trigger_that_can_t_be_sent_neither_fails_nor_slows_a_request(
    sending: Sending, trouble: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = sending.registry
    sending.set_gc_trigger("")
    registry.push_blob("a/b", b"{}")
    monkeypatch.setattr(trigger, "PUBLISH_SECONDS", 1.0)
    with hole() as silent:
        if trouble != "no topic":
            address = silent if trouble == "silent" else f"127.0.0.1:{choose_port(0)}"
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        sending.set_gc_trigger("projects/nowhere/topics/none")
        assert quickest_push(registry) < 0.1
        eventually(lambda: not any(thread.name == "gc-trigger" for thread in threading.enumerate()), timeout=30)
    warnings = logged(capsys, "a trigger could not be sent")
    assert len(warnings) == 8
    assert {line["severity"] for line in warnings} == {"WARNING"}


def test_a_gc_trigger_always_has_data_of_a_version() -> None:
    assert json.loads(encode()) == {"collect": 1}
    assert is_trigger(encode())
