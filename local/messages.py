"""The topics that wake functions, their push subscriptions and schedules, as terraform/ makes them in the cloud."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

import grpc
from google.api_core.exceptions import AlreadyExists
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage, PushConfig, RetryPolicy, Subscription

from local.guard import HOST
from local.programs import EVENTS_TOPIC, TOPIC, WORK_TOPIC, Ports

# The longest there is: a run takes minutes.
_ACK_SECONDS: Final = 600


def woken(ports: Ports) -> dict[str, int]:
    """Tells where the messages of each topic go."""
    return {TOPIC: ports.gc, WORK_TOPIC: ports.work, EVENTS_TOPIC: ports.deliver}


class Messages:
    def __init__(self, ports: Ports) -> None:
        self._endpoints = {topic: f"http://{HOST}:{port}/{topic}" for topic, port in woken(ports).items()}
        # Whatever proxy the environment names, this address is on loopback.
        self._channel = grpc.insecure_channel(f"{HOST}:{ports.pubsub}", [("grpc.enable_http_proxy", 0)])
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))

    def create(self) -> None:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        for topic, endpoint in self._endpoints.items():
            subscription = Subscription(
                name=topic.replace("/topics/", "/subscriptions/"),
                topic=topic,
                ack_deadline_seconds=_ACK_SECONDS,
                push_config=PushConfig(push_endpoint=endpoint),
                retry_policy=RetryPolicy(
                    minimum_backoff=timedelta(seconds=10), maximum_backoff=timedelta(seconds=_ACK_SECONDS)
                ),
            )
            # A call that was answered too late is made again by the client, and finds what it made.
            with suppress(AlreadyExists):
                self._publisher.create_topic(name=topic)
            with suppress(AlreadyExists):
                subscriber.create_subscription(subscription)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        message = PubsubMessage(data=data, attributes=dict(attributes))
        self._publisher.publish(topic=topic, messages=[message], timeout=5)

    def close(self) -> None:
        self._channel.close()
