"""Digests (image-spec, "Digests"): what is accepted, what is refused, and the forms they travel in."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.oci.digest import Digest, parse_algorithm
from functions.registry.oci.errors import DigestInvalid
from tests.unit import strategies

HEX_256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HEX_512 = hashlib.sha512(b"").hexdigest()

REFUSED = {
    "nothing": "",
    "no algorithm": HEX_256,
    "an empty algorithm": f":{HEX_256}",
    "no hash": "sha256:",
    "no colon": f"sha256{HEX_256}",
    "an unknown algorithm": f"md5:{HEX_256[:32]}",
    "a registered algorithm that is not computed here": f"blake3:{HEX_256}",
    "an algorithm in upper case": f"SHA256:{HEX_256}",
    "a hash in upper case": f"sha256:{HEX_256.upper()}",
    "a hash that is too short": f"sha256:{HEX_256[:-1]}",
    "a hash that is too long": f"sha256:{HEX_256}0",
    "the hash of the other algorithm": f"sha512:{HEX_256}",
    "a short hash of the longer algorithm": f"sha256:{HEX_512}",
    "letters that are no digits": f"sha256:{'g' * 64}",
    "the conformance suite's bad digest": "sha256:xyz",
    "digits of another script": f"sha256:{'٣' * 64}",
    "a space before": f" sha256:{HEX_256}",
    "a space after": f"sha256:{HEX_256} ",
    "a line's end": f"sha256:{HEX_256}\n",
    "a line's end in place of a digit": f"sha256:{HEX_256[:-1]}\n",
    "a NUL": f"sha256:{HEX_256[:-1]}\0",
    "two colons": f"sha256::{HEX_256[:-1]}",
    "a path": f"sha256:../{HEX_256[3:]}",
    "half of a surrogate pair": f"sha256:{HEX_256[:-1]}\ud800",
}


@pytest.mark.parametrize(("algorithm", "hexadecimal"), [("sha256", HEX_256), ("sha512", HEX_512)])
def test_every_supported_algorithm_is_parsed(algorithm: str, hexadecimal: str) -> None:
    digest = Digest.parse(f"{algorithm}:{hexadecimal}")
    assert (digest.algorithm, digest.hex) == (algorithm, hexadecimal)
    assert digest == Digest.of(b"", algorithm)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as refusal:
        Digest.parse(text)
    assert refusal.value.detail == {"digest": text}


def test_a_refusal_repeats_no_more_than_the_start_of_what_was_sent() -> None:
    for text in ("x" * 100_000, "sha256:" + "x" * 100_000):
        with pytest.raises(DigestInvalid) as refusal:
            Digest.parse(text)
        assert refusal.value.detail == {"digest": text[:200]}


def test_content_is_named_by_sha256_unless_told_otherwise() -> None:
    assert str(Digest.of(b"")) == f"sha256:{HEX_256}"
    assert str(Digest.of(b"", "sha512")) == f"sha512:{HEX_512}"


@given(strategies.digests())
def test_parsing_and_formatting_are_inverse(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@given(strategies.digests())
def test_the_stored_form_is_one_byte_longer_than_the_hash_and_reads_back(digest: Digest) -> None:
    stored = digest.to_bytes()
    assert len(stored) == 1 + len(digest.hex) // 2
    assert Digest.from_bytes(stored) == digest


@pytest.mark.parametrize(("algorithm", "code"), [("sha256", 1), ("sha512", 2)])
def test_the_stored_form_begins_with_the_code_that_databases_already_hold(algorithm: str, code: int) -> None:
    content = b"some content"
    assert Digest.of(content, algorithm).to_bytes() == bytes([code]) + hashlib.new(algorithm, content).digest()


@given(strategies.digests(), strategies.digests())
def test_digests_sort_as_the_database_sorts_their_stored_form(one: Digest, other: Digest) -> None:
    assert (one < other) == (one.to_bytes() < other.to_bytes())


@given(st.binary(max_size=100), strategies.algorithms())
def test_a_digest_is_what_hashlib_says(content: bytes, algorithm: str) -> None:
    assert Digest.of(content, algorithm).hex == hashlib.new(algorithm, content).hexdigest()


@given(strategies.hostile_texts())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for attempt in (text, f"sha256:{text}"):
        try:
            assert str(Digest.parse(attempt)) == attempt
        except DigestInvalid:
            continue


def test_an_announced_algorithm_is_one_that_is_computed_here() -> None:
    assert parse_algorithm("sha256") == "sha256"
    assert parse_algorithm("sha512") == "sha512"


@pytest.mark.parametrize("text", ["", "sha1", "SHA256", "sha256 ", "sha384", "x" * 10_000])
def test_any_other_announced_algorithm_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid) as refusal:
        parse_algorithm(text)
    assert refusal.value.detail == {"algorithm": text[:50]}
