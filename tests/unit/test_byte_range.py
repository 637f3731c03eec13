"""Byte ranges: `Content-Range` of an upload's chunk (distribution-spec), `Range` of a read (RFC 9110, section 14)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.oci.byte_range import ByteRange, parse_content_range, parse_range
from functions.registry.oci.errors import RangeInvalid, UploadInvalid
from tests.unit import strategies

CONTENT_RANGES = {
    "0-0": ByteRange(0, 0),
    "0-99": ByteRange(0, 99),
    "100-199": ByteRange(100, 199),
    " 0-99 ": ByteRange(0, 99),
    "bytes 0-99/*": ByteRange(0, 99),
    "bytes 0-99/1000": ByteRange(0, 99),
    "bytes=0-99": ByteRange(0, 99),
    "0-99/*": ByteRange(0, 99),
    "0-99/100": ByteRange(0, 99),
    "000-007": ByteRange(0, 7),
    "0-9999999999999999999": ByteRange(0, 9_999_999_999_999_999_999),
}
NO_CONTENT_RANGES = [
    "",
    "0",
    "-",
    "0-",
    "-99",
    "99-0",
    "0--1",
    "0-99/",
    "0-99/x",
    "0-99/*/1",
    "a-b",
    "0x0-0x9",
    "1e1-2e1",
    "+0-99",
    "0 - 99",
    "0-99,100-199",
    "octets 0-99",
    "bytes  0-99",
    "bytes */100",
    "\u0660-\u0669",
    "0-\u00b2",
    "0-99\n1",
    "0-" + "9" * 20,
    "0-" + "9" * 100_000,
]
# Of a blob of 1000 bytes.
RANGES = {
    "bytes=0-499": ByteRange(0, 499),
    "bytes=500-999": ByteRange(500, 999),
    "bytes=0-0": ByteRange(0, 0),
    "bytes=999-999": ByteRange(999, 999),
    "bytes=500-": ByteRange(500, 999),
    "bytes=0-": ByteRange(0, 999),
    "bytes=-500": ByteRange(500, 999),
    "bytes=-1": ByteRange(999, 999),
    "bytes=-1000": ByteRange(0, 999),
    "bytes=-5000": ByteRange(0, 999),
    "bytes=900-5000": ByteRange(900, 999),
    "bytes=0-9999999999999999999": ByteRange(0, 999),
    " bytes=0-9 ": ByteRange(0, 9),
}
WHOLE = [
    None,
    "",
    "bytes",
    "bytes=",
    "bytes=-",
    "bytes=0-1,5-9",
    "lines=0-5",
    "bytes=a-b",
    "bytes=\u0660-\u0669",
    "0-5",
]
OUTSIDE = ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=500-0", "bytes=9999999999999999999-"]


@pytest.mark.parametrize(("text", "expected"), CONTENT_RANGES.items())
def test_a_chunk_says_which_bytes_it_holds(text: str, expected: ByteRange) -> None:
    assert parse_content_range(text) == expected


@pytest.mark.parametrize("text", NO_CONTENT_RANGES, ids=lambda text: repr(text[:20]))
def test_any_other_content_range_is_refused(text: str) -> None:
    with pytest.raises(UploadInvalid) as refusal:
        parse_content_range(text)
    assert refusal.value.detail == {"content_range": text[:100]}


@given(strategies.byte_ranges())
def test_every_form_of_a_content_range_says_the_same(expected: ByteRange) -> None:
    text = f"{expected.first}-{expected.last}"
    for form in (text, f"bytes {text}", f"bytes={text}", f"{text}/*", f"bytes {text}/{expected.last + 1}"):
        assert parse_content_range(form) == expected


@given(strategies.byte_ranges())
def test_both_ends_count(given_range: ByteRange) -> None:
    assert given_range.length == given_range.last - given_range.first + 1 >= 1


@pytest.mark.parametrize(("text", "expected"), RANGES.items())
def test_a_range_is_cut_to_the_blob(text: str, expected: ByteRange) -> None:
    assert parse_range(text, 1000) == expected


@pytest.mark.parametrize("text", WHOLE)
def test_what_asks_for_no_single_range_is_answered_with_the_whole(text: str | None) -> None:
    assert parse_range(text, 1000) is None


@pytest.mark.parametrize("text", OUTSIDE)
def test_a_range_outside_the_blob_is_refused_with_the_blobs_size(text: str) -> None:
    with pytest.raises(RangeInvalid) as refusal:
        parse_range(text, 1000)
    assert refusal.value.size == 1000


@pytest.mark.parametrize("text", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-", "bytes=7-3"])
def test_of_an_empty_blob_every_range_is_the_whole(text: str) -> None:
    assert parse_range(text, 0) is None


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_range_gives_the_bytes_that_a_slice_would(size: int, first: int, length: int) -> None:
    wanted = slice(first, first + length + 1).indices(size)
    text = f"bytes={first}-{first + length}"
    if wanted[0] >= wanted[1]:
        with pytest.raises(RangeInvalid):
            parse_range(text, size)
    else:
        assert parse_range(text, size) == ByteRange(wanted[0], wanted[1] - 1)


@given(strategies.hostile_texts() | st.from_regex(r"bytes=[0-9]*-[0-9]*", fullmatch=True), st.integers(0, 1000))
def test_whatever_is_asked_lies_inside_the_blob(text: str, size: int) -> None:
    try:
        wanted = parse_range(text, size)
    except RangeInvalid:
        return
    assert wanted is None or 0 <= wanted.first <= wanted.last < size
