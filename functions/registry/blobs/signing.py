"""V4 signed URLs: a blob leaves the bucket by itself, for whoever holds its URL, until that expires."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from functions.registry.config import SettingInvalid, Settings

_MOST_REMEMBERED: Final = 10_000


class Signer(Protocol):
    """Whoever may sign: `identity` and `algorithm` go into the URL."""

    identity: str
    algorithm: str

    def sign(self, scope: str, text: bytes) -> bytes: ...


class HmacSigner:
    """A service account's HMAC key: no request, 22 µs a URL, but a secret to keep."""

    algorithm = "GOOG4-HMAC-SHA256"

    def __init__(self, access_id: str, secret: str) -> None:
        self.identity = access_id
        self._secret = secret

    def sign(self, scope: str, text: bytes) -> bytes:
        return hmac.digest(_scope_key(self._secret, scope), text, "sha256")


@lru_cache(maxsize=4)
def _scope_key(secret: str, scope: str) -> bytes:
    """Makes a key that is the same all day."""
    key = f"GOOG4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class RsaSigner:
    """A service account's private key, or the IAM service that holds it: one request a URL, no key to keep."""

    algorithm = "GOOG4-RSA-SHA256"

    def __init__(self, identity: str, sign: Callable[[bytes], bytes]) -> None:
        self.identity = identity
        self._sign = sign

    def sign(self, scope: str, text: bytes) -> bytes:  # noqa: ARG002  # the scope is part of the text
        return self._sign(text)


def signer_from(settings: Settings) -> Signer:
    """Raises SettingInvalid if the chosen signer lacks what it needs."""
    if settings.signer == "iam":
        return RsaSigner(settings.signer_identity, _IamService(settings.signer_identity))
    if not settings.signer_secret:
        raise SettingInvalid(f"SLIPWAY_SIGNER_SECRET is not set: the signer {settings.signer} needs it")
    if settings.signer == "hmac":
        return HmacSigner(settings.signer_identity, settings.signer_secret)
    # Imported here, and below: only these signers need Google's authentication.
    from google.oauth2 import service_account  # noqa: PLC0415

    credentials = service_account.Credentials.from_service_account_file(settings.signer_secret)
    return RsaSigner(credentials.service_account_email, credentials.sign_bytes)


class _IamService:
    """Signs as a service account, without its key. Connects at the first signature: garbage collection makes none."""

    def __init__(self, identity: str) -> None:
        self._identity = identity

    def __call__(self, text: bytes) -> bytes:
        if not self._identity:
            raise SettingInvalid("SLIPWAY_SIGNER_IDENTITY is not set: it names the service account that signs URLs")
        signature: bytes = self._service.sign(text)
        return signature

    @cached_property
    def _service(self) -> Any:
        import google.auth  # noqa: PLC0415
        import google.auth.iam  # noqa: PLC0415
        import google.auth.transport.requests  # noqa: PLC0415
        from requests import Session  # noqa: PLC0415

        from functions.registry.blobs.connections import distrusting  # noqa: PLC0415

        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        request = google.auth.transport.requests.Request(distrusting(Session()))
        return google.auth.iam.Signer(request, credentials, self._identity)


@dataclass(frozen=True, slots=True)
class _Signed:
    url: str
    renew_at: datetime


class SignedUrls:
    """URLs for GET of one object each. One that was made lately is given again: at least half its life is left."""

    def __init__(self, settings: Settings, signer: Signer) -> None:
        base = urlsplit(settings.signed_url_base)
        self._origin, self._host = f"{base.scheme}://{base.netloc}", base.netloc
        self._bucket = settings.bucket
        self._life = timedelta(seconds=settings.signed_url_seconds)
        self._signer = signer
        self._remembered: OrderedDict[str, _Signed] = OrderedDict()
        self._lock = threading.Lock()

    def url(self, object_name: str) -> str:
        now = datetime.now(UTC)
        with self._lock:
            signed = self._remembered.get(object_name)
        if signed is None or signed.renew_at <= now:
            signed = _Signed(self._make(object_name, now), now + self._life / 2)
            self._remember(object_name, signed)
        return signed.url

    def _remember(self, object_name: str, signed: _Signed) -> None:
        with self._lock:
            self._remembered[object_name] = signed
            self._remembered.move_to_end(object_name)
            if len(self._remembered) > _MOST_REMEMBERED:
                self._remembered.popitem(last=False)

    def _make(self, object_name: str, now: datetime) -> str:
        """Signs as Cloud Storage describes it, "Signatures" and "Canonical requests"."""
        scope = f"{now:%Y%m%d}/auto/storage/goog4_request"
        path = "/" + quote(f"{self._bucket}/{object_name}", safe="/~")
        query = "&".join(
            f"{name}={quote(value, safe='~')}"
            for name, value in (
                ("X-Goog-Algorithm", self._signer.algorithm),
                ("X-Goog-Credential", f"{self._signer.identity}/{scope}"),
                ("X-Goog-Date", f"{now:%Y%m%dT%H%M%SZ}"),
                ("X-Goog-Expires", str(int(self._life.total_seconds()))),
                ("X-Goog-SignedHeaders", "host"),
                # The store can't be told more: a browser saves the blob and shows nothing of it.
                ("response-content-disposition", "attachment"),
            )
        )
        canonical = "\n".join(["GET", path, query, f"host:{self._host}", "", "host", "UNSIGNED-PAYLOAD"])
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = "\n".join([self._signer.algorithm, f"{now:%Y%m%dT%H%M%SZ}", scope, hashed])
        signature = self._signer.sign(scope, text.encode()).hex()
        return f"{self._origin}{path}?{query}&X-Goog-Signature={signature}"
