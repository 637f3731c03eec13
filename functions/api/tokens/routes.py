"""The routes of the token endpoint, and of the keys that its tokens are signed with."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import Route


@dataclass(frozen=True, slots=True)
class GetToken(Route):
    """A token is asked for by Docker's protocol: who asks is in the Authorization header, or nobody. `account` decides
    nothing.
    """

    service: str
    scopes: tuple[str, ...]
    account: str | None
    wants_refresh: bool


@dataclass(frozen=True, slots=True)
class PostToken(Route):
    """A token is asked for by OAuth 2.0 (RFC 6749, RFC 8693): all that is asked is in the body, a form."""


@dataclass(frozen=True, slots=True)
class GetKeySet(Route):
    """The caller asks for the public keys of this registry's tokens (RFC 7517)."""
