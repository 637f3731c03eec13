"""Where credentials come in: what is refused is answered alike, whichever way they came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from flask import Request

from functions.api.web.address import client_address
from functions.registry import telemetry
from functions.registry.auth.caller import TokenRefused
from functions.registry.auth.credentials_header import basic
from functions.registry.auth.signed_in import SignInRefused, SignInThrottled
from functions.registry.metadata.access.credentials import SignedIn
from functions.registry.oci.errors import TooManyRequests, Unauthorized
from functions.registry.wiring import Services

if TYPE_CHECKING:
    from functions.registry.auth.sign_in import SignIn

BASIC_CHALLENGE: Final = 'Basic realm="slipway"'


def with_basic(services: Services, request: Request, asked: Sequence[str]) -> SignedIn:
    """Signs in with Basic credentials, for scripts that need no token in between. Raises Unauthorized and
    TooManyRequests.
    """
    address = client_address(request, services.settings.trusted_proxies)
    # Before a password is hashed, which is slow on purpose.
    services.rate_limit.take(address)
    try:
        name, password = basic(request.headers.getlist("Authorization"))
    except TokenRefused as refused:
        raise Unauthorized(str(refused), BASIC_CHALLENGE) from refused
    telemetry.note(account=name)
    return refusing(services, lambda sign_in: sign_in.sign_in(name, password, address, asked))


def refusing(services: Services, signing_in: Callable[[SignIn], SignedIn]) -> SignedIn:
    """Raises Unauthorized and TooManyRequests."""
    try:
        return signing_in(services.guard.sign_in)
    except SignInRefused as refused:
        telemetry.note(reason=str(refused))
        raise Unauthorized(str(refused), BASIC_CHALLENGE) from refused
    except SignInThrottled as throttled:
        seconds = throttled.retry_after_seconds
        raise TooManyRequests(f"too many failed sign-ins: wait {seconds} s", seconds) from throttled
