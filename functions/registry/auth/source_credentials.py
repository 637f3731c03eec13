"""The name and the secret that another registry takes from us: sealed in the database, and shown to nobody."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Final

from functions.registry.auth.sealing import Seal, SealBroken

_SEALED_FOR: Final = "import credentials"


class CredentialsLost(Exception):
    """They were sealed by a pepper that is gone: they are to be given again."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Both empty for nobody in particular."""

    username: str = ""
    secret: str = field(default="", repr=False)

    @property
    def basic(self) -> str | None:
        if not self.username and not self.secret:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret}".encode()).decode()

    def sealed(self, peppers: str) -> str:
        """Returns what of them is kept."""
        return Seal(peppers).close(json.dumps([self.username, self.secret]).encode(), _SEALED_FOR)


def opened(peppers: str, sealed: str | None) -> Credentials:
    """Raises CredentialsLost."""
    if not sealed:
        return Credentials()
    try:
        username, secret = json.loads(Seal(peppers).open(sealed, _SEALED_FOR))
    except SealBroken as error:
        raise CredentialsLost from error
    return Credentials(username, secret)
