"""The fake starts and ends cleanly, within this process and as its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PushConfig, StreamingPullRequest

from local.pubsub import FakePubSub
from tests.contract.pubsub_support import Project, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.contract.pubsub_fixtures"]


@pytest.fixture
def fake() -> FakePubSub:
    """One of its own: these tests stop it."""
    return FakePubSub()


@pytest.fixture
def project(fake: FakePubSub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", fake.address)
    credentials = AnonymousCredentials()
    with (
        PublisherClient(credentials=credentials) as publisher,
        SubscriberClient(credentials=credentials) as subscriber,
    ):
        yield Project("project", publisher, subscriber)


def fake_threads() -> set[str]:
    """Those left after a moment: one that was told to end need not have had its turn yet."""
    deadline = time.monotonic() + 60
    while True:
        names = {thread.name for thread in threading.enumerate()}
        left = {name for name in names if name.startswith(("pubsub", "push", "settle"))}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


# Whoever is under way here would take ten seconds; a busy machine takes some of its own.
SOON = 30


def seconds_to_stop(fake: FakePubSub) -> float:
    start = time.monotonic()
    fake.stop()
    return time.monotonic() - start


def test_the_kernel_chooses_a_port(fake: FakePubSub) -> None:
    with fake:
        assert fake.port > 0
        assert fake.address == f"127.0.0.1:{fake.port}"


def test_a_port_in_use_is_refused(fake: FakePubSub) -> None:
    with fake, pytest.raises(RuntimeError):
        FakePubSub(port=fake.port)


def test_stopping_waits_for_nobody(fake: FakePubSub, project: Project, push_receiver: Receiver) -> None:
    """A slow function, a failing one, a waiting pull and an idle subscription are all under way."""
    fake.start()
    topic = project.topic()
    pulled = project.subscription(project.topic("silent"), "pulled")
    project.subscription(topic, "slow", push_config=PushConfig(push_endpoint=push_receiver.url))
    project.subscription(topic, "failing", push_config=PushConfig(push_endpoint="http://127.0.0.1:9"))
    push_receiver.may_answer.clear()
    project.publish(topic, b"data")
    push_receiver.wait(1)
    waiting = threading.Thread(target=pull_until_refused, args=(project, pulled))
    waiting.start()
    time.sleep(0.1)
    assert seconds_to_stop(fake) < SOON
    waiting.join()
    assert fake_threads() == set()


def pull_until_refused(project: Project, subscription: str) -> None:
    request = {"subscription": subscription, "max_messages": 1}
    # The generated client would try again, on a server that is gone.
    with pytest.raises(Exception, match=r"[Uu]navailable|[Cc]ancel"):
        project.subscriber.pull(request=request, retry=None, timeout=10)


def test_stopping_ends_streams(fake: FakePubSub, project: Project) -> None:
    fake.start()
    subscription = project.subscription(project.topic())
    with grpc.insecure_channel(fake.address) as channel:
        call: grpc.StreamStreamMultiCallable[bytes, bytes]
        call = channel.stream_stream("/google.pubsub.v1.Subscriber/StreamingPull")
        first = StreamingPullRequest(subscription=subscription, stream_ack_deadline_seconds=10)
        hang_up = threading.Event()

        def requests() -> Iterator[bytes]:
            yield StreamingPullRequest.serialize(first)
            hang_up.wait(10)

        responses = call(requests())
        project.publish(project.topics[0], b"the stream stands")
        assert b"the stream stands" in next(responses)
        assert seconds_to_stop(fake) < SOON
        hang_up.set()
        with pytest.raises(grpc.RpcError):
            next(responses)
    assert fake_threads() == set()


def test_what_was_never_started_can_be_stopped(fake: FakePubSub) -> None:
    fake.stop()
    assert fake_threads() == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_says_when_it_is_ready_and_ends_when_told(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "local.pubsub", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready, address = process.stdout.readline().split()
        assert ready == "ready"
        host, port = address.split(":")
        socket.create_connection((host, int(port))).close()
        start = time.monotonic()
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, output, errors) == (0, "", "")
        assert time.monotonic() - start < SOON
