"""Where the issuer by which people sign in to the console wants to be asked: its own description, kept for a while."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Final

from functions.registry import outgoing, telemetry
from functions.registry.auth.caller import IssuerUnavailable
from functions.registry.auth.jwks import discover
from functions.registry.outgoing import OutgoingFailed

_OLDEST_SECONDS: Final = 300
_RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`authorization` is where a browser is sent, `token` is asked by us."""

    authorization: str
    token: str


class Provider:
    """It asks once for many, and keeps what it knew as long as the issuer is down."""

    def __init__(
        self, issuer: str, private_hosts: Container[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._issuer = issuer
        self._private_hosts = private_hosts
        self._clock = clock
        self._known: Endpoints | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._asking = threading.Lock()

    def endpoints(self) -> Endpoints:
        """Raises IssuerUnavailable if the issuer has never answered."""
        is_old = self._clock() >= self._fetched_at + _OLDEST_SECONDS
        # While one asks, the others go on with what is known; without, they wait, and look again.
        if is_old and self._asking.acquire(blocking=self._known is None):
            try:
                self._refresh()
            finally:
                self._asking.release()
        if self._known is None:
            raise IssuerUnavailable(f"{self._issuer} doesn't answer: try again later")
        return self._known

    def _refresh(self) -> None:
        now = self._clock()
        if now < self._fetched_at + _OLDEST_SECONDS or now < self._tried_at + _RETRY_SECONDS:
            return
        try:
            document = discover(self._issuer, self._private_hosts)
            self._known = Endpoints(
                _endpoint(document, self._issuer, "authorization"), _endpoint(document, self._issuer, "token")
            )
            self._fetched_at = self._clock()
        except OutgoingFailed as failure:
            telemetry.log("WARNING", "the console's issuer can't be asked", issuer=self._issuer, reason=str(failure))
        finally:
            # Of the end: a slow answer is no reason to ask sooner.
            self._tried_at = self._clock()


def _endpoint(document: dict[str, Any], issuer: str, name: str) -> str:
    url = document.get(f"{name}_endpoint")
    if not isinstance(url, str) or not re.fullmatch(r"https?://[\x21-\x7e]{1,1000}", url) or "#" in url:
        raise OutgoingFailed(f"the discovery document has no {name}_endpoint that could be used")
    if not url.startswith("https://") and not (outgoing.is_loopback(issuer) and outgoing.is_loopback(url)):
        raise OutgoingFailed(f"the {name}_endpoint is not https")
    return url
