"""Tags are listed in the order of their bytes, and deleted one by one."""

from __future__ import annotations

from functions.registry.metadata.content import manifests, tags
from functions.registry.metadata.db import Database
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page
from tests.metadata.build import APP, OTHER, push_image, start_upload

NAMES = ["0", "1.10", "1.9", "Latest", "_", "a-b", "a.b", "latest", "null"]


def test_tags_come_in_the_order_of_their_bytes_a_page_and_one_more_at_a_time(database: Database) -> None:
    push_image(database, APP, *reversed(NAMES))
    push_image(database, OTHER, "elsewhere")
    assert tags.list_names(database, APP, Page()) == NAMES == sorted(NAMES)
    assert tags.list_names(database, APP, Page(2)) == NAMES[:3]
    assert tags.list_names(database, APP, Page(2, "1.9")) == NAMES[3:6]
    assert tags.list_names(database, APP, Page(2, "1.95")) == NAMES[3:6]
    assert tags.list_names(database, APP, Page(9, "a.b")) == NAMES[7:]
    assert tags.list_names(database, APP, Page(0)) == NAMES[:1]


def test_a_list_without_tags_differs_from_one_of_no_repository(database: Database) -> None:
    assert tags.list_names(database, APP, Page()) is None
    start_upload(database, APP)
    assert tags.list_names(database, APP, Page()) == []
    push_image(database, APP, "one")
    assert tags.list_names(database, APP, Page(10, "one")) == []
    assert tags.list_names(database, OTHER, Page()) is None


def test_deleting_a_tag_leaves_the_manifest_and_its_other_tags(database: Database) -> None:
    image = push_image(database, APP, "one", "two")
    push_image(database, OTHER, "one")
    assert tags.delete(database, APP, Tag("one")) is True
    assert tags.delete(database, APP, Tag("one")) is False
    assert tags.delete(database, APP, Tag("never")) is False
    assert tags.list_names(database, APP, Page()) == ["two"]
    assert tags.list_names(database, OTHER, Page()) == ["one"]
    assert manifests.get(database, APP, Tag("one")) is None
    assert manifests.get(database, APP, image.digest) is not None
