"""The Publisher service: topics, and publishing to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import (
    DeleteTopicRequest,
    GetTopicRequest,
    ListTopicsRequest,
    ListTopicsResponse,
    ListTopicSubscriptionsRequest,
    ListTopicSubscriptionsResponse,
    PublishRequest,
    PublishResponse,
    Topic,
    UpdateTopicRequest,
)

from local.pubsub.errors import invalid
from local.pubsub.resources import check_name, merge, page
from local.pubsub.rpc import service, unary

if TYPE_CHECKING:
    import grpc

    from local.pubsub.broker import Broker

_IMMUTABLE: Final = frozenset({"name"})


class Publisher:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {
            "CreateTopic": unary(self.create, Topic),
            "GetTopic": unary(self.get, GetTopicRequest),
            "ListTopics": unary(self.list, ListTopicsRequest),
            "UpdateTopic": unary(self.update, UpdateTopicRequest),
            "DeleteTopic": unary(self.delete, DeleteTopicRequest),
            "ListTopicSubscriptions": unary(self.list_subscriptions, ListTopicSubscriptionsRequest),
            "Publish": unary(self.publish, PublishRequest),
        }
        return service("Publisher", methods)

    def create(self, topic: Topic) -> Topic:
        check_name(topic.name, "topics")
        self._broker.add_topic(topic)
        return topic

    def get(self, request: GetTopicRequest) -> Topic:
        return self._broker.require_topic(request.topic)

    def list(self, request: ListTopicsRequest) -> ListTopicsResponse:
        topics = self._broker.topics()
        ours = (name for name in topics if name.startswith(f"{request.project}/"))
        names, token = page(ours, request.page_size, request.page_token)
        return ListTopicsResponse(topics=[topics[name] for name in names], next_page_token=token)

    def update(self, request: UpdateTopicRequest) -> Topic:
        updated = Topic(self._broker.require_topic(request.topic.name))
        merge(request.update_mask, Topic.pb(request.topic), Topic.pb(updated), _IMMUTABLE)
        self._broker.replace_topic(updated)
        return updated

    def delete(self, request: DeleteTopicRequest) -> Empty:
        self._broker.delete_topic(request.topic)
        return Empty()

    def list_subscriptions(self, request: ListTopicSubscriptionsRequest) -> ListTopicSubscriptionsResponse:
        self._broker.require_topic(request.topic)
        found = self._broker.subscriptions().values()
        attached = (subscription.name for subscription in found if subscription.topic == request.topic)
        names, token = page(attached, request.page_size, request.page_token)
        return ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=token)

    def publish(self, request: PublishRequest) -> PublishResponse:
        """All messages of a request are taken, or none."""
        if not request.messages:
            raise invalid("The value for message_count is too small. You must have at least 1 message.")
        if any(not message.data and not message.attributes for message in request.messages):
            raise invalid("Some messages in the batch are empty: each needs data or an attribute.")
        return PublishResponse(message_ids=self._broker.publish(request.topic, request.messages))
