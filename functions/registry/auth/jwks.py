"""The keys of other issuers: fetched when they are needed, and kept for a while, or as long as the issuer is down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from functions.registry import outgoing, telemetry
from functions.registry.auth.caller import IssuerUnavailable, TokenRefused
from functions.registry.auth.keys import KeyUnusable, VerificationKey
from functions.registry.outgoing import OutgoingFailed

_OLDEST_SECONDS: Final = 300
# A token can name any key: it must not make us ask each time.
_UNKNOWN_KEY_SECONDS: Final = 30
_RETRY_SECONDS: Final = 5
_OK: Final = 200

Keys = Mapping[str, VerificationKey]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Where:
    """It says which hosts may be asked beside public ones."""

    may_be_loopback: bool
    private_hosts: Container[str]

    @classmethod
    def of(cls, issuer: str, private_hosts: Container[str]) -> Where:
        """Lets only an issuer on this machine have what it describes on this machine."""
        return cls(outgoing.is_loopback(issuer), private_hosts)


class KeySets:
    """Each issuer has a set of its own: a key of one verifies nothing of another. `private_hosts` may be in our own
    network.
    """

    def __init__(self, clock: Clock = time.monotonic, private_hosts: Container[str] = ()) -> None:
        self._clock = clock
        self._private_hosts = private_hosts
        self._sets: dict[str, KeySet] = {}
        self._lock = threading.Lock()

    def key(self, issuer: str, key_id: str) -> VerificationKey:
        """Finds a key by OpenID Connect Discovery: call it only for an issuer that is trusted.

        Raises TokenRefused if the issuer has no such key, IssuerUnavailable if it has never answered.
        """
        with self._lock:
            fetch = partial(_discovered_keys, issuer, self._private_hosts)
            keys = self._sets.setdefault(issuer, KeySet(issuer, fetch, self._clock))
        return keys.key(key_id)


def key_set_at(url: str, private_hosts: Container[str] = (), clock: Clock = time.monotonic) -> KeySet:
    """Returns the key set of an issuer that publishes it at a known address."""
    where = Where.of(url, private_hosts)
    return KeySet(url, lambda: _fetch(url, where), clock)


class KeySet:
    """It keeps what `fetch` gives, which is called seldom. `name` is for people."""

    def __init__(self, name: str, fetch: Callable[[], Keys], clock: Clock) -> None:
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._keys: Keys | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = threading.Lock()

    def key(self, key_id: str) -> VerificationKey:
        """Raises as KeySets.key."""
        known = self._keys is not None and key_id in self._keys
        is_fresh = self._clock() < self._fetched_at + _OLDEST_SECONDS
        # While one asks, those whose key is known go on with it; the others wait, and look again.
        if not (known and is_fresh) and self._fetching.acquire(blocking=not known):
            try:
                self._refresh(key_id)
            finally:
                self._fetching.release()
        return self._find(key_id)

    def _find(self, key_id: str) -> VerificationKey:
        if self._keys is None:
            raise IssuerUnavailable(f"{self._name} doesn't answer: try again later")
        key = self._keys.get(key_id)
        if key is None:
            raise TokenRefused(f"the token is signed by a key that {self._name} doesn't have")
        return key

    def _refresh(self, key_id: str) -> None:
        now = self._clock()
        is_current = self._keys is not None and key_id in self._keys and now < self._fetched_at + _OLDEST_SECONDS
        if is_current or now < self._tried_at + (_RETRY_SECONDS if self._keys is None else _UNKNOWN_KEY_SECONDS):
            return
        try:
            self._keys = self._fetch()
            self._fetched_at = self._clock()
        except OutgoingFailed as failure:
            telemetry.log("WARNING", "an issuer's keys could not be fetched", issuer=self._name, reason=str(failure))
        finally:
            # Of the end: a slow answer is no reason to ask sooner.
            self._tried_at = self._clock()


def discover(issuer: str, private_hosts: Container[str]) -> dict[str, Any]:
    """Returns the issuer's own description (OpenID Connect Discovery, section 4). Raises OutgoingFailed."""
    where = Where.of(issuer, private_hosts)
    document = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration", where)
    if document.get("issuer") != issuer:
        raise OutgoingFailed("the discovery document is another issuer's")
    return document


def _discovered_keys(issuer: str, private_hosts: Container[str]) -> Keys:
    url = discover(issuer, private_hosts).get("jwks_uri")
    if not isinstance(url, str):
        raise OutgoingFailed("the discovery document has no jwks_uri")
    return _fetch(url, Where.of(issuer, private_hosts))


def _fetch(url: str, where: Where) -> Keys:
    entries = _document(url, where).get("keys")
    if not isinstance(entries, list):
        raise OutgoingFailed("the key set has no keys")
    found = {}
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("kid"), str) and entry.get("use", "sig") == "sig":
            try:
                found[entry["kid"]] = VerificationKey.from_jwk(entry)
            except KeyUnusable:
                # Sets may hold keys of kinds that are not for us.
                continue
    if not found:
        raise OutgoingFailed("the key set has no key that could be used")
    return found


def _document(url: str, where: Where) -> dict[str, Any]:
    answer = outgoing.ask(url, may_be_loopback=where.may_be_loopback, private_hosts=where.private_hosts)
    if answer.status != _OK:
        raise OutgoingFailed(f"the answer is {answer.status}")
    return answer.document
