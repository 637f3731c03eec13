"""Listing: order, pages, prefixes, offsets and globs."""

from pathlib import Path
from typing import Any

import pytest

from local.storage.catalog import LIVE_PAGE
from local.storage.database import Database
from tests.contract.storage_support import Api


def fill(api: Api, *names: str) -> None:
    for name in names:
        assert api.upload(name, name.encode()).status_code == 200


@pytest.fixture
def folders(api: Api) -> None:
    fill(api, "l/a/1", "l/a/2", "l/b/1", "l/x", "l/y", "other")


def names(listed: Any) -> list[str]:
    return [blob.name for blob in listed]


@pytest.mark.usefixtures("folders")
def test_a_delimiter_rolls_folders_up(bucket: Any) -> None:
    listed = bucket.list_blobs(prefix="l/", delimiter="/", retry=None)
    assert names(listed) == ["l/x", "l/y"]
    assert listed.prefixes == {"l/a/", "l/b/"}


@pytest.mark.usefixtures("folders")
def test_objects_and_prefixes_share_the_page(api: Api) -> None:
    entries: list[str] = []
    token = ""
    while True:
        path = api.list_path(prefix="l/", delimiter="/", maxResults="1", pageToken=token)
        page = api.call("GET", path).json()
        found = [item["name"] for item in page.get("items", [])] + page.get("prefixes", [])
        assert len(found) == 1
        entries += found
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert entries == ["l/a/", "l/b/", "l/x", "l/y"]


@pytest.mark.usefixtures("folders")
def test_a_longer_delimiter_is_taken_as_it_is(bucket: Any) -> None:
    listed = bucket.list_blobs(delimiter="/a/", retry=None)
    assert names(listed) == ["l/b/1", "l/x", "l/y", "other"]
    assert listed.prefixes == {"l/a/"}


def test_many_folders_are_listed_in_pages(api: Api, bucket: Any) -> None:
    fill(api, *(f"d{folder}/{number}" for folder in range(5) for number in range(3)))
    listed = bucket.list_blobs(delimiter="/", page_size=2, retry=None)
    assert list(listed) == []
    assert listed.prefixes == {f"d{folder}/" for folder in range(5)}


def test_the_client_reads_page_after_page(api: Api, bucket: Any) -> None:
    fill(api, *(f"p/{number}" for number in range(7)))
    pages = bucket.list_blobs(prefix="p/", page_size=3, retry=None).pages
    assert [[blob.name for blob in page] for page in pages] == [
        ["p/0", "p/1", "p/2"],
        ["p/3", "p/4", "p/5"],
        ["p/6"],
    ]


def test_a_page_that_is_just_full_is_the_last(api: Api) -> None:
    fill(api, "a", "b")
    assert "nextPageToken" not in api.call("GET", api.list_path(maxResults="2")).json()


def test_a_token_goes_on_even_if_its_object_is_gone(api: Api) -> None:
    fill(api, "a", "b", "c")
    page = api.call("GET", api.list_path(maxResults="2")).json()
    api.call("DELETE", api.object_path("b"))
    rest = api.call("GET", api.list_path(pageToken=page["nextPageToken"])).json()
    assert [item["name"] for item in rest["items"]] == ["c"]


def test_offsets_cut_the_listing(api: Api, bucket: Any) -> None:
    fill(api, *(f"p/{number}" for number in range(7)))
    listed = bucket.list_blobs(prefix="p/", start_offset="p/2", end_offset="p/5", retry=None)
    assert names(listed) == ["p/2", "p/3", "p/4"]


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("l/*/1", ["l/a/1", "l/b/1"]),
        ("l/**", ["l/a/1", "l/a/2", "l/b/1", "l/x", "l/y"]),
        ("l/?", ["l/x", "l/y"]),
        ("l/{a,b}/1", ["l/a/1", "l/b/1"]),
        ("l/[!x]", ["l/y"]),
        ("*", ["other"]),
    ],
)
def test_a_glob_selects(bucket: Any, glob: str, found: list[str]) -> None:
    assert names(bucket.list_blobs(match_glob=glob, retry=None)) == found


def test_names_come_in_the_order_of_their_bytes(api: Api, bucket: Any) -> None:
    fill(api, "o/B", "o/a", "o/_", "o/0", "o/é", "o/\U0001f600", "o/\uffee")
    assert names(bucket.list_blobs(retry=None)) == [
        "o/0",
        "o/B",
        "o/_",
        "o/a",
        "o/é",
        "o/\uffee",
        "o/\U0001f600",
    ]


def test_a_listing_of_chosen_fields_has_them(api: Api, bucket: Any) -> None:
    fill(api, "a")
    [blob] = bucket.list_blobs(fields="items(name,size),nextPageToken", retry=None)
    assert (blob.name, blob.size) == ("a", 1)


def test_an_empty_bucket_lists_nothing(bucket: Any) -> None:
    assert list(bucket.list_blobs(retry=None)) == []


@pytest.mark.parametrize("query", [{"maxResults": "many"}, {"pageToken": "é"}])
def test_a_page_that_makes_no_sense_is_refused(api: Api, query: dict[str, str]) -> None:
    assert api.call("GET", api.list_path(**query)).status_code == 400


def test_a_page_reads_its_own_rows_only(tmp_path: Path) -> None:
    database = Database(tmp_path / "metadata.db")
    try:
        [(*_, step)] = database.rows(f"EXPLAIN QUERY PLAN {LIVE_PAGE}", "bucket", "start", 1000)
    finally:
        database.close()
    assert step == "SEARCH objects USING INDEX live_objects (bucket=? AND name>?)"
