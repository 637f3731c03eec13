"""Whose request it is, and what a caller is granted: the one way into this folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from functions.registry.auth.authority import ALL_AUTHORITY, NO_AUTHORITY, Authority
from functions.registry.auth.caller import ANYONE_OPEN, Access, Caller
from functions.registry.auth.credentials_header import bearer
from functions.registry.auth.roles import ACTIONS, Role
from functions.registry.auth.scopes import Scope
from functions.registry.config import SettingInvalid, Settings
from functions.registry.metadata.access import grants
from functions.registry.metadata.access.credentials import SignedIn
from functions.registry.metadata.db import Database

if TYPE_CHECKING:
    from functions.registry.auth.issuer_sign_in import IssuerSignIn
    from functions.registry.auth.sign_in import SignIn
    from functions.registry.auth.tokens import Tokens

# What a mode can't do without.
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "open": (),
    "token": ("token_realm", "token_keys", "pepper"),
    "external": ("token_realm", "external_issuer", "pepper"),
}
ANONYMOUS: Final = Caller(kind="anonymous", name="")


class Verifier(Protocol):
    """It verifies our own tokens, or another issuer's."""

    def verify(self, token: str) -> Caller: ...


class Guard:
    """It is built with every process, and paid for by the first request that needs it: `open` mode imports nothing."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def check(self, *, in_cloud: bool) -> None:
        """Raises SettingInvalid where the mode lacks something, or would leave a registry in the cloud open."""
        settings = self._settings
        for name in _NEEDED[settings.access]:
            if not getattr(settings, name):
                raise SettingInvalid(f"SLIPWAY_{name.upper()} is not set: SLIPWAY_ACCESS={settings.access} needs it")
        if settings.access == "external" and not (settings.external_keys or settings.external_jwks_url):
            raise SettingInvalid("SLIPWAY_ACCESS=external needs SLIPWAY_EXTERNAL_KEYS or SLIPWAY_EXTERNAL_JWKS_URL")
        if settings.console_issuer and settings.access != "token":
            raise SettingInvalid("SLIPWAY_CONSOLE_ISSUER signs people in where SLIPWAY_ACCESS=token, and nowhere else")
        if bool(settings.console_issuer) != bool(settings.console_client_id):
            raise SettingInvalid("SLIPWAY_CONSOLE_ISSUER and SLIPWAY_CONSOLE_CLIENT_ID are set both, or neither")
        if settings.access == "open" and in_cloud and settings.open_in_cloud != "accept":
            raise SettingInvalid(
                "SLIPWAY_ACCESS=open lets anybody push and delete: set SLIPWAY_ACCESS=token,"
                " or SLIPWAY_OPEN_IN_CLOUD=accept if that is meant"
            )

    @property
    def nobody(self) -> Caller:
        """Returns the caller who has shown nothing."""
        return ANYONE_OPEN if self._settings.access == "open" else ANONYMOUS

    def caller(self, authorization: Sequence[str]) -> Caller | None:
        """Returns whom the Authorization headers name; None if there are none. No statement is run. Raises
        TokenRefused.
        """
        if self._settings.access == "open":
            return ANYONE_OPEN
        if not authorization:
            return None
        verifier = self.tokens if self._settings.access == "token" else self._external
        return verifier.verify(bearer(authorization))

    def grant(self, signed_in: SignedIn | None, scopes: Iterable[Scope]) -> Caller:
        """Returns what is both asked for and allowed. It takes one statement; none if no repository is asked for."""
        wanted = list(scopes)
        asked = {scope.name: scope.actions for scope in wanted if scope.type == "repository"}
        roles = self._roles(signed_in, list(asked))
        access: dict[str, Access] = {}
        refused: dict[str, frozenset[str]] = {}
        for name, actions in asked.items():
            role = roles.get(name)
            allowed = ACTIONS[role] if role else frozenset()
            granted = allowed if "*" in actions else actions & allowed
            if granted:
                access[name] = Access(name, granted, role)
            if missing := actions - granted - ({"*"} if granted else set()):
                refused[name] = missing
        principal = signed_in.principal if signed_in else None
        return Caller(
            kind=principal.kind if principal else "anonymous",
            name=principal.name if principal else "",
            principal_id=principal.id if principal else None,
            is_admin=_is_administrator(signed_in),
            is_read_only=signed_in is not None and signed_in.is_read_only,
            access=access,
            refused=refused,
            catalog=any(scope.type == "registry" for scope in wanted),
        )

    def authority(self, caller: Caller) -> Authority:
        """Returns what the caller administers as the database has it now: what a token says lags behind. It takes one
        statement.
        """
        if caller.kind == "open":
            return ALL_AUTHORITY
        if caller.principal_id is None or caller.is_read_only:
            return NO_AUTHORITY
        standing = grants.standing(self._database, caller.principal_id)
        return NO_AUTHORITY if standing is None else Authority.of(standing)

    def _roles(self, signed_in: SignedIn | None, names: list[str]) -> dict[str, Role]:
        if not names:
            return {}
        if _is_administrator(signed_in):
            return dict.fromkeys(names, Role.ADMIN)
        found = grants.roles(self._database, signed_in.principal.id if signed_in else None, names)
        most = Role.READER if signed_in and signed_in.is_read_only else Role.ADMIN
        return {name: min(Role(role), most) for name, role in found.items()}

    @cached_property
    def tokens(self) -> Tokens:
        from functions.registry.auth.tokens import KeyRing, Tokens  # noqa: PLC0415  # cryptography: only where needed

        settings = self._settings
        return Tokens(KeyRing(settings.token_keys), settings.service, settings.service, settings.token_seconds)

    @cached_property
    def _external(self) -> Verifier:
        from functions.registry.auth.external import ExternalTokens  # noqa: PLC0415  # as above

        settings = self._settings
        return ExternalTokens(
            settings.external_issuer,
            settings.service,
            settings.external_keys,
            settings.external_jwks_url,
            private_hosts=settings.private_issuers,
        )

    @cached_property
    def sign_in(self) -> SignIn:
        from functions.registry.auth.sign_in import SignIn  # noqa: PLC0415  # only the token endpoint needs it

        return SignIn(self._settings, self._database)

    @cached_property
    def issuer_sign_in(self) -> IssuerSignIn:
        """Returns the way in by the console's issuer: for a registry whose settings name one."""
        from functions.registry.auth.issuer_sign_in import IssuerSignIn  # noqa: PLC0415  # as above

        return IssuerSignIn(self._settings, self._database)


def _is_administrator(signed_in: SignedIn | None) -> bool:
    return signed_in is not None and signed_in.principal.is_admin and not signed_in.is_read_only
