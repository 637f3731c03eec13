"""People who sign in to the console by another issuer: OpenID Connect's code flow, with PKCE (RFC 7636).

The issuer is the operator's choice. What is said of a person is taken from the token that the issuer itself hands out
for a code: signed by one of its keys, made for this client, and for the browser that began.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from functions.registry import outgoing, telemetry
from functions.registry.auth import signed
from functions.registry.auth.attempt import BACK, Attempt
from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.federation import ALGORITHMS, Identity, texts
from functions.registry.auth.jwks import KeySets
from functions.registry.auth.provider import Provider
from functions.registry.config import Settings
from functions.registry.outgoing import OutgoingFailed

LONGEST_SUBJECT: Final = 255
# How long an issuer may take to exchange a code.
SECONDS: Final = 5

_REQUIRED: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nonce"})
_CODE: Final = re.compile(r"[\x21-\x7e]{1,2048}")
_OK: Final = 200
_REFUSED: Final = frozenset({400, 401, 403})
# Codes that are being exchanged at once, in each process: a slow issuer, and strangers with made-up codes, take no more
# of its threads.
_MOST_AT_ONCE: Final = 4


class OpenIdClient:
    """It is this registry as a client of the issuer in the settings."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._key_sets = KeySets(private_hosts=settings.private_issuers)
        self._provider = Provider(settings.console_issuer, settings.private_issuers)
        self._exchanging = threading.BoundedSemaphore(_MOST_AT_ONCE)

    @property
    def back(self) -> str:
        """Returns the address that the issuer sends browsers back to: of the settings, never of a request's header."""
        realm = urlsplit(self._settings.token_realm)
        return f"{realm.scheme}://{realm.netloc}{BACK}"

    def address(self, attempt: Attempt) -> str:
        """Returns where at the issuer the browser goes. Raises IssuerUnavailable."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.console_client_id,
            "redirect_uri": self.back,
            "scope": "openid email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        authorization = self._provider.endpoints().authorization
        return f"{authorization}{'&' if '?' in authorization else '?'}{urlencode(asked)}"

    def identify(self, attempt: Attempt, code: str) -> Identity:
        """Exchanges the code for what the issuer says of the person. Raises TokenRefused and IssuerUnavailable."""
        if not _CODE.fullmatch(code):
            raise TokenRefused("this is no code")
        if not self._exchanging.acquire(blocking=False):
            raise IssuerUnavailable("several people are signing in, and the issuer is slow: try again in a moment")
        try:
            token = self._exchanged(attempt, code)
            return self._read(attempt, token)
        finally:
            self._exchanging.release()

    def _exchanged(self, attempt: Attempt, code: str) -> str:
        settings, issuer = self._settings, self._settings.console_issuer
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.back,
            "client_id": settings.console_client_id,
            "code_verifier": attempt.verifier,
            **({"client_secret": settings.console_client_secret} if settings.console_client_secret else {}),
        }
        try:
            answer = outgoing.ask(
                self._provider.endpoints().token,
                form=urlencode(form),
                may_be_loopback=outgoing.is_loopback(issuer),
                private_hosts=settings.private_issuers,
                seconds=SECONDS,
            )
        except OutgoingFailed as failure:
            raise self._unavailable(str(failure)) from failure
        if answer.status in _REFUSED:
            error = signed.shown(answer.document.get("error"))
            telemetry.log("WARNING", "the console's issuer refused a code", error=error, status=answer.status)
            raise TokenRefused(f"the issuer doesn't take the code: its error is {error}")
        token = answer.document.get("id_token")
        if answer.status != _OK or not isinstance(token, str):
            raise self._unavailable(f"the token endpoint answers {answer.status}, without an id_token")
        return token

    def _read(self, attempt: Attempt, token: str) -> Identity:
        """Checks what OpenID Connect Core asks for, section 3.1.3.7."""
        issuer, client = self._settings.console_issuer, self._settings.console_client_id
        seen = signed.peek(token)
        if seen.issuer != issuer:
            raise TokenRefused(f"iss is {signed.shown(seen.issuer)}, expected {issuer}")
        key = self._key_sets.key(issuer, seen.key_id)
        if key.algorithm not in ALGORITHMS:
            raise TokenRefused(f"the token is signed by {key.algorithm}, expected {' or '.join(sorted(ALGORITHMS))}")
        claims = signed.verify(token, key)
        expected = signed.Expected(issuer=issuer, audience=client, required=_REQUIRED)
        signed.check(claims, expected, self._clock())
        self._check_browser(attempt, claims)
        return Identity(issuer, texts(claims))

    def _check_browser(self, attempt: Attempt, claims: dict[str, Any]) -> None:
        nonce, subject = claims["nonce"], claims["sub"]
        if nonce != attempt.nonce:
            raise TokenRefused("the token was made for another sign-in: its nonce is not this browser's")
        if claims.get("azp", self._settings.console_client_id) != self._settings.console_client_id:
            raise TokenRefused("the token was made for another client: azp is not this registry's")
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise TokenRefused(f"sub must have 1 to {LONGEST_SUBJECT} characters that can be shown")

    def _unavailable(self, reason: str) -> IssuerUnavailable:
        telemetry.log("WARNING", "the console's issuer gave no token", reason=reason)
        return IssuerUnavailable(f"{self._settings.console_issuer} doesn't answer as it should: try again later")
