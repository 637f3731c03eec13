"""The topic that wakes garbage collection, its subscription and schedule, as terraform/ makes them in the cloud."""

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
from local.programs import SUBSCRIPTION, TOPIC, Ports

# The longest there is: a GC run runs for minutes.
_ACK_SECONDS: Final = 600


class Messages:
    def __init__(self, ports: Ports) -> None:
        self._endpoint = f"http://{HOST}:{ports.gc}/{TOPIC}"
        # Whatever proxy the environment names, this address is on loopback.
        self._channel = grpc.insecure_channel(f"{HOST}:{ports.pubsub}", [("grpc.enable_http_proxy", 0)])
        self._publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))

    def create(self) -> None:
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        subscription = Subscription(
            name=SUBSCRIPTION,
            topic=TOPIC,
            ack_deadline_seconds=_ACK_SECONDS,
            push_config=PushConfig(push_endpoint=self._endpoint),
            retry_policy=RetryPolicy(
                minimum_backoff=timedelta(seconds=10), maximum_backoff=timedelta(seconds=_ACK_SECONDS)
            ),
        )
        # A call that was answered too late is made again by the client, and finds what it made.
        with suppress(AlreadyExists):
            self._publisher.create_topic(name=TOPIC)
        with suppress(AlreadyExists):
            subscriber.create_subscription(subscription)

    def publish(self, data: bytes, attributes: Mapping[str, str]) -> None:
        message = PubsubMessage(data=data, attributes=dict(attributes))
        self._publisher.publish(topic=TOPIC, messages=[message], timeout=5)

    def close(self) -> None:
        self._channel.close()
