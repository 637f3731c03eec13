"""The request a push endpoint gets: wrapped, as Eventarc sends it, or unwrapped."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.pubsub_v1.types import PubsubMessage, Subscription

# Eventarc's own push subscriptions ask for CloudEvents by this query of their endpoint.
_CLOUD_EVENTS_QUERY: Final = "__GCP_CloudEventsMode=CUSTOM_PUBSUB_"
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_AGENT: Final = {"User-Agent": "CloudPubSub-Google", "From": "noreply@google.com"}


@dataclass(frozen=True, slots=True)
class PushRequest:
    headers: dict[str, str]
    body: bytes


def render(subscription: Subscription, message: PubsubMessage, attempt: int) -> PushRequest:
    """Returns the POST that delivers a message for the `attempt`-th time."""
    if "no_wrapper" in subscription.push_config:
        return _unwrapped(subscription, message)
    headers = {**_AGENT, "Content-Type": "application/json"}
    if _CLOUD_EVENTS_QUERY in subscription.push_config.push_endpoint:
        headers |= _cloud_event_headers(subscription, message)
    return PushRequest(headers, json.dumps(_document(subscription, message, attempt)).encode())


def _unwrapped(subscription: Subscription, message: PubsubMessage) -> PushRequest:
    headers = dict(_AGENT)
    if subscription.push_config.no_wrapper.write_metadata:
        headers |= _attribute_headers(message) | {
            "x-goog-pubsub-subscription-name": subscription.name,
            "x-goog-pubsub-message-id": message.message_id,
            "x-goog-pubsub-publish-time": publish_time(message),
        }
    return PushRequest(headers, message.data)


def _attribute_headers(message: PubsubMessage) -> dict[str, str]:
    # An attribute that cannot be a header must not keep its message from being delivered at all.
    return {
        key: value
        for key, value in message.attributes.items()
        if _HEADER_NAME.fullmatch(key) and _HEADER_VALUE.fullmatch(value)
    }


def _cloud_event_headers(subscription: Subscription, message: PubsubMessage) -> dict[str, str]:
    return {
        "ce-id": message.message_id,
        "ce-source": f"//pubsub.googleapis.com/{subscription.topic}",
        "ce-specversion": "1.0",
        "ce-time": publish_time(message),
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    }


def _document(subscription: Subscription, message: PubsubMessage, attempt: int) -> dict[str, Any]:
    document: dict[str, Any] = {"message": _message(message), "subscription": subscription.name}
    if subscription.dead_letter_policy.dead_letter_topic:
        document["deliveryAttempt"] = attempt
    return document


def _message(message: PubsubMessage) -> dict[str, Any]:
    """Returns the message in JSON: both spellings of id and time are sent; empty fields are left out."""
    fields: dict[str, Any] = {
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": publish_time(message),
        "publish_time": publish_time(message),
    }
    if message.data:
        fields["data"] = base64.b64encode(message.data).decode()
    if message.attributes:
        fields["attributes"] = dict(message.attributes)
    if message.ordering_key:
        fields["orderingKey"] = message.ordering_key
    return fields


def publish_time(message: PubsubMessage) -> str:
    """Returns when the message was published, as RFC 3339 in UTC."""
    # The type says Timestamp; what the message gives out is a datetime.
    moment: Any = message.publish_time
    return str(moment.rfc3339())
