"""Who looks at the console: the cookie, the session behind it, and what its owner may see.

The cookie says whose it is, beside a secret of 256 bits. So a page's statements and the question whether the session is
good go to the database together; what was read is shown only if it is.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Request, Response

from functions.registry.auth.authority import ALL_AUTHORITY, NO_AUTHORITY, Authority
from functions.registry.auth.secrets import Peppers
from functions.registry.config import Settings
from functions.registry.metadata.access import grants
from functions.registry.metadata.access.grants import Standing
from functions.registry.metadata.access.principals import Principal
from functions.registry.metadata.console import sessions
from functions.registry.metadata.db import Call
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services

PURPOSE: Final = "console session"
_COOKIE: Final = re.compile(r"([0-9]{1,18})\.([au])\.([A-Za-z0-9_-]{43})")


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""


class ClaimOutdated(Exception):
    """The cookie says wrongly whether its owner is an administrator: the page is to be read again."""


class NotShown(Exception):
    """There is no such thing, or the visitor may not see it: both are answered alike. args[0] is for people."""


class NotAllowed(Exception):
    """The visitor may see that it is there, and not use it; args[0] says what right is missing and who gives it."""


@dataclass(frozen=True, slots=True)
class Cookie:
    principal_id: int
    is_admin: bool
    secret: str = field(repr=False)

    @classmethod
    def made_for(cls, principal: Principal) -> Cookie:
        return cls(principal.id, principal.is_admin, secrets.token_urlsafe(32))

    @classmethod
    def of(cls, request: Request, settings: Settings) -> Cookie | None:
        match = _COOKIE.fullmatch(request.cookies.get(cookie_name(settings), ""))
        return None if match is None else cls(int(match[1]), match[2] == "a", match[3])

    @property
    def text(self) -> str:
        return f"{self.principal_id}.{'a' if self.is_admin else 'u'}.{self.secret}"

    def hashes(self, settings: Settings) -> list[bytes]:
        return Peppers(settings.pepper).hashes_for(PURPOSE, self.secret)


def is_secure(settings: Settings) -> bool:
    """Says whether browsers reach the registry by https: as the settings say, never a header."""
    return settings.token_realm.startswith("https://")


def cookie_name(settings: Settings) -> str:
    """Returns its name: by https one that no other host of the domain can set (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-slipway" if is_secure(settings) else "slipway"


def set_cookie(response: Response, settings: Settings, cookie: Cookie | None) -> None:
    """Sets it for as long as the browser runs; None takes it away. The database ends the session sooner."""
    name = cookie_name(settings)
    how: dict[str, Any] = {"path": "/", "secure": is_secure(settings), "httponly": True, "samesite": "Lax"}
    if cookie is None:
        response.delete_cookie(name, **how)
    else:
        response.set_cookie(name, cookie.text, **how)


@dataclass(slots=True)
class Visit:
    """It is a request. `principal` is None until the database was asked, and where the registry is open."""

    services: Services
    request: Request
    address: str
    cookie: Cookie | None
    principal: Principal | None = None
    authority: Authority = NO_AUTHORITY
    rank: int = 0

    @property
    def is_open(self) -> bool:
        return self.services.settings.access == "open"

    @property
    def seen_by(self) -> int | None:
        """Returns whose grants decide what lists show; None where all may be seen."""
        if self.is_open or self.cookie is None:
            return None if self.is_open else grants.NOBODY
        return None if self.cookie.is_admin else self.cookie.principal_id

    def ask(self, calls: Sequence[Call[Any]]) -> list[list[Any]]:
        """Returns the rows of each, in one round trip with the session. Raises SignInNeeded and ClaimOutdated."""
        asked = [*([] if self.is_open else [self._session()]), *calls]
        outcomes = self.services.database.batch(asked) if asked else []
        read = [call.statement.read(outcome) for call, outcome in zip(asked, outcomes, strict=True)]
        if self.is_open:
            self.authority = ALL_AUTHORITY
            return read
        self._admit(read[0])
        return read[1:]

    def ask_in(self, repository: RepositoryName, calls: Sequence[Call[Any]]) -> list[list[Any]]:
        """Asks the same of what is in a repository. Raises NotShown for whoever may not pull from it."""
        sees_all = self.seen_by is None
        asked = [*([] if sees_all else [grants.holding(self.seen_by, [repository])]), *calls]
        read = self.ask(asked)
        if sees_all:
            self.rank = 4
            return read
        self.rank = (read[0][0] or {}).get(repository, 0) if read[0] else 0
        if not self.rank:
            raise NotShown(f"There is no repository {repository}, or you have no right to pull from it.")
        return read[1:]

    def ask_as_administrator(self, calls: Sequence[Call[Any]]) -> list[list[Any]]:
        """Asks the same of what only the registry's administrators see. Raises NotAllowed."""
        read = self.ask(calls)
        if not self.authority.over_all:
            raise NotAllowed("This page is for the registry's administrators. One of them can give you that right.")
        return read

    def form_token(self, path: str) -> str:
        """Returns what a form of that address carries: only a page that was shown to this session knows it.

        It looks different each time, so that the length of a compressed page tells nothing of it.
        """
        if self.cookie is None:
            return ""
        mask = secrets.token_bytes(32)
        return (mask + _xor(mask, self._mac(path))).hex()

    def is_form_token(self, token: str, path: str) -> bool:
        if self.cookie is None:
            return self.is_open
        if not re.fullmatch(r"[0-9a-f]{128}", token):
            return False
        sent = bytes.fromhex(token)
        return hmac.compare_digest(_xor(sent[:32], sent[32:]), self._mac(path))

    def _mac(self, path: str) -> bytes:
        secret = self.cookie.secret if self.cookie else ""
        return hmac.digest(secret.encode(), f"console form\n{path}".encode(errors="surrogatepass"), "sha256")

    def _session(self) -> Call[Any]:
        if self.cookie is None:
            raise SignInNeeded
        return sessions.using(self.cookie.hashes(self.services.settings), self.cookie.principal_id)

    def _admit(self, found: list[Any]) -> None:
        if not found or self.cookie is None:
            raise SignInNeeded
        session: sessions.OpenSession = found[0]
        self.principal = session.principal
        if session.principal.is_admin != self.cookie.is_admin:
            self.cookie = Cookie(session.principal.id, session.principal.is_admin, self.cookie.secret)
            raise ClaimOutdated
        self.authority = Authority.of(Standing(session.principal.is_admin, session.patterns))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
