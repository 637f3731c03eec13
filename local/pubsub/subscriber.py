"""The Subscriber service: subscriptions, and taking messages from them."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import (
    AcknowledgeRequest,
    DeleteSubscriptionRequest,
    GetSubscriptionRequest,
    ListSubscriptionsRequest,
    ListSubscriptionsResponse,
    ModifyAckDeadlineRequest,
    ModifyPushConfigRequest,
    PullRequest,
    PullResponse,
    ReceivedMessage,
    StreamingPullRequest,
    StreamingPullResponse,
    Subscription,
    UpdateSubscriptionRequest,
)

from local.pubsub import checks
from local.pubsub.errors import invalid, not_found
from local.pubsub.resources import merge, page
from local.pubsub.rpc import service, stream, unary, unary_in_context

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.pubsub.broker import Broker
    from local.pubsub.message_queue import Lease, MessageQueue

# How long a pull waits for a first message, and how many a stream hands out at once.
_PULL_WAIT: Final = 20.0
_STREAM_BATCH: Final = 100


class Subscriber:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def handler(self) -> grpc.GenericRpcHandler:
        methods = {
            "CreateSubscription": unary(self.create, Subscription),
            "GetSubscription": unary(self.get, GetSubscriptionRequest),
            "ListSubscriptions": unary(self.list, ListSubscriptionsRequest),
            "UpdateSubscription": unary(self.update, UpdateSubscriptionRequest),
            "DeleteSubscription": unary(self.delete, DeleteSubscriptionRequest),
            "ModifyPushConfig": unary(self.modify_push_config, ModifyPushConfigRequest),
            "Pull": unary_in_context(self.pull, PullRequest),
            "Acknowledge": unary(self.acknowledge, AcknowledgeRequest),
            "ModifyAckDeadline": unary(self.modify_ack_deadline, ModifyAckDeadlineRequest),
            "StreamingPull": stream(self.streaming_pull, StreamingPullRequest),
        }
        return service("Subscriber", methods)

    def create(self, subscription: Subscription) -> Subscription:
        checks.complete(subscription)
        self._broker.add_subscription(subscription)
        return subscription

    def get(self, request: GetSubscriptionRequest) -> Subscription:
        return self._broker.require_queue(request.subscription).subscription

    def list(self, request: ListSubscriptionsRequest) -> ListSubscriptionsResponse:
        found = self._broker.subscriptions()
        ours = (name for name in found if name.startswith(f"{request.project}/"))
        names, token = page(ours, request.page_size, request.page_token)
        return ListSubscriptionsResponse(subscriptions=[found[name] for name in names], next_page_token=token)

    def update(self, request: UpdateSubscriptionRequest) -> Subscription:
        updated = Subscription(self._broker.require_queue(request.subscription.name).subscription)
        source, destination = Subscription.pb(request.subscription), Subscription.pb(updated)
        merge(request.update_mask, source, destination, checks.IMMUTABLE)
        checks.complete(updated)
        self._broker.replace_subscription(updated)
        return updated

    def delete(self, request: DeleteSubscriptionRequest) -> Empty:
        self._broker.delete_subscription(request.subscription)
        return Empty()

    def modify_push_config(self, request: ModifyPushConfigRequest) -> Empty:
        updated = Subscription(self._broker.require_queue(request.subscription).subscription)
        updated.push_config = request.push_config
        checks.complete(updated)
        self._broker.replace_subscription(updated)
        return Empty()

    def pull(self, request: PullRequest, context: grpc.ServicerContext) -> PullResponse:
        """Returns up to `max_messages`, at once if any is due; an empty answer when none came for a while."""
        if request.max_messages < 1:
            raise invalid("You have passed in an invalid argument: max_messages must be at least 1.")
        queue = self._broker.require_queue(request.subscription)
        # A caller who hung up must not be given a lease that nobody will settle.
        context.add_callback(queue.wake)
        leases = queue.take(request.max_messages, 0.0 if request.return_immediately else _PULL_WAIT, context.is_active)
        return PullResponse(received_messages=_received(queue, leases))

    def acknowledge(self, request: AcknowledgeRequest) -> Empty:
        queue = self._broker.require_queue(request.subscription)
        for ack_id in request.ack_ids:
            queue.acknowledge(ack_id)
        return Empty()

    def modify_ack_deadline(self, request: ModifyAckDeadlineRequest) -> Empty:
        queue = self._broker.require_queue(request.subscription)
        for ack_id in request.ack_ids:
            queue.extend(ack_id, request.ack_deadline_seconds)
        return Empty()

    def streaming_pull(
        self, requests: Iterator[StreamingPullRequest], context: grpc.ServicerContext
    ) -> Iterator[StreamingPullResponse]:
        """Messages as they come due, until the caller hangs up or the subscription is deleted."""
        first = next(requests, None)
        if first is None:
            return
        queue = self._broker.require_queue(first.subscription)
        context.add_callback(queue.wake)
        threading.Thread(target=_settle_all, args=(queue, requests), name="settle stream", daemon=True).start()
        while context.is_active() and not queue.is_closed:
            leases = queue.take(_STREAM_BATCH, _PULL_WAIT, context.is_active, first.stream_ack_deadline_seconds)
            if leases:
                yield StreamingPullResponse(received_messages=_received(queue, leases))
        if queue.is_closed:
            raise not_found(first.subscription)


def _settle_all(queue: MessageQueue, requests: Iterator[StreamingPullRequest]) -> None:
    # The iterator raises when the caller hangs up, which is how every stream ends.
    with suppress(grpc.RpcError):
        for request in requests:
            for ack_id in request.ack_ids:
                queue.acknowledge(ack_id)
            deadlines = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True)
            for ack_id, seconds in deadlines:
                queue.extend(ack_id, seconds)


def _received(queue: MessageQueue, leases: Iterable[Lease]) -> list[ReceivedMessage]:
    """Returns what the client sees; attempts are counted only for subscriptions with a dead letter topic."""
    is_counting = bool(queue.subscription.dead_letter_policy.dead_letter_topic)
    return [
        ReceivedMessage(
            ack_id=lease.ack_id,
            message=lease.pending.message,
            delivery_attempt=lease.attempt if is_counting else 0,
        )
        for lease in leases
    ]
