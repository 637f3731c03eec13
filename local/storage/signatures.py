"""V4 signed URLs, checked as Cloud Storage checks them."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from local.storage.calls import Call
from local.storage.errors import StorageError, invalid

_LONGEST: Final = timedelta(days=7)
_SPACES: Final = re.compile(" +")


class Keys:
    """Who may sign: public keys of service accounts, secrets of HMAC keys, by signer id."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys` maps a service account's address to a PEM public key, an HMAC access id to its secret."""
        self._public: dict[str, RSAPublicKey] = {}
        self._secrets: dict[str, str] = {}
        for signer, key in keys.items():
            if key.startswith("-----BEGIN"):
                public = load_pem_public_key(key.encode())
                if not isinstance(public, RSAPublicKey):
                    raise TypeError(f"The key of {signer} is not an RSA key.")
                self._public[signer] = public
            else:
                self._secrets[signer] = key

    def verify(self, signature: "Signature", text: bytes) -> bool:
        """Says whether the signer made this signature over this text."""
        match signature.algorithm:
            case "GOOG4-HMAC-SHA256" if signature.signer in self._secrets:
                secret = f"GOOG4{self._secrets[signature.signer]}".encode()
                for part in signature.scope.split("/"):
                    secret = hmac.digest(secret, part.encode(), "sha256")
                return hmac.compare_digest(hmac.digest(secret, text, "sha256"), signature.value)
            case "GOOG4-RSA-SHA256" if signature.signer in self._public:
                return _is_signed(self._public[signature.signer], signature.value, text)
            case _:
                return False


@dataclass(frozen=True)
class Signature:
    """The X-Goog-* parameters of a signed URL."""

    algorithm: str
    signer: str
    scope: str
    date: str
    lifetime: timedelta
    signed_headers: tuple[str, ...]
    value: bytes

    @classmethod
    def of(cls, call: Call) -> Self:
        """Read the parameters; 400 if one is missing or unreadable."""
        signer, _, scope = call.require("X-Goog-Credential").partition("/")
        try:
            return cls(
                algorithm=call.require("X-Goog-Algorithm"),
                signer=signer,
                scope=scope,
                date=call.require("X-Goog-Date"),
                lifetime=timedelta(seconds=int(call.require("X-Goog-Expires"))),
                signed_headers=tuple(call.require("X-Goog-SignedHeaders").split(";")),
                value=_bytes_of(call.require("X-Goog-Signature")),
            )
        except (ValueError, OverflowError) as error:
            raise invalid("Invalid X-Goog parameter.") from error

    @property
    def expires_at(self) -> datetime:
        try:
            signed_at = datetime.strptime(self.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError as error:
            raise invalid("Invalid X-Goog-Date.") from error
        return signed_at + self.lifetime


def check(call: Call, keys: Keys) -> None:
    """Let a signed call pass.

    Raises 403 without a signature or with one that does not fit the call, 400 for one that expired or lasts longer
    than a week. The 403 shows what should have been signed.
    """
    if "X-Goog-Signature" not in call.query:
        raise StorageError(
            HTTPStatus.FORBIDDEN,
            "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object.",
            reason="forbidden",
            code="AccessDenied",
        )
    signature = Signature.of(call)
    if not timedelta() < signature.lifetime <= _LONGEST:
        raise invalid("X-Goog-Expires must be between 1 and 604800 seconds.")
    if datetime.now(UTC) > signature.expires_at:
        raise StorageError(HTTPStatus.BAD_REQUEST, "The provided token has expired.", code="ExpiredToken")
    canonical = _canonical_request(call, signature.signed_headers)
    text = _string_to_sign(signature, canonical)
    if not keys.verify(signature, text.encode()):
        raise StorageError(
            HTTPStatus.FORBIDDEN,
            "Access denied.",
            reason="forbidden",
            code="SignatureDoesNotMatch",
            details={"StringToSign": text, "CanonicalRequest": canonical},
        )


def _canonical_request(call: Call, signed_headers: tuple[str, ...]) -> str:
    query = "&".join(
        f"{quote(name, safe='~')}={quote(value, safe='~')}"
        for name, value in sorted(call.pairs)
        if name != "X-Goog-Signature"
    )
    headers = (f"{name}:{_SPACES.sub(' ', call.headers.get(name, '').strip())}" for name in signed_headers)
    return "\n".join(
        [
            call.method,
            quote(unquote(call.raw_path), safe="/~"),
            query,
            *headers,
            "",
            ";".join(signed_headers),
            call.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        ]
    )


def _string_to_sign(signature: Signature, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{signature.algorithm}\n{signature.date}\n{signature.scope}\n{digest}"


def _is_signed(key: RSAPublicKey, value: bytes, text: bytes) -> bool:
    try:
        key.verify(value, text, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _bytes_of(text: str) -> bytes:
    # What is not even hexadecimal is a wrong signature like any other.
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
