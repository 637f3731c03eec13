"""An OpenID Connect issuer on loopback: discovery, key set and Google's tokeninfo, good or bad as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, TypeVar
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from functions.registry.auth.keys import VerificationKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Mood = Literal["good", "down", "failing", "slow", "redirecting", "oversized", "odd"]
Sign = Callable[[bytes], bytes]

LARGE: Final = 65 * 1024
DISCOVERY: Final = "/.well-known/openid-configuration"
KEY_SET: Final = "/keys"
TOKENINFO: Final = "/tokeninfo"


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:  # noqa: ARG001  # makes another key
    """Made once for each number: it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(*keys: PrivateKey) -> str:
    """Writes the keys as a deployment gives them: one after the other."""
    return "".join(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for key in keys)


def public_pem(*keys: PrivateKey) -> str:
    return "".join(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in keys
    )


@cache
def certificate_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """Makes one of `localhost`, signed by itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=1),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


def key_id(key: PrivateKey) -> str:
    return VerificationKey.of(key.public_key()).thumbprint


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def forged(header: dict[str, Any], payload: dict[str, Any] | str, sign: Sign = lambda _: b"") -> str:
    """Put together by hand: what no library would make."""
    body = payload if isinstance(payload, str) else json.dumps(payload)
    text = f"{encoded(json.dumps(header).encode())}.{encoded(body.encode())}"
    return f"{text}.{encoded(sign(text.encode()))}"


def signer(key: PrivateKey) -> Sign:
    algorithm = jwt.get_algorithm_by_name(VerificationKey.of(key.public_key()).algorithm)
    return lambda text: algorithm.sign(text, key)


def hmac_signer(secret: str) -> Sign:
    return lambda text: hmac.digest(secret.encode(), text, hashlib.sha256)


@dataclass
class Issuer:
    """Its keys, what it was asked, and how it answers. `key` signs; the key set holds `published`."""

    address: str = ""
    key: PrivateKey = field(default_factory=rsa_key)
    published: list[dict[str, Any]] = field(default_factory=list)
    # Of the answers: all that a test wants to be wrong.
    discovery: dict[str, Any] = field(default_factory=dict)
    access_tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    mood: Mood = "good"
    redirect_to: str = ""
    fetches: Counter[str] = field(default_factory=Counter)
    requests: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.published = [self.jwk()]

    def jwk(self) -> dict[str, Any]:
        key = VerificationKey.of(self.key.public_key())
        return key.jwk() | {"kid": key.thumbprint, "use": "sig", "alg": key.algorithm}

    def rotate(self, key: PrivateKey, *, keep: bool = False) -> None:
        """Sign with another key from now on."""
        self.key = key
        self.published = [*(self.published if keep else []), self.jwk()]

    def claims(self, audience: Any = "registry.example", **more: Any) -> dict[str, Any]:
        """A job's, good for five minutes; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.address,
            "sub": "repo:octo@1/app@2:ref:refs/heads/main",
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": f"job-{time.monotonic_ns()}",
            **more,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], key: PrivateKey | None = None, **header: Any) -> str:
        used = key or self.key
        algorithm = VerificationKey.of(used.public_key()).algorithm
        return jwt.encode(claims, used, algorithm=algorithm, headers={"kid": key_id(self.key), **header})

    def token(self, **claims: Any) -> str:
        return self.sign(self.claims(**claims))

    def sent_away(self, path: str) -> str:  # noqa: ARG002  # an issuer that signs people in reads it
        """Where a browser that comes to this address is sent; nowhere, if this issuer has no pages."""
        return ""

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        if path == DISCOVERY:
            return 200, {"issuer": self.address, "jwks_uri": f"{self.address}{KEY_SET}", **self.discovery}
        if path == KEY_SET:
            return 200, {"keys": self.published}
        found = self.access_tokens.get(form.get("access_token", [""])[0])
        return (200, dict(found)) if found else (400, {"error": "invalid_token"})


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        if away := self.issuer.sent_away(self.path):
            self.issuer.requests.append(f"{self.command} {self.path}")
            self.send_response(302)
            self.send_header("Location", away)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(parse_qs(body))

    def _answer(self, form: dict[str, list[str]]) -> None:
        issuer = self.issuer
        issuer.fetches[self.path] += 1
        issuer.requests.append(f"{self.command} {self.path}")
        if issuer.mood == "down":
            return
        status, document = issuer.answer(self.path, form)
        body = json.dumps(document).encode()
        if issuer.mood == "failing":
            status, body = 503, b'{"keys": []}'
        elif issuer.mood == "redirecting":
            status = 302
        elif issuer.mood == "oversized":
            body = json.dumps(document | {"padding": "x" * LARGE}).encode()
        elif issuer.mood == "odd":
            body = b"[" * 20_000
        self._send(status, body)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.issuer.redirect_to:
            self.send_header("Location", self.issuer.redirect_to)
        self.end_headers()
        try:
            for start in range(0, len(body), 1 if self.issuer.mood == "slow" else len(body)):
                self.wfile.write(body[start:] if self.issuer.mood != "slow" else body[start : start + 1])
                if self.issuer.mood == "slow":
                    self.issuer.ended.wait(0.1)
        except OSError:
            # Whoever asked had enough.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Nothing: tests look at `requests`."""


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(private_pem(rsa_key()) + certificate_of(rsa_key()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


AnyIssuer = TypeVar("AnyIssuer", bound=Issuer)


@contextmanager
def serve(key: PrivateKey | None = None, *, is_secure: bool = False) -> Iterator[Issuer]:
    """One that runs until the end of the block; a secure one has the certificate of `rsa_key()`."""
    with serving(Issuer(key=key or rsa_key()), is_secure=is_secure) as issuer:
        yield issuer


@contextmanager
def serving(issuer: AnyIssuer, *, is_secure: bool = False) -> Iterator[AnyIssuer]:
    """Serves it until the end of the block."""
    handler = type("Handler", (_Handler,), {"issuer": issuer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    issuer.address = f"http://127.0.0.1:{server.server_address[1]}"
    if is_secure:
        server.socket = _tls().wrap_socket(server.socket, server_side=True)
        issuer.address = f"https://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
