"""What becomes of a lane: its events are sent in order, until one fails or the lease is nearly over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from functions.deliver.webhooks import SECONDS, Reply, Webhook, shown
from functions.registry.auth import webhook_secrets
from functions.registry.auth.webhook_secrets import SecretLost
from functions.registry.config import Settings
from functions.registry.events import forms
from functions.registry.events.forms import Event, Reader
from functions.registry.events.publishing import Message, Publisher, PublishFailed
from functions.registry.events.targets import is_topic
from functions.registry.metadata.events.lanes import Lane, Result, Sent

# A lane is a worker's for so long. Nothing is begun that could outlive it.
LEASE_SECONDS: Final = 60.0
_SENDING_SECONDS: Final = LEASE_SECONDS - SECONDS - 5
# After the first failure, the second, …; then hourly.
_WAITS: Final = (5.0, 30.0, 120.0, 300.0, 900.0, 1800.0)
_HOUR: Final = 3600.0
# What nothing got through to for so long is given up, event by event.
GIVEN_UP_AFTER_SECONDS: Final = 86_400.0
_OBEYED: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(slots=True)
class Outcome:
    """`sent` holds what is known of the lane's events; `attempts` failed one after the other, at its end."""

    lane: Lane
    sent: list[Sent] = field(default_factory=list)
    attempts: int = 0
    wait_seconds: float = 0.0
    got_through: bool = False
    is_gone: bool = False

    @property
    def dead(self) -> list[Sent]:
        return [each for each in self.sent if each.state == "dead"]

    @property
    def result(self) -> Result:
        lane = self.lane
        return Result(
            lane.subscription_id,
            lane.repository_id,
            lane.lease,
            self.sent,
            self.wait_seconds,
            self.attempts,
            self.got_through,
        )


@dataclass(frozen=True, slots=True)
class Sender:
    """What all lanes are sent by; any number of threads may use it."""

    settings: Settings
    publisher: Publisher

    def send(self, lane: Lane) -> Outcome:
        """Never raises for what a receiver, or whoever subscribed, does."""
        outcome = Outcome(lane, attempts=lane.attempts)
        replies = self._published(lane) if is_topic(lane.target) else self._posted(lane)
        until = time.monotonic() + _SENDING_SECONDS
        for event, reply in replies:
            self._judge(outcome, event, reply)
            if outcome.is_gone or (lane.is_ordered and outcome.sent[-1].state == "waiting"):
                break
            if time.monotonic() > until:
                break
        return outcome

    def _judge(self, outcome: Outcome, event: Event, reply: Reply) -> None:
        if reply.status is not None and HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
            outcome.sent.append(Sent(event["id"], "sent", reply.status, reply.ms, reply.text))
            outcome.got_through = True
            if outcome.lane.is_ordered or not outcome.wait_seconds:
                outcome.attempts, outcome.wait_seconds = 0, 0.0
            return
        outcome.is_gone = reply.status == HTTPStatus.GONE
        is_dead = not outcome.got_through and outcome.lane.failing_seconds >= GIVEN_UP_AFTER_SECONDS
        outcome.sent.append(Sent(event["id"], "dead" if is_dead else "waiting", reply.status, reply.ms, reply.text))
        if not is_dead:
            outcome.attempts += 1 if not outcome.wait_seconds else 0
            outcome.wait_seconds = _wait(outcome.attempts, reply)

    def _reader(self, lane: Lane) -> Reader:
        settings = self.settings
        return Reader(settings.public_host or settings.service, lane.namespace, lane.shows_request)

    def _posted(self, lane: Lane) -> Iterator[tuple[Event, Reply]]:
        reader = self._reader(lane)
        try:
            keys = [webhook_secrets.opened(self.settings.pepper, secret) for secret in lane.secrets]
            headers = {"Content-Type": forms.CONTENT_TYPES[lane.format], "User-Agent": "slipway"}
            if lane.sealed_header is not None:
                headers["Authorization"] = webhook_secrets.opened_header(self.settings.pepper, lane.sealed_header)
        except SecretLost as lost:
            yield lane.events[0], Reply(None, str(lost), 0)
            return
        with closing(Webhook(lane.target, self.settings.private_receivers)) as webhook:
            for event in lane.events:
                body, now = forms.body(lane.format, event, reader), int(time.time())
                message_id = str(event["id"])
                signatures = [webhook_secrets.signature(key, message_id, now, body) for key in keys]
                signed = {
                    "webhook-id": message_id,
                    "webhook-timestamp": str(now),
                    "webhook-signature": " ".join(signatures),
                }
                yield event, webhook.post(body, {**headers, **signed})

    def _published(self, lane: Lane) -> Iterator[tuple[Event, Reply]]:
        """All in one call: the order is by the repository's id, which a move doesn't change."""
        reader, started = self._reader(lane), time.monotonic()
        messages = [
            Message(
                forms.body(lane.format, event, reader),
                {"content-type": forms.CONTENT_TYPES[lane.format], **forms.attributes(event, reader)},
                str(lane.repository_id) if lane.is_ordered else "",
            )
            for event in lane.events
        ]
        try:
            self.publisher.publish(lane.target, messages, SECONDS)
        except PublishFailed as failed:
            yield lane.events[0], Reply(None, shown(str(failed)), round((time.monotonic() - started) * 1000))
            return
        ms = round((time.monotonic() - started) * 1000)
        yield from ((event, Reply(HTTPStatus.OK, "", ms)) for event in lane.events)


def _wait(attempts: int, reply: Reply) -> float:
    if reply.status in _OBEYED and reply.retry_after is not None:
        return min(max(reply.retry_after, 1.0), _HOUR)
    return _WAITS[attempts - 1] if attempts <= len(_WAITS) else _HOUR
