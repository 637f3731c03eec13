"""What wakes the delivery, through the framework; the messages that the api sends for it; and topics as receivers."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import functions_framework
import pytest
from google.api_core.exceptions import NotFound
from werkzeug.test import Client, TestResponse

from functions.deliver import parts
from functions.registry.events import deliver_trigger
from functions.registry.events.deliver_trigger import DeliverTrigger
from functions.registry.events.trigger import DELIVER, encode
from functions.registry.metadata.db import NotMigrated
from functions.registry.metadata.schema_version import SchemaCheck
from tests.conftest import ROOT
from tests.contract.pubsub_support import Project, eventually
from tests.events.conftest import deliver, pass_time, states, subscribe
from tests.events.receiver import Receiver
from tests.gc.watch import logged
from tests.metadata.build import query
from tests.support import Registry

pytest_plugins = ["tests.contract.pubsub_fixtures"]

TOPIC = "projects/p/topics/slipway-events"


@pytest.fixture(scope="module")
def function() -> Any:
    """The function as the framework serves it."""
    return functions_framework.create_app("deliver", str(ROOT / "functions" / "deliver" / "main.py"), "cloudevent")


@pytest.fixture
def _fresh_parts() -> Iterator[None]:
    parts.parts.cache_clear()
    yield
    if parts.parts.cache_info().currsize:
        parts.parts().database.close()
    parts.parts.cache_clear()


def send(function: Any, data: bytes) -> TestResponse:
    message = {"messageId": "1", "publishTime": "2025-01-01T00:00:00.000Z", "data": base64.b64encode(data).decode()}
    return Client(function).post(f"/{TOPIC}", json={"message": message, "subscription": "projects/p/subscriptions/s"})


@pytest.mark.usefixtures("_fresh_parts")
def test_a_message_wakes_the_delivery(registry: Registry, receiver: Receiver, function: Any) -> None:
    subscribe(registry.services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    assert send(function, encode(DELIVER)).status_code == 200
    assert len(receiver.received) == 1


@pytest.mark.usefixtures("_fresh_parts")
@pytest.mark.parametrize("data", [b'{"deliver": 2}', b'{"collect": 1}', b"{}", b"not json", b"\xff"])
def test_what_is_no_trigger_of_the_delivery_is_acknowledged_and_told(
    registry: Registry, receiver: Receiver, function: Any, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    subscribe(registry.services, receiver.address)
    registry.push_image("team/app", "1")
    assert send(function, data).status_code == 200
    assert [line["severity"] for line in logged(capsys, "not a trigger")] == ["WARNING"]
    assert not receiver.received


@pytest.mark.usefixtures("_fresh_parts", "registry")
def test_before_the_schema_is_there_a_message_is_acknowledged(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: SchemaCheck) -> None:
        raise NotMigrated("call migrate")

    monkeypatch.setattr(SchemaCheck, "require", missing)
    assert send(function, encode(DELIVER)).status_code == 200


@pytest.mark.usefixtures("_fresh_parts", "registry")
def test_a_database_that_is_away_has_the_message_come_again(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_DATABASE", "postgresql://nobody@/nothing?host=/nowhere")
    assert send(function, encode(DELIVER)).status_code in {200, 503}
    assert Client(function).get("/").status_code >= 400


# ---- what the api sends


@pytest.fixture
def topic(pubsub: Project, environment: dict[str, str]) -> str:
    environment["SLIPWAY_EVENTS_TOPIC"] = pubsub.topic("slipway-events")
    return environment["SLIPWAY_EVENTS_TOPIC"]


def test_without_a_subscription_nothing_is_published(
    topic: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []

    def publish(trigger: DeliverTrigger) -> bool:
        published.append(trigger._topic)
        return True

    monkeypatch.setattr(DeliverTrigger, "publish", publish)
    registry.push_image("team/app", "1")
    trigger = registry.services.deliver_trigger
    eventually(lambda: trigger._next > time.monotonic() + deliver_trigger.INTERVAL_SECONDS)
    assert published == []
    subscribe(registry.services, "poll")
    trigger.forget()
    registry.push_image("team/app", "2")
    eventually(lambda: published == [topic])


def test_a_push_wakes_the_delivery(pubsub: Project, topic: str, registry: Registry) -> None:
    subscription = pubsub.subscription(topic, "events")
    subscribe(registry.services, "poll")
    for tag in "abc":
        registry.push_image("team/app", tag)
    message, *_ = pubsub.pull_until(subscription, 1)
    assert json.loads(message.data) == {"deliver": 1}


# ---- topics as receivers


def test_a_topic_gets_events_in_order_by_the_repositorys_id(pubsub: Project, registry: Registry) -> None:
    services = registry.services
    topic = pubsub.topic("told")
    subscription = pubsub.subscription(topic, "reader")
    subscribe(services, topic, secret=None, kinds=["tag.created", "repository.moved"])
    registry.push_image("team/app", "1")
    registry.request("POST", "/api/v1/repositories/team/app/-/move", json={"to": "team/other"})
    registry.push_image("team/other", "2")
    assert deliver(services) == 3
    found = pubsub.pull_until(subscription, 3)
    messages = sorted(found, key=lambda message: message.attributes["ce-sequence"])
    assert [json.loads(message.data)["subject"] for message in messages] == [
        "team/app:1",
        "team/other",
        "team/other:2",
    ]
    [[repository]] = query(services.database, "SELECT id FROM repositories WHERE name = 'team/other'")
    assert {message.ordering_key for message in messages} == {str(repository)}
    assert messages[0].attributes["ce-type"] == "dev.slipway.tag.created.v1"
    assert messages[0].attributes["content-type"].startswith("application/cloudevents+json")


def test_a_topic_that_refuses_gets_them_later(pubsub: Project, registry: Registry) -> None:
    services = registry.services
    topic = pubsub.topic("told")
    with suppress(NotFound):
        pubsub.publisher.delete_topic(topic=topic)
    subscribe(services, topic, secret=None, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    registry.push_image("team/app", "2")
    assert deliver(services) == 0
    [[answer], [none]] = query(services.database, "SELECT answer FROM deliveries ORDER BY event_id")
    assert "NotFound" in answer
    assert none is None
    pubsub.publisher.create_topic(name=topic)
    pass_time(services, 6)
    assert deliver(services) == 2
    assert states(registry) == [("sent", 2)]
