"""Topics and subscriptions: made, found, changed, deleted, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
    OutOfRange,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import (
    DeadLetterPolicy,
    ListSubscriptionsRequest,
    ListTopicsRequest,
    PubsubMessage,
    PushConfig,
    Subscription,
    Topic,
)

if TYPE_CHECKING:
    from tests.contract.pubsub_support import Project

pytest_plugins = ["tests.contract.pubsub_fixtures"]


def test_a_topic_is_found_once_it_is_created(pubsub: Project) -> None:
    topic = pubsub.topic()
    assert pubsub.publisher.get_topic(topic=topic).name == topic


def test_a_topic_cannot_be_created_twice(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(AlreadyExists):
        pubsub.publisher.create_topic(name=topic)


@pytest.mark.parametrize("name", ["ab", "1st", "a b", "goog-topic"])
def test_a_topic_with_a_malformed_name_is_refused(pubsub: Project, name: str) -> None:
    with pytest.raises(InvalidArgument):
        pubsub.topic(name)


def test_a_subscription_with_a_malformed_name_is_refused(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.subscription(topic, "ab")


def test_topics_are_listed_by_project(pubsub: Project) -> None:
    topics = [pubsub.topic("one"), pubsub.topic("two")]
    listed = [topic.name for topic in pubsub.publisher.list_topics(project=f"projects/{pubsub.name}")]
    assert sorted(listed) == topics


def test_listings_come_in_pages(pubsub: Project) -> None:
    topics = [pubsub.topic(f"topic-{number}") for number in range(3)]
    request = ListTopicsRequest(project=f"projects/{pubsub.name}", page_size=2)
    pages = [list(page.topics) for page in pubsub.publisher.list_topics(request=request).pages]
    assert [len(page) for page in pages] == [2, 1]
    assert sorted(topic.name for page in pages for topic in page) == topics


def test_subscriptions_come_in_pages(pubsub: Project) -> None:
    topic = pubsub.topic()
    names = [pubsub.subscription(topic, f"subscription-{number}") for number in range(3)]
    request = ListSubscriptionsRequest(project=f"projects/{pubsub.name}", page_size=2)
    listed = [found.name for found in pubsub.subscriber.list_subscriptions(request=request)]
    assert sorted(listed) == names


def test_a_topic_names_its_subscriptions_and_no_others(pubsub: Project) -> None:
    topic, other = pubsub.topic(), pubsub.topic("other")
    attached = [pubsub.subscription(topic, "one"), pubsub.subscription(topic, "two")]
    pubsub.subscription(other, "three")
    assert sorted(pubsub.publisher.list_topic_subscriptions(topic=topic)) == attached


def test_a_topic_takes_a_new_retention(pubsub: Project) -> None:
    retention = Duration(seconds=600)
    wanted = Topic(name=pubsub.topic(), message_retention_duration=retention)
    mask = FieldMask(paths=["message_retention_duration"])
    pubsub.publisher.update_topic(topic=wanted, update_mask=mask)
    assert pubsub.publisher.get_topic(topic=wanted.name) == wanted


def test_a_deleted_topic_is_gone(pubsub: Project) -> None:
    topic = pubsub.topic()
    pubsub.publisher.delete_topic(topic=topic)
    with pytest.raises(NotFound):
        pubsub.publisher.get_topic(topic=topic)


def test_a_subscription_outlives_its_topic(pubsub: Project) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"before")
    pubsub.publisher.delete_topic(topic=topic)
    pubsub.topic()
    pubsub.publish(topic, b"to a new topic of the same name")
    assert pubsub.subscriber.get_subscription(subscription=subscription).topic == "_deleted-topic_"
    assert [message.data for message in pubsub.pull_and_acknowledge(subscription)] == [b"before"]


def test_publishing_to_a_topic_that_is_not_there_is_refused(pubsub: Project) -> None:
    with pytest.raises(NotFound):
        pubsub.publish(f"projects/{pubsub.name}/topics/nowhere", b"data")


def test_an_empty_message_is_refused(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.publisher.publish(topic=topic, messages=[PubsubMessage(data=b"full"), PubsubMessage()])


def test_publishing_no_message_is_refused(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.publish(topic)


def test_a_subscription_is_created_with_the_default_deadline(pubsub: Project) -> None:
    subscription = pubsub.subscription(pubsub.topic())
    assert pubsub.subscriber.get_subscription(subscription=subscription).ack_deadline_seconds == 10


def test_a_subscription_cannot_be_created_twice(pubsub: Project) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic)
    with pytest.raises(AlreadyExists):
        pubsub.subscription(topic)


def test_a_subscription_needs_its_topic(pubsub: Project) -> None:
    with pytest.raises(NotFound):
        pubsub.subscription(f"projects/{pubsub.name}/topics/nowhere")


def test_an_ack_deadline_that_is_too_long_is_refused(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.subscription(topic, ack_deadline_seconds=601)


# Google's emulator, unlike the service, takes it.
@pytest.mark.usefixtures("fake_pubsub")
def test_an_ack_deadline_that_is_too_short_is_refused(pubsub: Project) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.subscription(topic, ack_deadline_seconds=9)


@pytest.mark.parametrize("attempts", [4, 101])
def test_a_number_of_attempts_out_of_bounds_is_refused(pubsub: Project, attempts: int) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    policy = DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=attempts)
    with pytest.raises(OutOfRange):
        pubsub.subscription(topic, dead_letter_policy=policy)


def test_a_dead_letter_topic_must_be_there(pubsub: Project) -> None:
    topic = pubsub.topic()
    policy = DeadLetterPolicy(dead_letter_topic=f"projects/{pubsub.name}/topics/nowhere")
    with pytest.raises(NotFound):
        pubsub.subscription(topic, dead_letter_policy=policy)


def test_an_update_changes_the_masked_fields_alone(pubsub: Project) -> None:
    subscription = pubsub.subscription(pubsub.topic(), labels={"kept": "yes"})
    wanted = Subscription(name=subscription, ack_deadline_seconds=30, labels={"kept": "no"})
    mask = FieldMask(paths=["ack_deadline_seconds"])
    pubsub.subscriber.update_subscription(subscription=wanted, update_mask=mask)
    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert found.ack_deadline_seconds == 30
    assert dict(found.labels) == {"kept": "yes"}


@pytest.mark.parametrize("paths", [[], ["topic"], ["no_such_field"]])
def test_an_update_of_what_cannot_change_is_refused(pubsub: Project, paths: list[str]) -> None:
    subscription = Subscription(name=pubsub.subscription(pubsub.topic()), ack_deadline_seconds=30)
    with pytest.raises(InvalidArgument):
        pubsub.subscriber.update_subscription(subscription=subscription, update_mask=FieldMask(paths=paths))


def test_a_deleted_subscription_is_gone(pubsub: Project) -> None:
    subscription = pubsub.subscription(pubsub.topic())
    pubsub.subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        pubsub.subscriber.get_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        pubsub.pull(subscription)


@pytest.mark.parametrize(
    "url",
    [
        "http://registry.example/push",
        "https://127.0.0.1/push",
        "http://10.0.0.1/push",
        "http://127.0.0.1.example/push",
        "http://127.0.0.1@10.0.0.1/push",
        "http://127.0.0.1:port/push",
        "http://127.0.0.1/a b",
        "ftp://localhost/push",
        "nonsense",
    ],
)
@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_endpoint_that_is_not_on_loopback_is_refused(pubsub: Project, url: str) -> None:
    topic = pubsub.topic()
    with pytest.raises(InvalidArgument):
        pubsub.subscription(topic, push_config=PushConfig(push_endpoint=url))
    subscription = pubsub.subscription(topic)
    with pytest.raises(InvalidArgument):
        pubsub.subscriber.modify_push_config(subscription=subscription, push_config=PushConfig(push_endpoint=url))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_a_push_endpoint_on_loopback_is_taken(pubsub: Project, host: str) -> None:
    config = PushConfig(push_endpoint=f"http://{host}:9/push")
    subscription = pubsub.subscription(pubsub.topic(), push_config=config)
    found = pubsub.subscriber.get_subscription(subscription=subscription)
    assert found.push_config.push_endpoint == config.push_endpoint


@pytest.mark.usefixtures("fake_pubsub")
def test_what_the_fake_leaves_out_is_unimplemented(pubsub: Project) -> None:
    with pytest.raises(MethodNotImplemented):
        pubsub.subscriber.seek(request={"subscription": pubsub.subscription(pubsub.topic())})
