"""What a deployment keeps in its secret store, made for this machine: keys, the pepper, the first administrator."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from functions.registry.auth.secrets import make_secret


def make_access_secrets() -> dict[str, str]:
    """Makes them as the environment's variables."""
    key = generate_private_key(SECP256R1())
    return {
        "SLIPWAY_TOKEN_KEYS": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "SLIPWAY_PEPPER": secrets.token_hex(32),
        "SLIPWAY_ADMIN_SECRET": make_secret().text,
    }
