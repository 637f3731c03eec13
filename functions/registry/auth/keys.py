"""Public keys, each with the one algorithm that it verifies: what a token's header says chooses nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

_SHORTEST_RSA_BITS: Final = 2048
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
# What a thumbprint is made of (RFC 7638 section 3.2, RFC 8037 section 2).
_THUMBPRINT_FIELDS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}


class KeyUnusable(ValueError):
    """It is not a public key, or too weak, or of a kind that signs no tokens."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    key: PublicKey
    algorithm: str

    @classmethod
    def of(cls, key: object) -> VerificationKey:
        """Raises KeyUnusable."""
        if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
            return cls(key, _CURVES[key.curve.name])
        if isinstance(key, Ed25519PublicKey):
            return cls(key, "EdDSA")
        if isinstance(key, RSAPublicKey) and key.key_size >= _SHORTEST_RSA_BITS:
            return cls(key, "RS256")
        raise KeyUnusable(f"must be a public key: EC, Ed25519, or RSA of at least {_SHORTEST_RSA_BITS} bits")

    @classmethod
    def from_jwk(cls, document: Mapping[str, Any]) -> VerificationKey:
        """Reads a key of RFC 7517. Raises KeyUnusable, for a private or a symmetric key as well."""
        try:
            return cls.of(jwt.PyJWK(dict(document)).key)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise KeyUnusable("must be a public key in JSON") from error

    def jwk(self) -> dict[str, str]:
        document = dict(_to_jwk(self.key))
        return {name: document[name] for name in _THUMBPRINT_FIELDS[document["kty"]]}

    @property
    def thumbprint(self) -> str:
        """Returns the key's name by RFC 7638."""
        text = json.dumps(self.jwk(), separators=(",", ":"), sort_keys=True)
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")

    @property
    def fingerprint(self) -> str:
        """Returns the key's name as libtrust makes it, and GitLab and older token servers still do."""
        encoded = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = base64.b32encode(hashlib.sha256(encoded).digest()[:30]).decode()
        return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def read_bundle(text: str) -> Iterator[VerificationKey]:
    """Returns the certificates and public keys of a PEM text, in its order. Raises KeyUnusable."""
    for block in _PEM.finditer(text):
        try:
            if block[1] == "CERTIFICATE":
                yield VerificationKey.of(load_pem_x509_certificate(block[0].encode()).public_key())
            else:
                yield VerificationKey.of(load_pem_public_key(block[0].encode()))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(f"the PEM block {block[1]} holds no usable public key") from error


def pem_blocks(text: str) -> list[bytes]:
    return [block[0].encode() for block in _PEM.finditer(text)]


def _to_jwk(key: PublicKey) -> dict[str, Any]:
    if isinstance(key, RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    return OKPAlgorithm.to_jwk(key, as_dict=True)
