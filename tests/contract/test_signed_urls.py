"""Signed URLs: ours are those of Google's library, byte by byte, and the store takes them for what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.registry.blobs import signing
from functions.registry.blobs.signing import HmacSigner, RsaSigner, SignedUrls, Signer, signer_from
from functions.registry.config import Settings
from tests.contract.storage_support import Api
from tests.contract.storage_support import HmacSigner as KnownKey

MOMENT: Final = datetime(2026, 3, 4, 5, 6, 7, 890_123, tzinfo=UTC)
LIFE: Final = 1200
NAMES: Final = [
    "blobs/5f3c5a2e-7b0a-4d5e-9c55-0a8a2f1c9b11/0123456789ab",
    "docker/registry/v2/blobs/sha256/e3/e3b0c442/data",
    "a",
    "a b",
    "a+b",
    "a%2Fb",
    "100%",
    "a?b=c&d#e",
    "~tilde_-.",
    "ключ/🐳",
    "a//b/",
    "..",
    "a/../b",
    "!*'();:@&=$,[]{}|\\^`\"<>",
    "line\nbreak",
    "x" * 1024,
]


class Clock:
    """Stands for `datetime` where a module asks what time it is."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self, _: object = None) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Counting:
    """A signer that knows how often it was asked."""

    identity = "counting"
    algorithm = "GOOG4-RSA-SHA256"

    def __init__(self) -> None:
        self.count = 0

    def sign(self, scope: str, text: bytes) -> bytes:  # noqa: ARG002  # what a signer is given
        self.count += 1
        return self.count.to_bytes(4, "big")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(MOMENT)
    monkeypatch.setattr(signing, "datetime", clock)
    return clock


def settings_of(**more: str) -> Settings:
    values = {"DATABASE": "none", "BUCKET": "a-bucket", "SIGNED_URL_SECONDS": str(LIFE), **more}
    return Settings.from_environment({f"SLIPWAY_{name}": value for name, value in values.items()})


def urls_of(signer: Signer, **more: str) -> SignedUrls:
    return SignedUrls(settings_of(**more), signer)


def googles_url(credentials: Any, bucket: str, name: str, base: str) -> str:
    client = storage.Client(project="project", credentials=AnonymousCredentials())
    with mock.patch("google.cloud.storage._signing._NOW", return_value=MOMENT):
        url: str = (
            client.bucket(bucket)
            .blob(name)
            .generate_signed_url(
                version="v4",
                expiration=timedelta(seconds=LIFE),
                credentials=credentials,
                api_access_endpoint=base,
                response_disposition="attachment",
            )
        )
    client.close()
    return url


# ---- the same as Google's


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:30]))
@pytest.mark.parametrize("base", ["https://storage.googleapis.com", "http://localhost:9000"])
@pytest.mark.usefixtures("clock")
def test_a_url_is_the_one_that_googles_library_makes(signing_credentials: Any, base: str, name: str) -> None:
    signer = RsaSigner(signing_credentials.signer_email, signing_credentials.sign_bytes)
    ours = urls_of(signer, SIGNED_URL_BASE=base).url(name)
    assert ours == googles_url(signing_credentials, "a-bucket", name, base)


@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_name_is_written_as_googles_library_writes_it(signing_credentials: Any, clock: Clock, name: str) -> None:
    assert clock.moment == MOMENT
    signer = RsaSigner(signing_credentials.signer_email, signing_credentials.sign_bytes)
    ours = urls_of(signer).url(name)
    assert ours == googles_url(signing_credentials, "a-bucket", name, "https://storage.googleapis.com")


@pytest.mark.usefixtures("clock")
def test_a_key_file_signs_like_its_account(signing_credentials: Any, private_key: Any, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {"type": "service_account", "client_email": signing_credentials.signer_email, "private_key": pem}
    file = tmp_path / "key.json"
    file.write_text(json.dumps({**account, "token_uri": "http://127.0.0.1:1/token"}))
    chosen = settings_of(SIGNER="key-file", SIGNER_SECRET=str(file))
    ours = SignedUrls(chosen, signer_from(chosen)).url("x")
    assert ours == googles_url(signing_credentials, "a-bucket", "x", "https://storage.googleapis.com")


# ---- what the store says


@pytest.fixture
def known(api: Api, hmac_signer: KnownKey) -> SignedUrls:
    """Signed with a key that the store knows, for the bucket of this test."""
    chosen = settings_of(
        BUCKET=api.bucket,
        SIGNER="hmac",
        SIGNER_IDENTITY=hmac_signer.access_id,
        SIGNER_SECRET=hmac_signer.secret,
        SIGNED_URL_BASE=api.endpoint,
    )
    return SignedUrls(chosen, signer_from(chosen))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"..", "a/../b"}], ids=lambda name: name[:20])
def test_the_store_gives_the_object_to_whoever_holds_the_url(known: SignedUrls, api: Api, name: str) -> None:
    api.upload(name, b"content")
    answer = requests.get(known.url(name), timeout=10)
    assert (answer.status_code, answer.content) == (200, b"content")


def test_a_browser_saves_the_object_and_shows_nothing_of_it(known: SignedUrls, api: Api) -> None:
    api.upload("x", b"<script>alert(1)</script>")
    answer = requests.get(known.url("x"), timeout=10)
    assert answer.headers["Content-Disposition"] == "attachment"


def test_a_range_of_the_object_can_be_asked_for(known: SignedUrls, api: Api) -> None:
    api.upload("x", b"0123456789")
    answer = requests.get(known.url("x"), headers={"Range": "bytes=2-4"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, b"234")


def test_a_url_that_was_changed_is_refused(known: SignedUrls, api: Api) -> None:
    api.upload("x", b"x")
    api.upload("y", b"y")
    url = known.url("x")
    changed = [
        url.replace(f"/{api.bucket}/x?", f"/{api.bucket}/y?"),
        url.replace(f"X-Goog-Expires={LIFE}", f"X-Goog-Expires={LIFE + 1}"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url[:-2],
        url.replace("&X-Goog-Signature=", "&X-Goog-Signature=00"),
        url.replace("X-Goog-SignedHeaders=host", "X-Goog-SignedHeaders="),
        url + "&response-content-type=text%2Fhtml",
        url.replace("response-content-disposition=attachment", "response-content-disposition=inline"),
    ]
    assert requests.get(url, timeout=10).status_code == 200
    for other in changed:
        assert other != url
        assert requests.get(other, timeout=10).status_code == 403
    assert requests.put(url, data=b"z", timeout=10).status_code == 403
    assert requests.delete(url, timeout=10).status_code == 403


def test_a_url_signed_with_another_secret_is_refused(api: Api, hmac_signer: KnownKey) -> None:
    api.upload("x", b"x")
    urls = urls_of(HmacSigner(hmac_signer.access_id, "guess"), BUCKET=api.bucket, SIGNED_URL_BASE=api.endpoint)
    assert requests.get(urls.url("x"), timeout=10).status_code == 403


def test_a_url_that_expired_is_refused(known: SignedUrls, api: Api, clock: Clock) -> None:
    api.upload("x", b"x")
    clock.moment = datetime.now(UTC) - timedelta(seconds=LIFE - 60)
    assert requests.get(known.url("x"), timeout=10).status_code == 200
    clock.pass_seconds(-120)
    known._remembered.clear()
    assert requests.get(known.url("x"), timeout=10).status_code == 400


# ---- made once, given often


def test_a_url_is_given_again_until_half_its_life_is_over(clock: Clock) -> None:
    signer = Counting()
    urls = urls_of(signer)
    first = urls.url("x")
    clock.pass_seconds(LIFE / 2 - 0.001)
    assert urls.url("x") == first
    clock.pass_seconds(0.001)
    second = urls.url("x")
    assert second != first
    assert urls.url("x") == second
    assert signer.count == 2


def test_each_object_has_its_own_url(clock: Clock) -> None:
    urls = urls_of(Counting())
    assert clock.moment == MOMENT
    made = {name: urls.url(name) for name in ("x", "y", "X", "x/")}
    assert len(set(made.values())) == 4
    assert {name: urls.url(name) for name in made} == made


def test_no_more_urls_than_a_bound_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_MOST_REMEMBERED", 3)
    signer = Counting()
    urls = urls_of(signer)
    for number in range(10):
        urls.url(f"x{number}")
        assert len(urls._remembered) <= 3
    assert list(urls._remembered) == ["x7", "x8", "x9"]
    urls.url("x9")
    assert signer.count == 10
    urls.url("x0")
    assert signer.count == 11


def test_the_bound_itself_holds_a_busy_day() -> None:
    assert 1000 <= signing._MOST_REMEMBERED <= 100_000


def test_a_signature_that_fails_is_not_remembered() -> None:
    sign = mock.Mock(side_effect=[ConnectionError("the signer is away"), b"\1"])
    urls = urls_of(RsaSigner("someone", sign))
    with pytest.raises(ConnectionError):
        urls.url("x")
    assert urls.url("x").endswith("X-Goog-Signature=01")


# ---- what is in it


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("https://storage.googleapis.com", "storage.googleapis.com"),
        ("https://blobs.example.com/", "blobs.example.com"),
        ("http://localhost:9000", "localhost:9000"),
    ],
)
def test_a_url_leads_to_the_host_of_the_settings(base: str, host: str) -> None:
    url = urlsplit(urls_of(Counting(), SIGNED_URL_BASE=base).url("x"))
    assert (url.scheme, url.netloc, url.path) == (urlsplit(base).scheme, host, "/a-bucket/x")


def test_a_url_says_who_signed_it_when_and_for_how_long(clock: Clock) -> None:
    query = parse_qs(urlsplit(urls_of(HmacSigner("GOOG1KEY", "secret")).url("x")).query)
    assert clock.moment == MOMENT
    assert query["X-Goog-Algorithm"] == ["GOOG4-HMAC-SHA256"]
    assert query["X-Goog-Credential"] == ["GOOG1KEY/20260304/auto/storage/goog4_request"]
    assert query["X-Goog-Date"] == ["20260304T050607Z"]
    assert query["X-Goog-Expires"] == [str(LIFE)]
    assert len(query["X-Goog-Signature"][0]) == 64


def test_the_key_of_a_day_is_not_used_on_the_next(clock: Clock) -> None:
    signer = HmacSigner("GOOG1KEY", "secret")
    first = signer.sign("20260304/auto/storage/goog4_request", b"text")
    assert clock.moment == MOMENT
    assert signer.sign("20260305/auto/storage/goog4_request", b"text") != first
    assert HmacSigner("GOOG1KEY", "other").sign("20260304/auto/storage/goog4_request", b"text") != first
