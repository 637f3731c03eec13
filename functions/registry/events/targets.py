"""Where events are sent: receivers of webhooks, and topics of Pub/Sub. Both are checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from functions.registry import outgoing

LONGEST: Final = 1024
_TOPIC: Final = re.compile(r"projects/[a-z][a-z0-9:.-]{4,62}/topics/[A-Za-z][A-Za-z0-9._~%+-]{2,254}")
_PORTS: Final = {"http": 80, "https": 443}
# Those below are of services that a web server's address never has.
_FIRST_PORT: Final = 1024


class TargetInvalid(ValueError):
    """The message says what is wrong with it."""


def is_topic(target: str) -> bool:
    return _TOPIC.fullmatch(target) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """A receiver's: https at port 443 or from 1024 on; http only on this machine, where the settings name it."""

    host: str
    port: int
    path: str
    is_secure: bool

    @classmethod
    def parse(cls, url: str, private_hosts: Container[str]) -> Self:
        """Raises TargetInvalid."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise TargetInvalid("can't be read") from error
        if not host or len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
            raise TargetInvalid("can't be read")
        if parts.username is not None or parts.fragment:
            raise TargetInvalid("has neither a user nor a fragment: a receiver's secret goes into authorization")
        if parts.scheme not in _PORTS:
            raise TargetInvalid("is https://…, projects/PROJECT/topics/TOPIC, or poll")
        is_secure = parts.scheme == "https"
        if not is_secure and not (host in private_hosts and outgoing.is_loopback(url)):
            raise TargetInvalid("begins with https://")
        port = port or _PORTS[parts.scheme]
        if port not in _PORTS.values() and port < _FIRST_PORT:
            raise TargetInvalid(f"has the port 443, or one from {_FIRST_PORT} on")
        return cls(host, port, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", is_secure)
