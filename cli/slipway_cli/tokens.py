"""The headers that sign a request in: Basic credentials for our own API, tokens for the OCI's."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from slipway_cli.contexts import Registry
from slipway_cli.credentials import Credentials
from slipway_cli.failures import Away, NoRight
from slipway_cli.identities import find_identity
from slipway_cli.refusals import away, no_slipway, refusal

_SECONDS: Final = (10, 60)
_YOUNG_SECONDS: Final = 60
_REPOSITORY: Final = (
    re.compile(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/"),
    re.compile(r"/api/v1/repositories/(.+?)(?:/-/.*)?"),
)
_CATALOG: Final = "registry:catalog:*"


@dataclass(frozen=True, slots=True)
class Challenge:
    """`WWW-Authenticate: Bearer`: where a token comes from."""

    realm: str
    service: str = ""
    scope: str = ""

    @classmethod
    def of(cls, answer: requests.Response) -> Challenge | None:
        kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if kind.lower() != "bearer" or "realm" not in values:
            return None
        return cls(values["realm"], values.get("service", ""), values.get("scope", ""))


def scopes_for(path: str) -> str:
    """Returns all that could be granted for what a path asks: what isn't granted is left out of the token."""
    plain = path.partition("?")[0]
    for pattern in _REPOSITORY:
        if match := pattern.match(plain) if pattern.pattern.startswith("/v2") else pattern.fullmatch(plain):
            return f"repository:{match[1]}:pull,push,delete"
    return _CATALOG


class Tokens:
    """What this run has been given, by scope."""

    def __init__(self, session: requests.Session, registry: Registry) -> None:
        self._session = session
        self._registry = registry
        self._kept: dict[str, str] = {}
        self._fetched_at = 0.0
        self._identity: Credentials | None = None

    def headers(self, path: str, credentials: Credentials | None) -> dict[str, str]:
        """Signs in before the registry has said what it wants: our own API takes a name and a secret as they are."""
        scope = scopes_for(path)
        if scope in self._kept:
            return {"Authorization": f"Bearer {self._kept[scope]}"}
        signs_in = self._identity or credentials
        if signs_in is None:
            return {}
        if signs_in.refresh_token:
            token = self._fetch(f"{self._registry.url}/token", "", scope, signs_in)
            return {"Authorization": f"Bearer {token}"} if token else {}
        if path.startswith("/api/v1/"):
            return {"Authorization": _basic(signs_in)}
        return {}

    def answer(self, challenge: Challenge, path: str, credentials: Credentials | None) -> str | None:
        """Returns a token for what was refused; None if none would be another one. Raises NoRight and Away."""
        scope = scopes_for(path) if scopes_for(path) != _CATALOG else challenge.scope or _CATALOG
        if credentials is None and self._identity is None:
            self._identity = find_identity(challenge.service)
        # One that was fetched just now is refused for another reason than its age: following goes on for hours.
        if scope in self._kept and time.monotonic() - self._fetched_at < _YOUNG_SECONDS:
            return None
        self._require_safe(challenge.realm)
        return self._fetch(challenge.realm, challenge.service, scope, self._identity or credentials)

    def refresh_token(self, challenge: Challenge, name: str, secret: str) -> str:
        """Returns what signs in again without the secret. Raises NoRight and Away."""
        self._require_safe(challenge.realm)
        form = {"grant_type": "password", "username": name, "password": secret, "access_type": "offline"}
        return str(self._post(challenge.realm, {**form, "service": challenge.service})["refresh_token"])

    def _fetch(self, realm: str, service: str, scope: str, credentials: Credentials | None) -> str | None:
        if credentials is not None and credentials.refresh_token:
            form = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token}
            found = self._post(realm, {**form, "service": service, "scope": scope}, credentials)
        else:
            headers = {"Authorization": _basic(credentials)} if credentials else {}
            asked = {"service": service, "scope": scope}
            found = self._ask("GET", realm, credentials, params=asked, headers=headers)
        token = found.get("token") or found.get("access_token")
        if not token:
            return None
        self._kept[scope] = str(token)
        self._fetched_at = time.monotonic()
        return self._kept[scope]

    def _post(self, realm: str, form: dict[str, str], credentials: Credentials | None = None) -> dict[str, Any]:
        return self._ask("POST", realm, credentials, data=form)

    def _ask(self, method: str, realm: str, credentials: Credentials | None, **what: Any) -> dict[str, Any]:
        source = f" (signed in by {credentials.source})" if credentials else ""
        host = self._registry.host
        try:
            answer = self._session.request(method, realm, timeout=_SECONDS, allow_redirects=False, **what)
            if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
                raise NoRight(f"{host} doesn't let you in{source}: {_reason(answer)}", f"`slipway login {host}`")
            if answer.status_code == requests.codes.not_found:
                return {}
            if not answer.ok:
                raise refusal(self._registry, credentials, answer)
            found = answer.json()
        except requests.JSONDecodeError as error:
            raise no_slipway(urlsplit(realm).netloc, "with something else than a token") from error
        except requests.RequestException as error:
            raise away(Registry(realm, self._registry.found), error) from error
        return found if isinstance(found, dict) else {}

    def _require_safe(self, realm: str) -> None:
        """Credentials that go to the registry by TLS go nowhere without it."""
        parts = urlsplit(realm)
        is_same = realm.startswith(f"{self._registry.url}/")
        if parts.scheme != "https" and not is_same:
            raise Away(f"{self._registry.host} asks to sign in at {realm}, which is not encrypted")


def _basic(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.name}:{credentials.secret}".encode()).decode()


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["errors"][0]["message"])
    except (ValueError, LookupError, TypeError):
        return answer.reason
