"""What the Pub/Sub contract suite works with: a project of its own, and an endpoint that gets pushes."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage, Subscription, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.pubsub import FakePubSub


@dataclass(frozen=True)
class Target:
    """The Pub/Sub under test; `fake` is None when it is not ours."""

    address: str
    fake: FakePubSub | None


def eventually(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come to hold in time"
        time.sleep(0.01)


@dataclass
class Project:
    """A project that no other test uses, and the generated clients to work in it."""

    name: str
    publisher: PublisherClient
    subscriber: SubscriberClient
    topics: list[str] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)

    def topic(self, name: str = "topic") -> str:
        """Create a topic; gives its full name."""
        topic = self.publisher.create_topic(request=Topic(name=f"projects/{self.name}/topics/{name}"))
        self.topics.append(topic.name)
        return topic.name

    def subscription(self, topic: str, name: str = "subscription", **fields: Any) -> str:
        """Create a subscription; gives its full name."""
        full_name = f"projects/{self.name}/subscriptions/{name}"
        wanted = Subscription(name=full_name, topic=topic, **fields)
        created = self.subscriber.create_subscription(request=wanted)
        self.subscriptions.append(created.name)
        return created.name

    def publish(self, topic: str, *contents: bytes, attributes: Mapping[str, str] | None = None) -> list[str]:
        """Publish in one request; gives the messages' ids."""
        messages = [PubsubMessage(data=data, attributes=attributes or {}) for data in contents]
        return list(self.publisher.publish(topic=topic, messages=messages).message_ids)

    def pull(self, subscription: str, timeout: float = 5.0) -> list[ReceivedMessage]:
        """What is due, or what comes first; nothing if nothing comes in time."""
        request = {"subscription": subscription, "max_messages": 100}
        try:
            return list(self.subscriber.pull(request=request, timeout=timeout).received_messages)
        except DeadlineExceeded:
            return []

    def pull_and_acknowledge(self, subscription: str, timeout: float = 5.0) -> list[PubsubMessage]:
        received = self.pull(subscription, timeout)
        if received:
            ids = [each.ack_id for each in received]
            self.subscriber.acknowledge(subscription=subscription, ack_ids=ids)
        return [each.message for each in received]

    def pull_until(self, subscription: str, count: int, timeout: float = 5.0) -> list[PubsubMessage]:
        """Pull and acknowledge until there have been so many messages, in the order they came."""
        messages: list[PubsubMessage] = []
        while len(messages) < count:
            fresh = self.pull_and_acknowledge(subscription, timeout)
            assert fresh, f"only {len(messages)} of {count} messages came"
            messages += fresh
        return messages

    def clear(self) -> None:
        for subscription in self.subscriber.list_subscriptions(project=f"projects/{self.name}"):
            self.subscriber.delete_subscription(subscription=subscription.name)
        for topic in self.publisher.list_topics(project=f"projects/{self.name}"):
            self.publisher.delete_topic(topic=topic.name)


@dataclass(frozen=True)
class Push:
    """A request that came to the endpoint."""

    path: str
    headers: dict[str, str]
    body: bytes
    arrived_at: float

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


class Receiver(ThreadingHTTPServer):
    """A push endpoint on loopback: keeps what it gets and answers as told, else with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads = False
        self.pushes: list[Push] = []
        self.answers: deque[int] = deque()
        self.default_answer = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait(self, count: int, timeout: float = 10.0) -> list[Push]:
        """The pushes so far, once there are so many."""
        eventually(lambda: len(self.pushes) >= count, timeout)
        return list(self.pushes)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answers.popleft() if self.server.answers else self.server.default_answer
        self.server.pushes.append(Push(self.path, headers, body, time.monotonic()))
        self.server.may_answer.wait()
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""
