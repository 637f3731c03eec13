"""Google's access tokens. They are opaque and meant for Google: whoever was given one could show it here as well.

So they are taken only from the listed clients, and open only trusted publishers that say so: `access_token` is `true`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from functions.registry import outgoing, telemetry
from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.federation import GOOGLE, Identity
from functions.registry.auth.remembered import Remembered, key_of
from functions.registry.outgoing import OutgoingFailed

TOKENINFO: Final = "https://oauth2.googleapis.com/tokeninfo"

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")
_SECONDS: Final = 2
_GOOD_SECONDS: Final = 300
_REFUSED_SECONDS: Final = 30
_OK: Final = 200
_REFUSED: Final = 400
_TIME: Final = re.compile(r"[0-9]{1,12}")
_KEPT: Final = ("sub", "aud", "azp", "exp")


class GoogleAccessTokens:
    """`audiences` are client ids, of people's programs, or numeric ids of service accounts."""

    def __init__(
        self, audiences: Sequence[str], tokeninfo_url: str = TOKENINFO, clock: Callable[[], float] = time.time
    ) -> None:
        self._audiences = frozenset(audiences)
        self._url = tokeninfo_url
        self._clock = clock
        self._found: Remembered[Identity | str] = Remembered()
        # Those with the same token wait for one answer; a few others wait with them.
        self._asking = [threading.Lock() for _ in range(16)]

    def identify(self, access_token: str) -> Identity:
        """Raises TokenRefused, and IssuerUnavailable if Google doesn't answer in time."""
        if not self._audiences:
            raise TokenRefused("this registry takes no Google access tokens: use an identity token, with the name oidc")
        if not _TOKEN.fullmatch(access_token):
            raise TokenRefused("this is no Google access token")
        key = key_of(access_token)
        with self._asking[key[0] % len(self._asking)]:
            now = self._clock()
            found = self._found.get(key, now)
            if found is None:
                found = self._ask(access_token, now)
                until = now + _REFUSED_SECONDS if isinstance(found, str) else min(found.expires_at, now + _GOOD_SECONDS)
                self._found.put(key, found, until)
        if isinstance(found, str):
            raise TokenRefused(found)
        return found

    def _ask(self, access_token: str, now: float) -> Identity | str:
        """Returns an identity, or why there is none."""
        form = urlencode({"access_token": access_token})
        may_be_loopback = outgoing.is_loopback(self._url)
        try:
            answer = outgoing.ask(self._url, form=form, seconds=_SECONDS, may_be_loopback=may_be_loopback)
        except OutgoingFailed as failure:
            telemetry.log("WARNING", "Google could not be asked about a token", reason=str(failure))
            raise IssuerUnavailable("Google doesn't answer: try again later") from failure
        if answer.status == _REFUSED:
            return "Google says that this access token is not good"
        if answer.status != _OK:
            telemetry.log("WARNING", "Google could not be asked about a token", reason=f"the answer is {answer.status}")
            raise IssuerUnavailable("Google doesn't answer: try again later")
        return self._judge(answer.document, now)

    def _judge(self, document: Mapping[str, Any], now: float) -> Identity | str:
        claims = {name: document[name] for name in _KEPT if isinstance(document.get(name), str)}
        for name in ("aud", "azp"):
            if claims.get(name, "") not in self._audiences:
                return f"{name} is not among the clients whose access tokens this registry takes"
        if not claims.get("sub"):
            return "the access token doesn't say whose it is: it lacks the scope openid"
        if not _TIME.fullmatch(claims.get("exp", "")) or int(claims["exp"]) <= now:
            return "the access token expired"
        if document.get("email_verified") == "true" and isinstance(document.get("email"), str):
            claims["email"] = document["email"]
        return Identity(GOOGLE, {**claims, "access_token": "true"})
