"""Signing in to the console by another issuer, from the browser's way there to the user that it is here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from functions.registry.auth.attempt import Attempt
from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.openid import OpenIdClient
from functions.registry.auth.secrets import Peppers
from functions.registry.auth.signed_in import IdentityUnknown, SignInRefused, SignInThrottled
from functions.registry.config import Settings
from functions.registry.metadata.access import credentials, failed_sign_ins, identities
from functions.registry.metadata.access.identities import UserIdentity
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.db import Database

# As long as any token of an issuer is taken, and a little more.
_KEPT: Final = timedelta(days=1, minutes=5)


class IssuerSignIn:
    """It is there where the settings name an issuer."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._client = OpenIdClient(settings)
        self._database = database
        self._peppers = Peppers(settings.pepper)

    def address(self, attempt: Attempt) -> str:
        """Returns where the browser goes. Raises IssuerUnavailable."""
        return self._client.address(attempt)

    def sign_in(self, attempt: Attempt, code: str, address: str) -> Principal:
        """Returns whose the code is. What is refused counts as a failure of where it came from.

        Raises SignInRefused, SignInThrottled, IdentityUnknown and IssuerUnavailable.
        """
        try:
            return self._person(attempt, code)
        except SignInRefused:
            keys = failed_sign_ins.Keys.of(self._peppers.newest, "", address)
            if seconds := failed_sign_ins.attempt_from(self._database, keys):
                raise SignInThrottled(seconds) from None
            raise

    def _person(self, attempt: Attempt, code: str) -> Principal:
        try:
            identity = self._client.identify(attempt, code)
        except IssuerUnavailable:
            raise
        except TokenRefused as refused:
            raise SignInRefused(str(refused)) from refused
        until = datetime.now(UTC) + _KEPT
        if not credentials.use_token_once(self._database, identity.issuer, f"nonce {attempt.nonce}", until):
            raise SignInRefused("this sign-in was used before: begin anew")
        subject = identity.claims["sub"]
        principal = identities.find(self._database, UserIdentity(identity.issuer, subject))
        if principal is None:
            is_verified = identity.claims.get("email_verified") == "true"
            raise IdentityUnknown(subject, identity.claims.get("email", "") if is_verified else "")
        return principal
