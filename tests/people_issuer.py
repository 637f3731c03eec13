"""An issuer that signs people in, on loopback: OpenID Connect's code flow with PKCE, good or bad as a test wants it.

Its contract is tests/contract/test_people_issuer.py.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.issuer import DISCOVERY, Issuer, rsa_key

AUTHORIZE: Final = "/authorize"
TOKEN: Final = "/token"
CLIENT: Final = "slipway-console"
CLIENT_SECRET: Final = "a secret of the console's client"  # of a test


@dataclass
class PeopleIssuer(Issuer):
    """Whoever comes is signed in there already, as `person`. `wrong` are claims that a test wants to be otherwise."""

    key: Any = field(default_factory=rsa_key)
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "248289761001", "email": "ana@example.com", "email_verified": True}
    )
    client_secret: str = CLIENT_SECRET
    refusing: str = ""
    wrong: dict[str, Any] = field(default_factory=dict)
    # Signs in place of its own key: for forged tokens.
    forge: Any = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sent_away(self, path: str) -> str:
        parts = urlsplit(path)
        if parts.path != AUTHORIZE:
            return ""
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if asked["client_id"] != CLIENT or asked["response_type"] != "code" or asked["code_challenge_method"] != "S256":
            return f"{self.address}/refused"
        if self.refusing:
            return f"{asked['redirect_uri']}?{urlencode({'error': self.refusing, 'state': asked['state']})}"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.address}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if path == TOKEN:
            return self._exchange({name: values[0] for name, values in form.items()})
        if path == DISCOVERY:
            ends = {f"{name}_endpoint": f"{self.address}{place}" for name, place in _ENDPOINTS.items()}
            return 200, {"issuer": self.address, "jwks_uri": f"{self.address}/keys", **ends, **self.discovery}
        return super().answer(path, form)

    def _exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Does what RFC 6749 (4.1.3) and RFC 7636 (4.6) say: a code is good once, and for its verifier."""
        asked = self.codes.pop(form.get("code", ""), None)
        if form.get("client_id") != CLIENT or form.get("client_secret", "") != self.client_secret:
            return 401, {"error": "invalid_client"}
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {"error": "invalid_grant"}
        claims = self.claims(**{"audience": CLIENT, "nonce": asked["nonce"], **self.person, **self.wrong})
        token = self.forge(claims) if self.forge else self.sign(claims)
        return 200, {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token}


_ENDPOINTS: Final = {"authorization": AUTHORIZE, "token": TOKEN}
