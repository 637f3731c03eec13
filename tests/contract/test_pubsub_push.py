"""Messages that are sent: the forms of a push, what acknowledges it, and what happens when nothing does."""

from __future__ import annotations

import base64
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import DeadLetterPolicy, PubsubMessage, PushConfig, RetryPolicy, Subscription

from local.pubsub import Delivery
from tests.contract.pubsub_support import Receiver

if TYPE_CHECKING:
    from local.pubsub import FakePubSub
    from tests.contract.pubsub_support import Project, Push

pytest_plugins = ["tests.contract.pubsub_fixtures"]

# Long enough for a push that should not come to come.
A_MOMENT = 0.3


def to(receiver: Receiver, path: str = "/push", **fields: Any) -> PushConfig:
    return PushConfig(push_endpoint=receiver.url + path, **fields)


def retries(minimum: float, maximum: float) -> RetryPolicy:
    bounds = [Duration(nanos=int(seconds * 1e9) % 10**9, seconds=int(seconds)) for seconds in (minimum, maximum)]
    return RetryPolicy(minimum_backoff=bounds[0], maximum_backoff=bounds[1])


def gaps(pushes: list[Push]) -> list[float]:
    return [later.arrived_at - earlier.arrived_at for earlier, later in pairwise(pushes)]


def test_a_push_is_wrapped(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config=to(push_receiver, "/path?with=query"))
    [message_id] = pubsub.publish(topic, b"\x00\xff", attributes={"kind": "review"})
    [push] = push_receiver.wait(1)
    message = push.document["message"]
    assert push.path == "/path?with=query"
    assert push.headers["content-type"].startswith("application/json")
    assert push.document["subscription"] == subscription
    assert base64.b64decode(message["data"]) == b"\x00\xff"
    assert message["attributes"] == {"kind": "review"}
    assert message["messageId"] == message["message_id"] == message_id
    assert message["publishTime"] == message["publish_time"]
    assert message["publishTime"].endswith("Z")


# Google's emulator sends an empty string.
@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_without_data_has_no_such_key(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic, push_config=to(push_receiver))
    pubsub.publish(topic, b"", attributes={"kind": "review"})
    [push] = push_receiver.wait(1)
    assert "data" not in push.document["message"]


# Google's emulator leaves it out.
@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_carries_the_ordering_key(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic, push_config=to(push_receiver), enable_message_ordering=True)
    pubsub.publisher.publish(topic=topic, messages=[PubsubMessage(data=b"data", ordering_key="key")])
    [push] = push_receiver.wait(1)
    assert push.document["message"]["orderingKey"] == "key"


# Google's emulator has neither these headers nor the attempt.
@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_to_an_endpoint_of_eventarc_is_a_cloud_event(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    mode = "/?__GCP_CloudEventsMode=CUSTOM_PUBSUB_projects%2Fproject%2Ftopics%2Ftopic"
    pubsub.subscription(topic, push_config=to(push_receiver, mode))
    [message_id] = pubsub.publish(topic, b"data")
    [push] = push_receiver.wait(1)
    assert push.path == mode
    assert push.headers["ce-id"] == message_id
    assert push.headers["ce-source"] == f"//pubsub.googleapis.com/{topic}"
    assert push.headers["ce-specversion"] == "1.0"
    assert push.headers["ce-type"] == "google.cloud.pubsub.topic.v1.messagePublished"
    assert push.headers["ce-time"] == push.document["message"]["publishTime"]


def test_an_unwrapped_push_is_the_data_alone(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    unwrapped = to(push_receiver, no_wrapper=PushConfig.NoWrapper())
    pubsub.subscription(topic, push_config=unwrapped)
    pubsub.publish(topic, "not JSON: \u00e9".encode(), attributes={"kind": "review"})
    [push] = push_receiver.wait(1)
    assert push.body == "not JSON: \u00e9".encode()
    assert "kind" not in push.headers


def test_an_unwrapped_push_has_its_metadata_in_headers(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    unwrapped = to(push_receiver, no_wrapper=PushConfig.NoWrapper(write_metadata=True))
    subscription = pubsub.subscription(topic, push_config=unwrapped)
    [message_id] = pubsub.publish(topic, b"data", attributes={"kind": "review"})
    [push] = push_receiver.wait(1)
    assert push.headers["x-goog-pubsub-subscription-name"] == subscription
    assert push.headers["x-goog-pubsub-message-id"] == message_id
    assert push.headers["x-goog-pubsub-publish-time"].endswith("Z")
    assert push.headers["kind"] == "review"


@pytest.mark.usefixtures("fake_pubsub")
def test_an_attribute_that_cannot_be_a_header_is_left_out(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    unwrapped = to(push_receiver, no_wrapper=PushConfig.NoWrapper(write_metadata=True))
    pubsub.subscription(topic, push_config=unwrapped)
    pubsub.publish(topic, b"data", attributes={"one": "line\r\nfeed", "two words": "2", "three": "fine"})
    [push] = push_receiver.wait(1)
    assert push.headers["three"] == "fine"
    assert not {"one", "two words"} & push.headers.keys()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success_acknowledges(pubsub: Project, push_receiver: Receiver, status: int) -> None:
    topic = pubsub.topic()
    push_receiver.default_answer = status
    pubsub.subscription(topic, push_config=to(push_receiver), retry_policy=retries(0, 0.1))
    pubsub.publish(topic, b"data")
    push_receiver.wait(1)
    time.sleep(A_MOMENT)
    assert len(push_receiver.pushes) == 1


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_anything_else_brings_the_message_again(pubsub: Project, push_receiver: Receiver, status: int) -> None:
    topic = pubsub.topic()
    push_receiver.answers.append(status)
    pubsub.subscription(topic, push_config=to(push_receiver))
    [message_id] = pubsub.publish(topic, b"data")
    pushes = push_receiver.wait(2)
    assert [push.document["message"]["messageId"] for push in pushes] == [message_id, message_id]


# Google's emulator starts from a second, and without a policy stays there.
@pytest.mark.usefixtures("fake_pubsub")
def test_a_failed_push_comes_again_after_a_backoff_that_doubles(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    push_receiver.answers.extend([500, 500, 500])
    pubsub.subscription(topic, push_config=to(push_receiver))
    pubsub.publish(topic, b"data")
    first, second, third = gaps(push_receiver.wait(4))
    assert first >= 0.1
    assert second >= 0.2
    assert third >= 0.4


@pytest.mark.usefixtures("fake_pubsub")
def test_a_retry_policy_bounds_the_backoff(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    push_receiver.answers.extend([500, 500, 500])
    pubsub.subscription(topic, push_config=to(push_receiver), retry_policy=retries(0.2, 0.25))
    pubsub.publish(topic, b"data")
    found = gaps(push_receiver.wait(4))
    assert min(found) >= 0.2
    # Unbounded, it would take 1.4 seconds.
    assert 0.7 <= sum(found) < 1.2


def test_an_endpoint_that_is_not_there_yet_gets_the_message_later(pubsub: Project) -> None:
    topic = pubsub.topic()
    receiver = Receiver()
    config = to(receiver)
    receiver.server_close()
    subscription = pubsub.subscription(topic, push_config=config)
    pubsub.publish(topic, b"data")
    time.sleep(0.1)
    with Receiver() as later:
        pubsub.subscriber.modify_push_config(subscription=subscription, push_config=to(later))
        assert later.wait(1)


def test_a_message_that_fails_too_often_becomes_a_dead_letter(pubsub: Project, push_receiver: Receiver) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    graveyard = pubsub.subscription(dead, "graveyard")
    push_receiver.default_answer = 500
    pubsub.subscription(
        topic,
        push_config=to(push_receiver),
        retry_policy=retries(0, 0.1),
        dead_letter_policy=DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=5),
    )
    pubsub.publish(topic, b"poison", attributes={"kind": "review"})
    [letter] = pubsub.pull_until(graveyard, 1, timeout=20)
    assert len(push_receiver.pushes) == 5
    assert letter.data == b"poison"
    assert letter.attributes["kind"] == "review"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert letter.attributes["CloudPubSubDeadLetterSourceSubscription"] == "subscription"


@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_counts_its_attempts_where_there_is_a_dead_letter_topic(
    pubsub: Project, push_receiver: Receiver
) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    push_receiver.answers.extend([500, 500])
    policy = DeadLetterPolicy(dead_letter_topic=dead)
    pubsub.subscription(topic, push_config=to(push_receiver), dead_letter_policy=policy)
    pubsub.publish(topic, b"data")
    assert [push.document["deliveryAttempt"] for push in push_receiver.wait(3)] == [1, 2, 3]


@pytest.mark.usefixtures("fake_pubsub")
def test_a_message_is_kept_while_its_dead_letter_topic_is_gone(pubsub: Project, push_receiver: Receiver) -> None:
    topic, dead = pubsub.topic(), pubsub.topic("dead")
    push_receiver.default_answer = 500
    policy = DeadLetterPolicy(dead_letter_topic=dead, max_delivery_attempts=5)
    pubsub.subscription(topic, push_config=to(push_receiver), dead_letter_policy=policy, retry_policy=retries(0, 0.01))
    pubsub.publisher.delete_topic(topic=dead)
    pubsub.publish(topic, b"data")
    assert len(push_receiver.wait(7)) >= 7


@pytest.mark.usefixtures("fake_pubsub")
def test_a_push_passes_the_filter(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic, push_config=to(push_receiver), filter='attributes.kind = "review"')
    pubsub.publish(topic, b"not this")
    [message_id] = pubsub.publish(topic, b"this", attributes={"kind": "review"})
    [push] = push_receiver.wait(1)
    assert push.document["message"]["messageId"] == message_id


def test_an_endpoint_can_be_given_later_and_taken_away(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic)
    pubsub.publish(topic, b"waiting")
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config=to(push_receiver))
    push_receiver.wait(1)
    pubsub.subscriber.modify_push_config(subscription=subscription, push_config=PushConfig())
    pubsub.publish(topic, b"asked for")
    assert [message.data for message in pubsub.pull_until(subscription, 1)] == [b"asked for"]
    assert len(push_receiver.pushes) == 1


def test_an_update_moves_the_endpoint(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    subscription = pubsub.subscription(topic, push_config=to(push_receiver, "/old"))
    wanted = Subscription(name=subscription, push_config=to(push_receiver, "/new"))
    mask = FieldMask(paths=["push_config"])
    pubsub.subscriber.update_subscription(subscription=wanted, update_mask=mask)
    pubsub.publish(topic, b"data")
    [push] = push_receiver.wait(1)
    assert push.path == "/new"


# Google's emulator waits for one answer before it sends the next message.
@pytest.mark.usefixtures("fake_pubsub")
def test_slow_pushes_do_not_hold_each_other_up(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    push_receiver.may_answer.clear()
    pubsub.subscription(topic, push_config=to(push_receiver))
    pubsub.publish(topic, b"1", b"2", b"3")
    assert len(push_receiver.wait(3)) == 3


def test_a_deleted_subscription_pushes_no_more(pubsub: Project, push_receiver: Receiver) -> None:
    topic = pubsub.topic()
    push_receiver.default_answer = 500
    subscription = pubsub.subscription(topic, push_config=to(push_receiver))
    pubsub.publish(topic, b"data")
    push_receiver.wait(1)
    pubsub.subscriber.delete_subscription(subscription=subscription)
    time.sleep(0.1)
    before = len(push_receiver.pushes)
    time.sleep(A_MOMENT)
    assert len(push_receiver.pushes) == before


def test_a_duplicate_is_pushed_twice(pubsub: Project, push_receiver: Receiver, fake_pubsub: FakePubSub) -> None:
    topic = pubsub.topic()
    pubsub.subscription(topic, push_config=to(push_receiver))
    fake_pubsub.set_delivery(Delivery(duplicate=1.0))
    [message_id] = pubsub.publish(topic, b"data")
    assert fake_pubsub.drain(5)
    ids = [push.document["message"]["messageId"] for push in push_receiver.pushes]
    assert ids == [message_id, message_id]
