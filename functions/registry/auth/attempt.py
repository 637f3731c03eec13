"""One browser's way to the console's issuer and back. It needs no library: the console knows it from its start."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

BACK: Final = "/console/oidc/back"
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that the browser carries is made of one secret, which its cookie keeps."""

    ticket: str = field(repr=False)

    @classmethod
    def new(cls) -> Attempt:
        return cls(secrets.token_urlsafe(32))

    @classmethod
    def of(cls, ticket: str) -> Attempt | None:
        return cls(ticket) if _TICKET.fullmatch(ticket) else None

    @property
    def state(self) -> str:
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def is_state(self, state: str) -> bool:
        return hmac.compare_digest(state.encode(errors="replace"), self.state.encode())

    def _derived(self, purpose: str) -> str:
        return _base64url(hmac.digest(self.ticket.encode(), purpose.encode(), "sha256"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
