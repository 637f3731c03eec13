"""Requests to a registry: signed in, tried again where that helps, pages followed, refusals made into exit codes."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from typing import IO, Any, Final
from urllib.parse import urljoin, urlsplit

import click
import requests

from slipway_cli import VERSION
from slipway_cli.contexts import Registry
from slipway_cli.credentials import Credentials, find_credentials
from slipway_cli.failures import Away
from slipway_cli.refusals import PASSING, away, no_slipway, refusal
from slipway_cli.tokens import Challenge, Tokens

# To connect, and between two bytes of an answer.
_SECONDS: Final = (10, 60)
# A recount reads all there is, for four minutes at most.
_LONG_SECONDS: Final = (10, 300)
_TRIES: Final = 3
_LONGEST_PAUSE: Final = 10.0
_TOO_MANY: Final = 429
# A part of a path that is none, a query, or an escaped sign.
_ELSEWHERE: Final = re.compile(r"[?#%\s]|//|/\.{1,2}(/|$)")


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Where nothing signs in, requests would look into ~/.netrc."""
    return request


class Document(dict[str, Any]):
    """An answer's JSON. What it should have and lacks raises Away: whatever answers there is no Slipway."""

    def __init__(self, content: dict[str, Any], host: str) -> None:
        super().__init__(content)
        self._host = host

    @classmethod
    def of(cls, registry: Registry, answer: requests.Response) -> Document:
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise no_slipway(registry.host, "with something else than its JSON")
        return cls(content, registry.host)

    def __missing__(self, key: str) -> Any:
        raise no_slipway(self._host, f"without {key}")


class Client:
    """One registry. Every method raises Failed or one of its kinds."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.session = requests.Session()
        self.session.headers["User-Agent"] = f"slipway/{VERSION}"
        self.session.auth = _no_netrc
        if registry.is_here:
            # A proxy is for what lies beyond this machine.
            self.session.trust_env = False
        self._tokens = Tokens(self.session, registry)
        self.seconds = _SECONDS
        self._looked = False
        self._credentials: Credentials | None = None

    @property
    def credentials(self) -> Credentials | None:
        """Looks for them when the first request is made: `--help` never waits for a helper."""
        if not self._looked:
            self._credentials, self._looked = find_credentials(self.registry), True
        return self._credentials

    def get(self, path: str, **parameters: Any) -> Any:
        return Document.of(self.registry, self.request("GET", _of_names(path), parameters=parameters))

    def send(self, method: str, path: str, document: dict[str, Any] | None = None, *, is_long: bool = False) -> Any:
        """Sends a change, and returns what is answered: None where the answer has no content."""
        body = {} if document is None and method != "DELETE" else document
        answer = self.request(method, _of_names(path), document=body, is_long=is_long)
        return Document.of(self.registry, answer) if answer.content else None

    def pages(self, path: str, key: str, limit: int | None, **parameters: Any) -> Iterator[Any]:
        """Yields what all pages hold under `key`, at most `limit`; each page is asked for when it is needed."""
        while True:
            answer = self.request("GET", path, parameters=parameters)
            for item in Document.of(self.registry, answer)[key] or ():
                yield item
                limit = None if limit is None else limit - 1
                if limit == 0:
                    return
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            path, parameters = self.own_path(following), {}

    def request(
        self,
        method: str,
        path: str,
        *,
        parameters: dict[str, Any] | None = None,
        document: dict[str, Any] | None = None,
        is_long: bool = False,
        redirects: bool = False,
        headers: dict[str, str] | None = None,
        content: IO[bytes] | None = None,
        is_streamed: bool = False,
    ) -> requests.Response:
        """Returns a success; or with `redirects` one of these, which is not followed.

        `content` is sent from its beginning; a streamed answer's is still to be read.
        """
        given = {name: _text(value) for name, value in (parameters or {}).items() if value is not None}
        what: dict[str, Any] = {"params": given, "json": document, "data": content, "stream": is_streamed}
        answer = self._try(method, path, is_long=is_long, headers=headers or {}, **what)
        if answer.status_code == requests.codes.unauthorized:
            challenge = Challenge.of(answer)
            if challenge is not None and (token := self._tokens.answer(challenge, path, self.credentials)):
                authorised = {**(headers or {}), "Authorization": f"Bearer {token}"}
                answer = self._try(method, path, is_long=is_long, headers=authorised, **what)
        if answer.status_code >= requests.codes.multiple_choices and not (redirects and answer.is_redirect):
            raise refusal(self.registry, self.credentials, answer)
        return answer

    def ask_openly(self, path: str) -> requests.Response:
        """Returns whatever it answers to somebody whom it doesn't know."""
        try:
            return self.session.get(self.registry.url + path, timeout=self.seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise away(self.registry, error) from error

    def _try(self, method: str, path: str, *, is_long: bool, headers: dict[str, str], **what: Any) -> requests.Response:
        if "Authorization" not in headers:
            headers = {**headers, **self._tokens.headers(path, self.credentials)}
        for attempt in range(1, _TRIES + 1):
            if what.get("data") is not None:
                what["data"].seek(0)
            try:
                answer = self.session.request(
                    method,
                    self.registry.url + path,
                    headers=headers,
                    timeout=_LONG_SECONDS if is_long else self.seconds,
                    allow_redirects=False,
                    **what,
                )
            except requests.RequestException as error:
                # A change that may have been made isn't made again.
                if attempt == _TRIES or (method != "GET" and not _never_arrived(error)):
                    raise away(self.registry, error) from error
                time.sleep(attempt * random.uniform(0.1, 0.3))  # noqa: S311  # no secret
                continue
            pause = _pause(answer, attempt)
            is_repeatable = method == "GET" or answer.status_code == _TOO_MANY
            if answer.status_code not in PASSING or attempt == _TRIES or pause > _LONGEST_PAUSE or not is_repeatable:
                return answer
            time.sleep(pause)
        raise AssertionError("unreachable")

    def own_path(self, link: str) -> str:
        """Returns the path of a link. One that leads elsewhere would take the credentials along."""
        parts = urlsplit(urljoin(self.registry.url, link))
        if parts.netloc != self.registry.host:
            raise Away(f"{self.registry.host} links to {parts.netloc}, which is not followed")
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _of_names(path: str) -> str:
    """Returns a path that is made of what somebody named. Raises click's UsageError for what would lead elsewhere."""
    if _ELSEWHERE.search(path):
        raise click.UsageError(f"that is no name: {path.rpartition('/api/v1/')[2]}")
    return path


def _never_arrived(error: requests.RequestException) -> bool:
    return isinstance(error, requests.exceptions.ConnectTimeout) or "NewConnectionError" in repr(error)


def _pause(answer: requests.Response, attempt: int) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else attempt * random.uniform(0.5, 1)  # noqa: S311  # no secret


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
