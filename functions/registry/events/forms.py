"""Events as they are sent: CloudEvents 1.0, Docker Distribution's envelope, Artifact Registry's message."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.events.vocabulary import KINDS, TEST, Format, Kind

# As outbox.EVENT_JSON has it.
Event = Mapping[str, Any]

_OF_TAGS_AND_MANIFESTS: Final[tuple[Kind, ...]] = tuple(
    kind for kind in KINDS if kind.startswith(("tag.", "manifest."))
)
# What each form can say. Only CloudEvents tell all.
KINDS_OF: Final[Mapping[Format, tuple[Kind, ...]]] = {
    "cloudevents": KINDS,
    "distribution": (*_OF_TAGS_AND_MANIFESTS, "repository.deleted"),
    "distribution-v1": (*_OF_TAGS_AND_MANIFESTS, "repository.deleted"),
    "gar": _OF_TAGS_AND_MANIFESTS,
}
CONTENT_TYPES: Final[Mapping[Format, str]] = {
    "cloudevents": "application/cloudevents+json; charset=utf-8",
    "distribution": "application/vnd.docker.distribution.events.v2+json",
    "distribution-v1": "application/vnd.docker.distribution.events.v1+json",
    "gar": "application/json",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who is told: `host` is the registry's, as clients write it. Of requests only some are shown the origin.

    One whose `namespace` isn't empty is told nothing of repositories elsewhere.
    """

    host: str
    namespace: str = ""
    shows_request: bool = False


def body(form: Format, event: Event, reader: Reader) -> bytes:
    """Returns what is sent: JSON, the same for the same event and reader."""
    document = _FORMS[form](event, reader)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def attributes(event: Event, reader: Reader) -> dict[str, str]:
    """Returns CloudEvents' attributes, as a message of Pub/Sub carries them beside its data."""
    whole = cloudevent(event, reader)
    named = ("specversion", "id", "source", "type", "subject", "time", "partitionkey", "sequence")
    return {f"ce-{name}": str(whole[name]) for name in named if name in whole}


def cloudevent(event: Event, reader: Reader) -> dict[str, Any]:
    """CloudEvents 1.0.2 in structured form, with its extensions `partitionkey` and `sequence`: ids of one repository
    are in the order of its changes.
    """
    repository, former = _names(event, reader)
    subject = _subject(repository, event)
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event["id"]),
        "source": f"//{reader.host}/{repository}".rstrip("/"),
        "type": f"dev.slipway.{event['kind']}.v1",
        **({"subject": subject} if subject else {}),
        "time": event["at"],
        "datacontenttype": "application/json",
        "partitionkey": str(event["repository_id"]),
        "sequence": f"{event['id']:020}",
    }
    data = {
        "repository": repository,
        "former": former,
        **{name: event[name] for name in ("tag", "digest", "previous", "media_type", "size", "actor", "cause")},
        "reference": _reference(repository, event, reader),
        "request": _request(event) if reader.shows_request else None,
    }
    found["data"] = {name: value for name, value in data.items() if value is not None}
    return found


def distribution(event: Event, reader: Reader) -> dict[str, Any]:
    """The envelope of Docker Distribution's notifications, with one event."""
    if event["kind"] == TEST:
        return {"events": []}
    repository, _ = _names(event, reader)
    target: dict[str, Any] = {"repository": repository}
    is_push = not event["kind"].endswith(".deleted")
    if is_push:
        url = f"https://{reader.host}/v2/{repository}/manifests/{event['digest']}"
        target |= {"mediaType": event["media_type"], "size": event["size"], "length": event["size"], "url": url}
    if event["digest"] is not None and event["kind"] != "tag.deleted":
        target["digest"] = event["digest"]
    if event["tag"] is not None:
        target["tag"] = event["tag"]
    origin = _request(event) if reader.shows_request else {}
    asked = {"id": "id", "addr": "address", "host": "host", "method": "method", "useragent": "agent"}
    shown = {
        "id": str(event["id"]),
        "timestamp": event["at"],
        "action": "push" if is_push else "delete",
        "target": target,
        "request": {name: origin[field] for name, field in asked.items() if origin.get(field)},
        "actor": {"name": event["actor"]} if event["actor"] else {},
        "source": {"addr": reader.host, "instanceID": "slipway"},
    }
    return {"events": [shown]}


def artifact_registry(event: Event, reader: Reader) -> dict[str, Any]:
    """Returns what Artifact Registry publishes to its topic `gcr`."""
    if event["kind"] == TEST:
        return {"action": "TEST"}
    repository, _ = _names(event, reader)
    found = {"action": "DELETE" if event["kind"].endswith(".deleted") else "INSERT"}
    if event["digest"] is not None and event["kind"] != "tag.deleted":
        found["digest"] = f"{reader.host}/{repository}@{event['digest']}"
    if event["tag"] is not None:
        found["tag"] = f"{reader.host}/{repository}:{event['tag']}"
    return found


_FORMS: Final[Mapping[Format, Callable[[Event, Reader], dict[str, Any]]]] = {
    "cloudevents": cloudevent,
    "distribution": distribution,
    "distribution-v1": distribution,
    "gar": artifact_registry,
}


def _names(event: Event, reader: Reader) -> tuple[str, str | None]:
    """The repository's name, and the one before it was moved; of another namespace than the reader's only its own."""
    names = [event["repository"], event["former"]]
    seen = [name for name in names if name is not None and reader.namespace in {"", name.partition("/")[0]}]
    # A test has no repository, and nobody is kept from it.
    return (seen[0] if seen else ""), (seen[1] if len(seen) > 1 else None)


def _subject(repository: str, event: Event) -> str:
    if event["tag"] is not None:
        return f"{repository}:{event['tag']}"
    return f"{repository}@{event['digest']}" if event["digest"] is not None else repository


def _reference(repository: str, event: Event, reader: Reader) -> str | None:
    """Returns what to type to pull it; of what is gone there is none."""
    is_gone = event["kind"].endswith(".deleted")
    return None if event["digest"] is None or is_gone else f"{reader.host}/{repository}@{event['digest']}"


def _request(event: Event) -> dict[str, str]:
    try:
        found = json.loads(event["request"] or "{}")
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}
