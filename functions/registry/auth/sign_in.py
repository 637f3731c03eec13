"""Who signs in: with a secret, a password, a CI job's identity or a Google access token.

Every way ends in a principal. A refusal says the same for an unknown name and a wrong password, and takes as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, NoReturn

from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.secrets import PREFIX, Peppers, make_secret, parse_secret, verify_password
from functions.registry.auth.signed_in import SignInRefused, SignInThrottled
from functions.registry.config import Settings
from functions.registry.metadata.access import credentials, failed_sign_ins, trusted_publishers
from functions.registry.metadata.access.credentials import SignedIn
from functions.registry.metadata.db import Database

if TYPE_CHECKING:
    from functions.registry.auth.federation import Federation, Identity
    from functions.registry.auth.google import GoogleAccessTokens

# A job's identity dies within minutes; what it is exchanged for has to last for the job's pushes.
FEDERATED_TOKEN_SECONDS: Final = 3600
FEDERATED_HOURS: Final = 1
REMEMBERED_DAYS: Final = 30
_WRONG: Final = "wrong name or password, or it has expired or was revoked"
_EXCHANGED: Final = "this identity was exchanged before: ask the issuer for another one"
# What tells a job apart, and nothing that its owner could not say aloud.
_AUDITED: Final = frozenset({"iss", "sub", "jti", "repository_id", "run_id", "ref", "project_id", "job_id", "email"})
_LONGEST_PASSWORD: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class _Shown:
    """Another issuer's token, the robot that it is to act as, if that is said, and what is asked for."""

    identify: Callable[[str], Identity]
    token: str = field(repr=False)
    via: str
    robot: str
    asked: Sequence[str]


class SignIn:
    """What an identity needs (keys, an HTTP client, signatures) is imported with the first one: most have a secret."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._peppers = Peppers(settings.pepper)

    def sign_in(self, name: str, password: str, address: str, asked: Sequence[str] = ()) -> SignedIn:
        """`asked` are the repositories that a token is for: an identity may be trusted by several robots.

        Raises SignInRefused, SignInThrottled and IssuerUnavailable.
        """
        if len(password) > _LONGEST_PASSWORD:
            raise SignInRefused(_WRONG)
        keys = failed_sign_ins.Keys.of(self._peppers.newest, name, address)
        way, _, robot = name.partition("+")
        if way == "oauth2accesstoken":
            shown = _Shown(self._google.identify, password, "google", robot, asked)
            return self._counted(keys, lambda: self._federated(shown))
        # An identity is too long to be anybody's password, and must not be hashed as one.
        if name == "oidc" or _looks_like_identity(password):
            shown = _Shown(self._federation.identify, password, "federated", robot if way == "oidc" else "", asked)
            return self._counted(keys, lambda: self._federated(shown))
        # Nobody guesses a secret: whoever has one is not kept off by others' failures, and to look at it is cheap.
        if password.startswith(PREFIX):
            return self._by_secret(name, password) or self._refused(failed_sign_ins.attempt(self._database, keys))
        if seconds := failed_sign_ins.attempt(self._database, keys):
            raise SignInThrottled(seconds)
        signed_in = self._by_password(name, password)
        if signed_in is None:
            raise SignInRefused(_WRONG)
        failed_sign_ins.succeed(self._database, keys)
        return signed_in

    def exchange(
        self, token: str, address: str, *, is_access_token: bool, robot: str = "", asked: Sequence[str] = ()
    ) -> SignedIn:
        """Exchanges an identity for a token, once: it is no password after that. Raises as `sign_in`."""
        identify = self._google.identify if is_access_token else self._federation.identify
        keys = failed_sign_ins.Keys.of(self._peppers.newest, "", address)
        shown = _Shown(identify, token, "exchange", robot, asked)
        signed_in = self._counted(keys, lambda: self._federated(shown))
        if (token_id := signed_in.claims.get("jti")) and not credentials.use_token_once(
            self._database, signed_in.claims["iss"], token_id, datetime.now(UTC) + timedelta(days=1, minutes=5)
        ):
            raise SignInRefused(_EXCHANGED)
        return signed_in

    def remember(self, signed_in: SignedIn) -> str:
        """Returns a refresh token, opaque. It ends with the secret or the trusted publisher that it came from."""
        secret = make_secret()
        life = timedelta(hours=FEDERATED_HOURS) if signed_in.trusted_publisher_id else timedelta(days=REMEMBERED_DAYS)
        hashed = self._peppers.hash(secret.text)
        credentials.add_refresh_token(self._database, hashed, signed_in, datetime.now(UTC) + life)
        return secret.text

    def again(self, refresh_token: str) -> SignedIn:
        """Raises SignInRefused."""
        found = None
        if parse_secret(refresh_token):
            found = credentials.find_refresh_token(self._database, self._peppers.hashes(refresh_token))
        if found is None:
            raise SignInRefused("the sign-in has ended: log in again")
        return found

    def _counted(self, keys: failed_sign_ins.Keys, signing_in: Callable[[], SignedIn]) -> SignedIn:
        """What is refused is a failure of where it came from."""
        try:
            return signing_in()
        except SignInRefused:
            if seconds := failed_sign_ins.attempt_from(self._database, keys):
                raise SignInThrottled(seconds) from None
            raise

    def _refused(self, seconds: int) -> NoReturn:
        if seconds:
            raise SignInThrottled(seconds)
        raise SignInRefused(_WRONG)

    def _by_secret(self, name: str, password: str) -> SignedIn | None:
        parsed = parse_secret(password)
        if parsed is None:
            return None
        stored = credentials.find_secret(self._database, parsed[0], self._peppers.hashes(password))
        if stored is None or not self._peppers.knows(password, stored.hash):
            return None
        if stored.is_expired or stored.is_revoked or stored.principal.disabled:
            return None
        # The secret says who it is; a name beside it must not say somebody else.
        if name not in {stored.principal.name, "token"}:
            return None
        return SignedIn(stored.principal, "secret", secret_id=stored.id)

    def _by_password(self, name: str, password: str) -> SignedIn | None:
        stored = credentials.find_password(self._database, name)
        is_right = verify_password(stored.hash if stored else None, password)
        if stored is None or not is_right or stored.principal.disabled:
            return None
        return SignedIn(stored.principal, "password")

    @cached_property
    def _federation(self) -> Federation:
        from functions.registry.auth.federation import Federation  # noqa: PLC0415  # as the class says
        from functions.registry.auth.jwks import KeySets  # noqa: PLC0415  # as the class says

        settings = self._settings
        key_sets = KeySets(private_hosts=settings.private_issuers)
        return Federation(key_sets, settings.oidc_issuers, settings.service)

    @cached_property
    def _google(self) -> GoogleAccessTokens:
        from functions.registry.auth.google import GoogleAccessTokens  # noqa: PLC0415  # as the class says

        return GoogleAccessTokens(self._settings.google_audiences)

    def _federated(self, shown: _Shown) -> SignedIn:
        from functions.registry.auth import trusted  # noqa: PLC0415  # as the class says

        configured = self._settings.tenant_claims
        try:
            identity = shown.identify(shown.token)
            trusted.refuse_outside_code(identity)
            sought = trusted_publishers.Sought(
                identity.issuer,
                trusted.tenants(identity, configured),
                trusted.comparable(identity),
                sorted(trusted.GLOBS),
                shown.robot or None,
                shown.asked,
                None if shown.via == "exchange" else identity.token_id,
            )
            candidates = trusted_publishers.matching(self._database, sought)
            publisher = trusted.choose(candidates, identity, shown.asked)
        except IssuerUnavailable:
            raise
        except TokenRefused as refused:
            raise SignInRefused(str(refused)) from refused
        if publisher.was_exchanged:
            raise SignInRefused(_EXCHANGED)
        return SignedIn(
            principal=publisher.principal,
            via=shown.via,
            token_seconds=FEDERATED_TOKEN_SECONDS,
            is_read_only=identity.is_read_only,
            claims={name: value for name, value in identity.claims.items() if name in _AUDITED},
            trusted_publisher_id=publisher.id,
        )


def _looks_like_identity(password: str) -> bool:
    return password.startswith("eyJ") and password.count(".") == 2  # noqa: PLR2004  # header, claims, signature
