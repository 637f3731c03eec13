"""Pages of a list (distribution-spec, "Listing Tags"): what is asked for, and the link to the next."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.api.web import pages
from functions.registry.oci.errors import PageInvalid
from functions.registry.oci.page import DEFAULT_SIZE, LARGEST_SIZE, Page
from tests.unit import strategies

ASKED = [
    (None, None, Page(DEFAULT_SIZE, "")),
    ("10", None, Page(10, "")),
    ("0", None, Page(0, "")),
    ("007", None, Page(7, "")),
    (None, "v1", Page(DEFAULT_SIZE, "v1")),
    ("10", "v1", Page(10, "v1")),
    ("10", "", Page(10, "")),
    ("1000", None, Page(1000, "")),
    ("1001", None, Page(LARGEST_SIZE, "")),
    ("10000", None, Page(LARGEST_SIZE, "")),
    ("9" * 5000, None, Page(LARGEST_SIZE, "")),
    ("1", "a\0b", Page(1, "ab")),
]


@pytest.mark.parametrize(("n", "last", "expected"), ASKED, ids=lambda value: str(value)[:20])
def test_a_page_is_what_n_and_last_ask_for(n: str | None, last: str | None, expected: Page) -> None:
    assert Page.parse(n, last) == expected


@pytest.mark.parametrize(
    ("n", "size"), [("9999", 9999), ("10001", 10_000), ("9" * 5000, 10_000), (None, DEFAULT_SIZE), ("", DEFAULT_SIZE)]
)
def test_some_lists_have_longer_pages(n: str | None, size: int) -> None:
    assert Page.parse(n, None, 10_000).size == size


@pytest.mark.parametrize("n", ["-1", "+1", "1.0", "1e3", "0x10", "ten", " 1", "1 ", "1_0", "²", "٣", "1\n", "-"])
def test_a_size_that_is_no_whole_number_is_refused(n: str) -> None:
    with pytest.raises(PageInvalid) as refusal:
        Page.parse(n, None)
    assert refusal.value.detail == {"n": n}


@given(strategies.hostile_texts(), strategies.hostile_texts())
def test_a_page_is_never_larger_than_allowed_and_can_be_sent_to_the_database(n: str, last: str) -> None:
    try:
        page = Page.parse(n, last)
    except PageInvalid:
        return
    assert 0 <= page.size <= LARGEST_SIZE
    assert "\0" not in page.last


@given(st.lists(strategies.tag_texts(), max_size=5), st.integers(0, 5))
def test_one_entry_more_than_asked_says_that_more_follow(entries: list[str], size: int) -> None:
    shown, more = pages.cut(entries, size)
    assert shown == entries[:size]
    assert more == (len(entries) > size)


@given(st.lists(strategies.tag_texts(), min_size=2, max_size=5, unique=True).map(sorted), st.integers(1, 4))
def test_following_the_links_shows_every_name_once(names: list[str], size: int) -> None:
    seen: list[str] = []
    page = Page(size)
    while True:
        left = [name for name in names if name > page.last]
        shown, headers = pages.name_page("/v2/a/tags/list", left[: page.size + 1], page)
        seen += shown
        if not headers:
            break
        page = _page_of(headers["Link"])
    assert seen == names


def _page_of(header: str) -> Page:
    target, _, relation = header.partition(">; ")
    assert relation == 'rel="next"'
    url = urlsplit(target.removeprefix("<"))
    assert (url.scheme, url.netloc, url.path) == ("", "", "/v2/a/tags/list")
    query = parse_qs(url.query)
    return Page.parse(query["n"][0], query["last"][0])


def test_a_page_of_none_links_to_nothing() -> None:
    assert pages.name_page("/v2/a/tags/list", ["v1"], Page(0)) == ([], {})


def test_the_last_page_links_to_nothing() -> None:
    assert pages.name_page("/v2/a/tags/list", ["v1", "v2"], Page(2)) == (["v1", "v2"], {})


def test_what_a_link_carries_can_not_break_out_of_it() -> None:
    hostile = 'a>; rel="prev", <http://elsewhere/&n=1\r\nSet-Cookie: x'
    [header] = pages.link("/v2/a/referrers/b", last=hostile, artifactType="a/b+c").values()
    target, _, relation = header.rpartition(">; ")
    assert relation == 'rel="next"'
    assert not set("<>\r\n ") & set(target[1:])
    assert parse_qs(urlsplit(target[1:]).query) == {"last": [hostile], "artifactType": ["a/b+c"]}
