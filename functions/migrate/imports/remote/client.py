"""Another registry as it is asked: what it holds, and its bytes. Nothing that it answers is believed unread."""

from __future__ import annotations

import threading
import time
from collections.abc import Container, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Final
from urllib.parse import quote, urlsplit

from functions.migrate.imports.remote.errors import (
    AnswerInvalid,
    RemoteMissing,
    RemoteRefused,
    RemoteResting,
    RemoteUnavailable,
    TimeOver,
)
from functions.migrate.imports.remote.rate import Rate
from functions.migrate.imports.remote.sign_in import SignIn
from functions.migrate.imports.remote.wire import ANSWER_SECONDS, Answer, Wire
from functions.registry.auth.source_credentials import Credentials
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid
from functions.registry.oci.media_type import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import Reference

# All kinds by name, for some registries have nothing for who doesn't name it; then whatever else there is.
_ACCEPT: Final = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}, */*;q=0.5"
_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.2
_LARGEST_COMPLAINT: Final = 64 << 10
_CATALOG_SCOPE: Final = "registry:catalog:*"
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_NOT_LET_IN: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Head:
    """What a tag or a digest leads to there; `digest` is None where the registry doesn't say."""

    digest: Digest | None
    media_type: str
    size: int | None


class Remote:
    """For all threads of a process; each has connections of its own.

    All methods raise RemoteUnavailable where the registry can't answer now, RemoteRefused where it lets nobody in, and
    RemoteMissing and AnswerInvalid about the one thing that was asked for. Nothing is asked after `until`, by the
    monotonic clock.
    """

    def __init__(
        self, address: str, credentials: Credentials, rate: Rate, *, until: float, private_hosts: Container[str] = ()
    ) -> None:
        """`address` is `https://HOST`."""
        self.address: Final = address.rstrip("/")
        self.host: Final = urlsplit(address).hostname or ""
        self.until = until
        self._rate = rate
        self._sign_in = SignIn(credentials)
        self._private_hosts = private_hosts
        self._thread = threading.local()
        self._wires: list[Wire] = []

    def close(self) -> None:
        for wire in self._wires:
            wire.close()

    @property
    def _wire(self) -> Wire:
        wire: Wire | None = getattr(self._thread, "wire", None)
        if wire is None:
            wire = self._thread.wire = Wire(self._private_hosts)
            self._wires.append(wire)
        return wire

    def greet(self) -> None:
        """Asks whether it is a registry that lets us in."""
        with self._asking("GET", "/v2/", "", {}) as answer:
            answer.read(_LARGEST_COMPLAINT)

    def head(self, repository: str, reference: Reference) -> Head:
        """Asks by HEAD, which no registry counts as a pull."""
        path = f"/v2/{_quoted(repository)}/manifests/{reference}"
        with self._asking("HEAD", path, _pull(repository), {"Accept": _ACCEPT}) as answer:
            digest = answer.headers.get("Docker-Content-Digest")
            try:
                named = Digest.parse(digest) if digest else None
            except DigestInvalid as error:
                raise AnswerInvalid(f"it names a digest that is none: {digest!a:.100}") from error
            return Head(named, answer.headers.get("Content-Type") or "", answer.length)

    def manifest(self, repository: str, reference: Reference, most: int) -> tuple[bytes, str | None]:
        """Returns its bytes, at most `most`, and what it is served as."""
        path = f"/v2/{_quoted(repository)}/manifests/{reference}"
        content, headers = self._read(path, _pull(repository), _ACCEPT, most)
        return content, headers.get("Content-Type")

    def blob_size(self, repository: str, digest: Digest) -> int | None:
        """Returns its size in bytes; None where the registry doesn't say."""
        with self._asking("HEAD", f"/v2/{_quoted(repository)}/blobs/{digest}", _pull(repository), {}) as answer:
            return answer.length

    @contextmanager
    def blob(self, repository: str, digest: Digest, first: int) -> Iterator[tuple[int, Answer]]:
        """Returns the bytes from `first` on, as far as they come; and where they begin, which may be before that."""
        path = f"/v2/{_quoted(repository)}/blobs/{digest}"
        headers = {"Range": f"bytes={first}-"} if first else {}
        seconds = self.until - time.monotonic()
        with self._asking("GET", path, _pull(repository), headers, seconds) as answer:
            begins = first if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
            if begins and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {first}-"):
                raise AnswerInvalid(f"{self.host} sends another range than it was asked for")
            yield begins, answer

    def page(self, path: str, repository: str | None, most: int) -> tuple[bytes, str]:
        """Returns one page of a list, at most so many bytes, and its field `Link`; `repository` None is the catalog."""
        scope = _CATALOG_SCOPE if repository is None else _pull(repository)
        content, headers = self._read(path, scope, f"application/json, {OCI_INDEX}", most)
        return content, headers.get("Link") or ""

    def _read(self, path: str, scope: str, accept: str, most: int) -> tuple[bytes, HTTPMessage]:
        """Returns an answer that is read whole; tried again where it was cut."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._asking("GET", path, scope, {"Accept": accept}) as answer:
                    return answer.read(most), answer.headers
            except (TimeOver, RemoteResting):
                raise
            except RemoteUnavailable:
                if attempt + 1 == _ATTEMPTS:
                    raise
                self._pause(attempt)
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def _asking(
        self, method: str, path: str, scope: str, headers: dict[str, str], seconds: float = ANSWER_SECONDS
    ) -> Iterator[Answer]:
        """Returns an answer of success; others become what this class raises. What may pass is tried again."""
        for attempt in range(_ATTEMPTS):
            sign_in = self._sign_in.header(self._wire, scope, self._rate, self.until)
            with ExitStack() as resources:
                try:
                    asked = self._wire.ask(
                        method, self.address + path, {**headers, **sign_in}, self._rate, self.until, seconds
                    )
                    answer = resources.enter_context(asked)
                except (TimeOver, RemoteResting):
                    raise
                except RemoteUnavailable:
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    self._pause(attempt)
                    continue
                if answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                    yield answer
                    return
                status, challenge = answer.status, answer.headers.get("WWW-Authenticate")
                with suppress(RemoteUnavailable, AnswerInvalid):
                    _drain(answer)
            scope = self._again(status, attempt, challenge, scope, sign_in.get("Authorization"))
        raise RemoteUnavailable(f"{self.host} does not answer {method} {path[:200]}")

    def _again(self, status: int, attempt: int, challenge: str | None, scope: str, used: str | None) -> str:
        """Returns the scope to ask with once more, if that is any use."""
        if status == HTTPStatus.UNAUTHORIZED and attempt < 2:  # noqa: PLR2004  # a token may have run out just now
            return self._sign_in.challenged(challenge, scope, used)
        if status in _NOT_LET_IN:
            raise RemoteRefused(f"{self.host} answers {status}: the name and the secret that it was given don't do")
        if status in _GONE:
            raise RemoteMissing
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if attempt + 1 == _ATTEMPTS:
                raise RemoteUnavailable(f"{self.host} answers {status}")
            self._pause(attempt)
            return scope
        raise AnswerInvalid(f"{self.host} answers {status}")

    def _pause(self, attempt: int) -> None:
        time.sleep(min(_FIRST_PAUSE_SECONDS * 2**attempt, max(0.0, self.until - time.monotonic())))


def _drain(answer: Answer) -> None:
    """Reads the rest, so that the connection can be kept; not of what has no end."""
    if (answer.length or 0) <= _LARGEST_COMPLAINT:
        answer.read(_LARGEST_COMPLAINT)


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _quoted(repository: str) -> str:
    return quote(repository, safe="/")
