"""How another registry lets us in: with a token from where it says (Bearer), or with a name and a secret (Basic)."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

from functions.migrate.imports.remote.errors import AnswerInvalid, RemoteRefused, RemoteUnavailable
from functions.migrate.imports.remote.rate import Rate
from functions.migrate.imports.remote.wire import Wire
from functions.registry.auth.source_credentials import Credentials

_LARGEST_TOKEN: Final = 64 << 10
# Where an answer doesn't say (Docker's token specification).
_TOKEN_SECONDS: Final = 60.0
# A token is not used in its last seconds: the request that carries it takes some.
_MARGIN_SECONDS: Final = 5.0
_CHALLENGE: Final = re.compile(r"\s*(bearer|basic)(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]+))')
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a 401 asks for. `realm` is the address of tokens, empty for Basic."""

    realm: str
    service: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    expires_at: float


def read_challenge(header: str | None) -> Challenge:
    """Raises AnswerInvalid for one that asks for neither."""
    match = _CHALLENGE.match(header or "")
    if match is None:
        raise AnswerInvalid("it asks for a sign-in that is neither Bearer nor Basic")
    if match[1].lower() == "basic":
        return Challenge("", "", "")
    given = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(match[2] or "")}
    if not given.get("realm"):
        raise AnswerInvalid("its challenge names no realm")
    return Challenge(given["realm"], given.get("service", ""), given.get("scope", ""))


class SignIn:
    """For all threads of a process. What a registry asked for once is sent unasked from then on."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[str, _Token] = {}

    def header(self, wire: Wire, scope: str, rate: Rate, until: float) -> dict[str, str]:
        """Returns what a request in `scope` carries; nothing before the registry has asked for anything."""
        with self._lock:
            challenge = self._challenge
        if challenge is None:
            return {}
        if not challenge.realm:
            return {"Authorization": self._credentials.basic} if self._credentials.basic else {}
        return {"Authorization": f"Bearer {self._token(wire, challenge, scope, rate, until)}"}

    def challenged(self, header: str | None, scope: str, used: str | None) -> str:
        """Takes in a 401 to a request that carried `used`; returns the scope to try once more with.

        Raises RemoteRefused if nothing better can be sent, AnswerInvalid.
        """
        challenge = read_challenge(header)
        wanted = challenge.scope or scope
        with self._lock:
            is_news = self._challenge is None or used is None
            self._challenge = challenge
            token = self._tokens.get(wanted)
            if token is not None and used == f"Bearer {token.text}":
                del self._tokens[wanted]
        if not challenge.realm and (self._credentials.basic is None or not is_news):
            raise RemoteRefused("the registry asks for a name and a secret, or for others than it was given")
        return wanted

    def _token(self, wire: Wire, challenge: Challenge, scope: str, rate: Rate, until: float) -> str:
        with self._lock:
            known = self._tokens.get(scope)
        if known is not None and known.expires_at > time.monotonic():
            return known.text
        fresh = self._fetch(wire, challenge, scope, rate, until)
        with self._lock:
            now = time.monotonic()
            self._tokens = {name: token for name, token in self._tokens.items() if token.expires_at > now}
            self._tokens[scope] = fresh
        return fresh.text

    def _fetch(self, wire: Wire, challenge: Challenge, scope: str, rate: Rate, until: float) -> _Token:
        query = [("service", challenge.service)] if challenge.service else []
        if scope:
            query.append(("scope", scope))
        joint = "&" if urlsplit(challenge.realm).query else "?"
        url = f"{challenge.realm}{joint}{urlencode(query)}" if query else challenge.realm
        headers = {"Accept": "application/json"}
        if self._credentials.basic is not None:
            headers["Authorization"] = self._credentials.basic
        with wire.ask("GET", url, headers, rate, until) as answer:
            status, content = answer.status, answer.read(_LARGEST_TOKEN)
        if status in (400, 401, 403):
            raise RemoteRefused(f"the name and the secret get no token for {scope or 'anything'}: {status}")
        if status != 200:  # noqa: PLR2004  # OK
            raise RemoteUnavailable(f"tokens can't be had now: {status}")
        return _read_token(content)


def _read_token(content: bytes) -> _Token:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnswerInvalid("a token's answer is no JSON") from error
    document = document if isinstance(document, dict) else {}
    text = document.get("token") or document.get("access_token")
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise AnswerInvalid("a token's answer has no token")
    seconds = document.get("expires_in")
    lives = float(seconds) if isinstance(seconds, int) and 0 < seconds < 1 << 31 else _TOKEN_SECONDS
    return _Token(text, time.monotonic() + max(lives - _MARGIN_SECONDS, 1.0))
