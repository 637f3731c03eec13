"""Messages that are asked for: pull, acknowledge, deadlines, filters, dead letters, streams."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import DeadLetterPolicy, PubsubMessage, RetryPolicy, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.pubsub_v1.subscriber.message import Message

    from tests.contract.pubsub_support import Project, Target

pytest_plugins = ["tests.contract.pubsub_fixtures"]

# Long enough for a message that should not come to come.
A_MOMENT = 0.3


def test_a_message_arrives_as_it_was_published(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    sent = PubsubMessage(data=b"\x00\xff", attributes={"kind": "review"}, ordering_key="key")
    [message_id] = pubsub.publisher.publish(topic=topic, messages=[sent]).message_ids
    [message] = pubsub.pull_and_acknowledge(subscription)
    assert (message.data, dict(message.attributes), message.ordering_key) == (
        b"\x00\xff",
        {"kind": "review"},
        "key",
    )
    assert message.message_id == message_id
    # The type says Timestamp; what the client gives out is a datetime.
    assert message.publish_time.timestamp() == pytest.approx(time.time(), abs=60)  # type: ignore[attr-defined]


def test_every_subscription_gets_its_own_copy(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscriptions = [pubsub.subscription(topic, name) for name in ("one", "two")]
    pubsub.publish(topic, b"data")
    for subscription in subscriptions:
        assert [message.data for message in pubsub.pull_and_acknowledge(subscription)] == [b"data"]


def test_messages_from_before_the_subscription_do_not_come(pubsub: Project) -> None:
    topic = pubsub.topic()
    pubsub.publish(topic, b"before")
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"after")
    assert [message.data for message in pubsub.pull_and_acknowledge(subscription)] == [b"after"]


def test_a_pull_waits_for_a_message(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    with ThreadPoolExecutor(1) as threads:
        pulled = threads.submit(pubsub.pull, subscription)
        time.sleep(0.1)
        pubsub.publish(topic, b"late")
        assert [received.message.data for received in pulled.result()] == [b"late"]


def test_a_pull_that_was_given_up_takes_nothing(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    assert pubsub.pull(subscription, timeout=0.1) == []
    pubsub.publish(topic, b"data")
    assert len(pubsub.pull_and_acknowledge(subscription)) == 1


def test_a_pull_gives_no_more_than_it_was_asked_for(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"1", b"2", b"3")
    first = pubsub.subscriber.pull(subscription=subscription, max_messages=2)
    assert len(first.received_messages) <= 2


def test_a_pull_for_no_message_is_refused(pubsub: Project) -> None:
    subscription = pubsub.subscription(pubsub.topic())
    with pytest.raises(InvalidArgument):
        pubsub.subscriber.pull(subscription=subscription, max_messages=0)


def test_an_acknowledged_message_does_not_come_again(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"data")
    assert pubsub.pull_and_acknowledge(subscription)
    assert pubsub.pull(subscription, A_MOMENT) == []


def test_a_leased_message_is_nobody_elses(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"data")
    assert pubsub.pull(subscription)
    assert pubsub.pull(subscription, A_MOMENT) == []


def test_a_deadline_of_zero_gives_the_message_back(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"data")
    [first] = pubsub.pull(subscription)
    pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0)
    [again] = pubsub.pull(subscription)
    assert again.message.message_id == first.message.message_id


def test_a_message_whose_deadline_passes_comes_again_and_its_old_lease_is_void(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"data")
    [first] = pubsub.pull(subscription)
    pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[first.ack_id], ack_deadline_seconds=1)
    assert pubsub.pull(subscription, timeout=0.5) == []
    [again] = pubsub.pull(subscription)
    assert again.message.message_id == first.message.message_id


def test_a_longer_deadline_keeps_the_message(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"data")
    [lease] = pubsub.pull(subscription)
    for seconds in (1, 60):
        pubsub.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[lease.ack_id], ack_deadline_seconds=seconds
        )
    assert pubsub.pull(subscription, timeout=1.3) == []


# Google's emulator, unlike the service, redelivers at once after the first return.
@pytest.mark.usefixtures("fake_pubsub")
def test_a_retry_policy_holds_a_returned_message_back(pubsub: Project) -> None:
    topic = pubsub.topic()
    policy = RetryPolicy(minimum_backoff=Duration(seconds=1), maximum_backoff=Duration(seconds=1))
    subscription = pubsub.subscription(topic, retry_policy=policy)
    pubsub.publish(topic, b"data")
    [lease] = pubsub.pull(subscription)
    pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[lease.ack_id], ack_deadline_seconds=0)
    assert pubsub.pull(subscription, timeout=0.5) == []
    assert len(pubsub.pull(subscription)) == 1


def test_a_message_returned_too_often_becomes_a_dead_letter(pubsub: Project) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    graveyard = pubsub.subscription(dead, "graveyard")
    policy = DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=5)
    subscription = pubsub.subscription(topic, dead_letter_policy=policy)
    pubsub.publish(topic, b"poison", attributes={"kind": "review"})
    for attempt in range(1, 6):
        [lease] = pubsub.pull(subscription)
        assert lease.delivery_attempt == attempt
        pubsub.subscriber.modify_ack_deadline(subscription=subscription, ack_ids=[lease.ack_id], ack_deadline_seconds=0)
    assert pubsub.pull(subscription, A_MOMENT) == []
    [letter] = pubsub.pull_and_acknowledge(graveyard)
    assert letter.data == b"poison"
    assert letter.attributes["kind"] == "review"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert letter.attributes["CloudPubSubDeadLetterSourceSubscription"] == "subscription"
    assert letter.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == pubsub.name
    assert letter.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"].startswith("20")


FILTERS = {
    "attributes:kind": ["review", "hint"],
    'attributes."kind" = "review"': ["review"],
    'attributes.kind="review"': ["review"],
    'attributes.kind != "review"': ["hint", "none"],
    'NOT attributes.kind = "review"': ["hint", "none"],
    "-attributes:kind": ["none"],
    'hasPrefix(attributes.kind, "hi")': ["hint"],
    'attributes:kind AND NOT hasPrefix(attributes.kind, "hi")': ["review"],
    'attributes.text = "this AND that"': ["none"],
    r'attributes.quote = "\"\\"': ["none"],
}


# Google's emulator, unlike the service, ignores filters.
@pytest.mark.usefixtures("fake_pubsub")
@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_lets_through_what_it_says(pubsub: Project, text: str) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, filter=text)
    pubsub.publish(topic, b"review", attributes={"kind": "review"})
    pubsub.publish(topic, b"hint", attributes={"kind": "hint"})
    pubsub.publish(topic, b"none", attributes={"text": "this AND that", "quote": '"\\'})
    expected = FILTERS[text]
    messages = pubsub.pull_until(subscription, len(expected))
    assert sorted(message.data.decode() for message in messages) == sorted(expected)


@pytest.mark.usefixtures("fake_pubsub")
@pytest.mark.parametrize("text", ["kind = review", "attributes.kind =", "attributes:kind AND ", "nonsense"])
def test_a_filter_outside_the_language_is_refused(pubsub: Project, text: str) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.subscription(topic, filter=text)


def test_a_filter_cannot_be_changed(pubsub: Project) -> None:
    subscription = Subscription(name=pubsub.subscription(pubsub.topic()), filter="attributes:kind")
    with pytest.raises(InvalidArgument):
        pubsub.subscriber.update_subscription(subscription=subscription, update_mask=FieldMask(paths=["filter"]))


@pytest.fixture
def streams(pubsub_target: Target) -> Iterator[SubscriberClient]:
    """The client that most programs use, with threads and streams of its own."""
    assert pubsub_target.address
    with SubscriberClient() as client:
        yield client


def test_a_stream_delivers_and_acknowledges(pubsub: Project, streams: SubscriberClient) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    received: SimpleQueue[bytes] = SimpleQueue()

    def acknowledge(message: Message) -> None:
        message.ack_with_response().result(5)
        received.put(message.data)

    stream = streams.subscribe(subscription, acknowledge)
    contents = {b"%d" % number for number in range(20)}
    pubsub.publish(topic, *contents)
    assert {received.get(timeout=5) for _ in contents} == contents
    stream.cancel()
    stream.result()
    assert pubsub.pull(subscription, A_MOMENT) == []


def test_a_message_returned_on_a_stream_comes_again(pubsub: Project, streams: SubscriberClient) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    received: SimpleQueue[str] = SimpleQueue()
    seen: set[str] = set()

    def return_once(message: Message) -> None:
        if message.message_id in seen:
            message.ack()
        else:
            seen.add(message.message_id)
            message.nack()
        received.put(message.message_id)

    stream = streams.subscribe(subscription, return_once)
    [message_id] = pubsub.publish(topic, b"data")
    assert [received.get(timeout=5) for _ in range(2)] == [message_id, message_id]
    stream.cancel()
    stream.result()


def test_a_stream_of_a_subscription_that_is_not_there_fails(pubsub: Project, streams: SubscriberClient) -> None:
    stream = streams.subscribe(f"projects/{pubsub.name}/subscriptions/nowhere", print)
    with pytest.raises(NotFound):
        stream.result(5)


def test_a_stream_ends_with_its_subscription(pubsub: Project, streams: SubscriberClient) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    received: SimpleQueue[bytes] = SimpleQueue()

    def acknowledge(message: Message) -> None:
        message.ack()
        received.put(message.data)

    stream = streams.subscribe(subscription, acknowledge)
    pubsub.publish(topic, b"the stream stands")
    assert received.get(timeout=5)
    pubsub.subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        stream.result(5)


def test_the_batching_publisher_keeps_the_order_of_a_key(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, enable_message_ordering=True)
    client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
    with client:
        futures = [client.publish(topic, b"%d" % number, ordering_key="key") for number in range(3)]
        ids = [future.result(5) for future in futures]
        client.stop()
    messages = pubsub.pull_until(subscription, 3)
    assert [message.message_id for message in messages] == ids
