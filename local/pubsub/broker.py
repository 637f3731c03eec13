"""What there is: topics, subscriptions with their queues, and the way messages take between them."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Final

from google.pubsub_v1.types import PubsubMessage, Subscription, Topic

from local.pubsub.delivery import Delivery, Dice
from local.pubsub.envelope import publish_time
from local.pubsub.errors import already_exists, not_found
from local.pubsub.message_queue import MessageQueue
from local.pubsub.push import Pusher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.pubsub.message_queue import Pending

_DELETED_TOPIC: Final = "_deleted-topic_"


class Broker:
    """The state behind both services. One lock guards all of it: a fake has to be right before it is fast,
    and `drain` must see every queue at the same instant.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._topics: dict[str, Topic] = {}
        self._queues: dict[str, MessageQueue] = {}
        self._pushers: dict[str, Pusher] = {}
        self._ids = itertools.count(1)
        self._delivery = Delivery()

    def topics(self) -> dict[str, Topic]:
        with self._lock:
            return dict(self._topics)

    def subscriptions(self) -> dict[str, Subscription]:
        with self._lock:
            return {name: queue.subscription for name, queue in self._queues.items()}

    def require_topic(self, name: str) -> Topic:
        with self._lock:
            if name not in self._topics:
                raise not_found(name)
            return self._topics[name]

    def require_queue(self, subscription: str) -> MessageQueue:
        with self._lock:
            if subscription not in self._queues:
                raise not_found(subscription)
            return self._queues[subscription]

    def add_topic(self, topic: Topic) -> None:
        with self._lock:
            if topic.name in self._topics:
                raise already_exists(topic.name)
            self._topics[topic.name] = topic

    def replace_topic(self, topic: Topic) -> None:
        with self._lock:
            self.require_topic(topic.name)
            self._topics[topic.name] = topic

    def delete_topic(self, name: str) -> None:
        """Its subscriptions stay, with what they hold, and never get anything more."""
        with self._lock:
            self.require_topic(name)
            del self._topics[name]
            for queue in self._queues.values():
                if queue.subscription.topic == name:
                    orphan = Subscription(queue.subscription)
                    orphan.topic = _DELETED_TOPIC
                    queue.reconfigure(orphan)

    def add_subscription(self, subscription: Subscription) -> None:
        name = subscription.name
        with self._lock:
            if name in self._queues:
                raise already_exists(name)
            self.require_topic(subscription.topic)
            if grave := subscription.dead_letter_policy.dead_letter_topic:
                self.require_topic(grave)
            dice = Dice(self._delivery, name)
            queue = MessageQueue(subscription, self._lock, dice, self._settled.notify_all, self._bury)
            self._queues[name] = queue
            self._pushers[name] = Pusher(queue)
            self._pushers[name].start()

    def replace_subscription(self, subscription: Subscription) -> None:
        with self._lock:
            self.require_queue(subscription.name).reconfigure(subscription)
            self._pushers[subscription.name].start()

    def delete_subscription(self, name: str) -> None:
        with self._lock:
            self.require_queue(name).close()
            del self._queues[name]
            pusher = self._pushers.pop(name)
            self._settled.notify_all()
        # Outside the lock: the workers that this waits for need it to finish.
        pusher.stop()

    def publish(self, topic: str, messages: Iterable[PubsubMessage]) -> list[str]:
        """Give each message its id and time, and a place in the queue of every subscription."""
        with self._lock:
            self.require_topic(topic)
            return [self._route(topic, message) for message in messages]

    def set_delivery(self, delivery: Delivery) -> None:
        """Turn the knobs for every message published from now on, with fresh dice."""
        with self._lock:
            self._delivery = delivery
            for name, queue in self._queues.items():
                queue.dice = Dice(delivery, name)

    def drain(self, timeout: float) -> bool:
        """Wait until every queue is idle; False if one is not by then."""
        with self._lock:
            return self._settled.wait_for(self._is_idle, timeout)

    def close(self) -> None:
        for name in self.subscriptions():
            self.delete_subscription(name)

    def _is_idle(self) -> bool:
        return all(queue.is_idle for queue in self._queues.values())

    def _route(self, topic: str, message: PubsubMessage) -> str:
        message.message_id = str(next(self._ids))
        PubsubMessage.pb(message).publish_time.GetCurrentTime()
        for queue in self._queues.values():
            if queue.subscription.topic == topic:
                queue.put(message)
        return message.message_id

    def _bury(self, subscription: Subscription, pending: Pending) -> bool:
        """Publish an exhausted message to the dead letter topic; False if that topic is gone."""
        grave = subscription.dead_letter_policy.dead_letter_topic
        if grave not in self._topics:
            return False
        _, project, _, short_name = subscription.name.split("/")
        prefix = "CloudPubSubDeadLetterSource"
        attributes = {
            **pending.message.attributes,
            f"{prefix}DeliveryCount": str(pending.failures),
            f"{prefix}Subscription": short_name,
            f"{prefix}SubscriptionProject": project,
            f"{prefix}TopicPublishTime": publish_time(pending.message),
        }
        self._route(grave, PubsubMessage(data=pending.message.data, attributes=attributes))
        return True
