"""A client of the registry as the classic suite is one: it signs in where it is told to, and follows redirects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from tests.conformance.classic_content import Content

_SECONDS: Final = 30
SUCCESS: Final = range(200, 300)
OCTETS: Final = {"Content-Type": "application/octet-stream"}


@dataclass
class Client:
    address: str
    repository: str
    credentials: tuple[str, str] | None = None
    _tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, rest: str, *, repository: str = "", **options: Any) -> requests.Response:
        """`rest` is what follows the repository's name; or a whole path, such as a Location's."""
        path = rest if rest.startswith("/") else f"/v2/{repository or self.repository}/{rest}"
        url = f"http://{self.address}{path}"
        answer = self._send(method, url, options)
        if answer.status_code == requests.codes.unauthorized and self.credentials:
            answer = self._send(method, url, options, self._token(answer))
        return answer

    def push(self, content: Content) -> requests.Response:
        """In one PUT."""
        started = self.ask("POST", "blobs/uploads/")
        query = {"digest": content.digest}
        return self.ask("PUT", location_of(started), params=query, data=content.data, headers=OCTETS)

    def put(self, reference: str, content: Content) -> requests.Response:
        headers = {"Content-Type": content.media_type}
        return self.ask("PUT", f"manifests/{reference}", data=content.data, headers=headers)

    def tags(self, **query: str) -> list[str]:
        answer = self.ask("GET", "tags/list", params=query)
        expect(answer, 200)
        return list(answer.json()["tags"])

    def _send(self, method: str, url: str, options: dict[str, Any], token: str = "") -> requests.Response:
        headers = {**options.get("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        follow = {"allow_redirects": True, "timeout": _SECONDS}
        return requests.request(method, url, **{**options, **follow, "headers": headers})  # noqa: S113  # in `follow`

    def _token(self, refused: requests.Response) -> str:
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', refused.headers["WWW-Authenticate"]))
        scopes = challenge.get("scope", "")
        if scopes not in self._tokens:
            query = {"service": challenge["service"], "scope": scopes.split()}
            answer = requests.get(challenge["realm"], params=query, auth=self.credentials, timeout=_SECONDS)
            self._tokens[scopes] = answer.json()["token"]
        return self._tokens[scopes]


def location_of(answer: requests.Response) -> str:
    """The Location's path and query; that there is one is part of what is asked."""
    location = answer.headers.get("Location", "")
    assert location, f"{answer.status_code} without a Location"
    parts = urlsplit(location)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def expect(answer: requests.Response, *statuses: int) -> None:
    asked = f"{answer.request.method} {urlsplit(str(answer.request.url)).path}"
    wanted = "a success" if len(statuses) >= len(SUCCESS) else " or ".join(map(str, statuses))
    assert answer.status_code in statuses, f"{asked}: {answer.status_code}, not {wanted}: {answer.text[:200]}"
