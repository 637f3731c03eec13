"""The fake's knobs: at-least-once delivery made visible, and waiting until it is over."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.types import DeadLetterPolicy, PushConfig, RetryPolicy

from local.pubsub import Delivery, FakePubSub

if TYPE_CHECKING:
    from tests.contract.pubsub_support import Project, Receiver

pytest_plugins = ["tests.contract.pubsub_fixtures"]

CONTENTS = [b"%d" % number for number in range(40)]
ALL_HELD = 0.1


def deliver(pubsub: Project, fake: FakePubSub, delivery: Delivery) -> list[bytes]:
    """What comes of CONTENTS, in the order it comes."""
    topic = f"projects/{pubsub.name}/topics/topic"
    subscription = f"projects/{pubsub.name}/subscriptions/subscription"
    fake.set_delivery(delivery)
    pubsub.publish(topic, *CONTENTS)
    time.sleep(ALL_HELD)
    received: list[bytes] = []
    while not fake.drain(0):
        received += [message.data for message in pubsub.pull_and_acknowledge(subscription)]
    return received


@pytest.fixture
def ready(pubsub: Project) -> Project:
    pubsub.subscription(pubsub.topic())
    return pubsub


def test_without_knobs_everything_comes_once_and_in_order(ready: Project, fake_pubsub: FakePubSub) -> None:
    assert deliver(ready, fake_pubsub, Delivery()) == CONTENTS


def test_some_messages_come_twice(ready: Project, fake_pubsub: FakePubSub) -> None:
    received = deliver(ready, fake_pubsub, Delivery(duplicate=0.3))
    assert set(received) == set(CONTENTS)
    assert len(CONTENTS) < len(received) < 2 * len(CONTENTS)


def test_a_duplicate_has_the_same_id(ready: Project, fake_pubsub: FakePubSub) -> None:
    fake_pubsub.set_delivery(Delivery(duplicate=1.0))
    [message_id] = ready.publish(ready.topics[0], b"data")
    messages = ready.pull_until(ready.subscriptions[0], 2)
    assert [message.message_id for message in messages] == [message_id, message_id]


def test_some_messages_overtake_others(ready: Project, fake_pubsub: FakePubSub) -> None:
    received = deliver(ready, fake_pubsub, Delivery(reorder=0.5))
    assert received != CONTENTS
    assert sorted(received) == sorted(CONTENTS)


def test_some_messages_are_lost(ready: Project, fake_pubsub: FakePubSub) -> None:
    received = deliver(ready, fake_pubsub, Delivery(drop=0.3))
    assert 0 < len(received) < len(CONTENTS)
    assert received == [data for data in CONTENTS if data in received]


def test_the_same_seed_gives_the_same_fates(ready: Project, fake_pubsub: FakePubSub) -> None:
    unreliable = Delivery(duplicate=0.3, reorder=0.3, drop=0.3, seed=7)
    first, second = (sorted(deliver(ready, fake_pubsub, unreliable)) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_fates(ready: Project, fake_pubsub: FakePubSub) -> None:
    first, second = (deliver(ready, fake_pubsub, Delivery(drop=0.5, seed=seed)) for seed in (1, 2))
    assert first != second


def test_turning_one_knob_leaves_the_others_alone(ready: Project, fake_pubsub: FakePubSub) -> None:
    alone = deliver(ready, fake_pubsub, Delivery(drop=0.3))
    together = deliver(ready, fake_pubsub, Delivery(drop=0.3, duplicate=0.5))
    assert set(alone) == set(together)


def test_each_subscription_has_its_own_luck(ready: Project, fake_pubsub: FakePubSub) -> None:
    other = ready.subscription(ready.topics[0], "other")
    received = deliver_to_both(ready, fake_pubsub, [ready.subscriptions[0], other])
    assert received[0] != received[1]


def deliver_to_both(pubsub: Project, fake: FakePubSub, subscriptions: list[str]) -> list[list[bytes]]:
    fake.set_delivery(Delivery(drop=0.5))
    pubsub.publish(pubsub.topics[0], *CONTENTS)
    return [[message.data for message in pubsub.pull_and_acknowledge(name)] for name in subscriptions]


@pytest.mark.parametrize("knob", ["duplicate", "reorder", "drop"])
@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_a_chance_that_is_none_is_refused(knob: str, chance: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Delivery(**{knob: chance})  # type: ignore[arg-type]


def test_a_queue_without_messages_is_drained(ready: Project, fake_pubsub: FakePubSub) -> None:
    assert ready.subscriptions
    assert fake_pubsub.drain(0)


def test_a_message_that_is_due_or_leased_is_not_drained(ready: Project, fake_pubsub: FakePubSub) -> None:
    ready.publish(ready.topics[0], b"data")
    assert not fake_pubsub.drain(0)
    [lease] = ready.pull(ready.subscriptions[0])
    assert not fake_pubsub.drain(0.05)
    ready.subscriber.acknowledge(subscription=ready.subscriptions[0], ack_ids=[lease.ack_id])
    assert fake_pubsub.drain(0)


def test_draining_waits_for_pushes_their_retries_and_dead_letters(
    pubsub: Project, fake_pubsub: FakePubSub, push_receiver: Receiver
) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    no_wait = RetryPolicy(minimum_backoff=Duration(), maximum_backoff=Duration())
    pubsub.subscription(
        topic,
        push_config=PushConfig(push_endpoint=f"{push_receiver.url}/living"),
        retry_policy=no_wait,
        dead_letter_policy=DeadLetterPolicy(dead_letter_topic=dead),
    )
    pubsub.subscription(dead, "graveyard", push_config=PushConfig(push_endpoint=f"{push_receiver.url}/dead"))
    push_receiver.answers.extend([500] * 5)
    pubsub.publish(topic, b"data")
    assert fake_pubsub.drain(5)
    assert [push.path for push in push_receiver.pushes] == ["/living"] * 5 + ["/dead"]


def test_draining_sees_the_message_that_a_delivery_publishes(
    pubsub: Project, fake_pubsub: FakePubSub, push_receiver: Receiver
) -> None:
    topic, following = pubsub.topic(), pubsub.topic("following")
    for name, source in (("one", topic), ("two", following)):
        pubsub.subscription(source, name, push_config=PushConfig(push_endpoint=f"{push_receiver.url}/{name}"))
    push_receiver.may_answer.clear()

    def publish_before_answering() -> None:
        push_receiver.wait(1)
        pubsub.publish(following, b"next")
        push_receiver.may_answer.set()

    function = threading.Thread(target=publish_before_answering)
    function.start()
    pubsub.publish(topic, b"first")
    assert fake_pubsub.drain(5)
    function.join()
    assert [push.path for push in push_receiver.pushes] == ["/one", "/two"]


def test_deleting_what_is_not_read_lets_the_rest_drain(ready: Project, fake_pubsub: FakePubSub) -> None:
    ready.publish(ready.topics[0], b"data")
    ready.subscriber.delete_subscription(subscription=ready.subscriptions[0])
    assert fake_pubsub.drain(0)
