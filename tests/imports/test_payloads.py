"""A manifest's bytes are taken as they are, or refused with a reason."""

from __future__ import annotations

import pytest

from functions.registry.imports import payloads
from functions.registry.imports.payloads import Refusal
from functions.registry.oci.digest import Digest
from tests.support import Image, encode

LARGEST = 10_000


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "manifest_empty"),
        (b"{}" * LARGEST, "manifest_too_large"),
        (b'{"schemaVersion": 1, "signatures": []}', "schema1"),
        (b"{", "manifest_json"),
        (b"\xff\xfe{}", "manifest_json"),
        (b"[]", "manifest_json"),
        (b"[" * 5000, "manifest_json"),
        (encode({"schemaVersion": 2, "layers": {}}), "manifest_refused"),
        (encode({"schemaVersion": 2, "config": {"digest": "sha256:x", "size": 1}}), "manifest_refused"),
        (encode({"manifests": [], "layers": []}), "manifest_refused"),
    ],
)
def test_it_says_why(payload: bytes, reason: str) -> None:
    refused = payloads.take(Digest.of(payload), payload, LARGEST)
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


def test_other_bytes_under_its_digest_are_refused() -> None:
    image = Image()
    refused = payloads.take(image.digest, image.manifest + b" ", LARGEST)
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.detail) == ("manifest_digest", f"its bytes have {Digest.of(image.manifest + b' ')}")


def test_schema_1_is_told_before_its_digest() -> None:
    """Its digest is that of a part of its bytes."""
    refused = payloads.take(Digest.of(b"another"), b'{"schemaVersion": 1}', LARGEST)
    assert isinstance(refused, Refusal)
    assert refused.reason == "schema1"


def test_a_type_that_nobody_wrote_is_that_of_the_fields() -> None:
    payload = encode({"schemaVersion": 2, "manifests": []})
    taken = payloads.take(Digest.of(payload), payload, LARGEST)
    assert not isinstance(taken, Refusal)
    assert taken.media_type == "application/vnd.oci.image.index.v1+json"
