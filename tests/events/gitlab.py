"""GitLab's endpoint for events of its registry, by the rules of its own request specs: what it refuses, and what it
makes of each event.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CONTENT_TYPE: Final = "application/vnd.docker.distribution.events.v1+json"
_ACTIONS: Final = ("push", "delete", "pull")
_COUNTED: Final = ("push", "delete")


@dataclass(frozen=True, slots=True)
class Effect:
    """`counted` is the name under which it counts the event; `refreshes` the project whose size it works out anew."""

    counted: str
    refreshes: str | None


class Refused(Exception):
    """With the status of the answer."""


def receive(headers: Mapping[str, str], body: bytes, secret: str, known: set[str]) -> list[Effect]:
    """What becomes of one request. `known` are the repositories that there are. Raises Refused for all of it."""
    if not hmac.compare_digest(headers.get("Authorization", ""), secret):
        raise Refused(401)
    if headers.get("Content-Type") not in {CONTENT_TYPE, "application/json"}:
        raise Refused(406)
    events = json.loads(body).get("events")
    if not isinstance(events, list) or not all(map(_is_valid, events)):
        raise Refused(400)
    return [_effect(event, known) for event in events if event["action"] in _COUNTED]


def _is_valid(event: Any) -> bool:
    target = event.get("target", {})
    named = [target.get(name, "") for name in ("tag", "repository", "digest")]
    return event.get("action") in _ACTIONS and all(isinstance(each, str) for each in named)


def _effect(event: Any, known: set[str]) -> Effect:
    """It goes by which names are there, whatever they say. An event without a target is a fault of its own."""
    action, target = event["action"], event["target"]
    is_of_tag, is_of_manifest = "tag" in target, action == "delete" and "digest" in target
    counted = f"{action}_tag" if is_of_tag else f"{action}_repository"
    if action == "push" and not is_of_tag and target["repository"] not in known:
        counted = "create_repository"
    if is_of_manifest:
        counted = "delete_manifest"
    return Effect(counted, target["repository"] if is_of_tag or is_of_manifest else None)
