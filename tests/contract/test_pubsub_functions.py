"""A function under the real functions-framework gets its events from the fake."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.pubsub_v1.types import PubsubMessage, PushConfig

from tests.contract.pubsub_support import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.pubsub_support import Project

pytest_plugins = ["tests.contract.pubsub_fixtures"]

SOURCE = """
import json
import pathlib

import functions_framework

EVENTS = pathlib.Path(__file__).with_name("events")


@functions_framework.cloud_event
def collect(event):
    entry = {"type": event["type"], "source": event["source"], "id": event["id"], "data": event.data}
    with EVENTS.open("a") as events:
        events.write(json.dumps(entry) + "\\n")
    if event.data["message"].get("attributes", {}).get("fate") == "fail once" and not failed:
        failed.append(True)
        raise RuntimeError("as asked")


failed = []
"""


@dataclass(frozen=True)
class Function:
    """The running function, and the events that came to it."""

    url: str
    events: Path

    def wait(self, count: int) -> list[dict[str, Any]]:
        eventually(lambda: len(self._lines()) >= count)
        return [json.loads(line) for line in self._lines()]

    def _lines(self) -> list[str]:
        return self.events.read_text().splitlines() if self.events.exists() else []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def function(tmp_path: Path) -> Iterator[Function]:
    source, port = tmp_path / "main.py", free_port()
    source.write_text(SOURCE)
    framework = Path(sys.executable).with_name("functions-framework")
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [str(framework), "--source", str(source), "--target", "collect", *where]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        eventually(lambda: answers(port), timeout=30)
        yield Function(f"http://127.0.0.1:{port}", tmp_path / "events")
    finally:
        process.terminate()
        process.wait(10)


def test_a_function_gets_a_wrapped_push_as_an_event(pubsub: Project, function: Function) -> None:
    topic = pubsub.topic()
    # The framework reads the topic from the path, and only from there.
    pubsub.subscription(topic, push_config=PushConfig(push_endpoint=f"{function.url}/{topic}"))
    [message_id] = pubsub.publish(topic, b"data", attributes={"kind": "review"})
    [event] = function.wait(1)
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event["source"] == f"//pubsub.googleapis.com/{topic}"
    assert event["id"] == message_id
    assert event["data"]["message"]["data"] == "ZGF0YQ=="
    assert event["data"]["message"]["attributes"] == {"kind": "review"}


@pytest.mark.usefixtures("fake_pubsub")
def test_a_function_gets_the_push_of_eventarc_as_it_is(pubsub: Project, function: Function) -> None:
    topic = pubsub.topic()
    mode = f"?__GCP_CloudEventsMode=CUSTOM_PUBSUB_{topic.replace('/', '%2F')}"
    config = PushConfig(push_endpoint=f"{function.url}/{mode}")
    subscription = pubsub.subscription(topic, push_config=config)
    [message_id] = pubsub.publish(topic, b"data")
    [event] = function.wait(1)
    assert event["type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert event["source"] == f"//pubsub.googleapis.com/{topic}"
    assert event["id"] == message_id
    assert event["data"]["subscription"] == subscription
    assert event["data"]["message"]["data"] == "ZGF0YQ=="


def test_a_function_that_raises_gets_the_event_again_and_then_acknowledges(pubsub: Project, function: Function) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config=PushConfig(push_endpoint=function.url))
    message = PubsubMessage(data=b"data", attributes={"fate": "fail once"})
    [message_id] = pubsub.publisher.publish(topic=topic, messages=[message]).message_ids
    assert [event["id"] for event in function.wait(2)] == [message_id, message_id]
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config=PushConfig())
    assert pubsub.pull(subscription, timeout=0.5) == []
