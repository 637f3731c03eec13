"""Repositories come into being with the first push, and are listed once they hold something."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from functions.registry.metadata.content import blobs, repositories
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page
from tests.metadata.build import APP, OTHER, push_image, query, start_upload, value

NAMES = ["a", "a-b/c", "a/b", "a0", "b.c", "b/c", "b_c", "z/z/z"]


def test_a_repository_exists_once_it_was_created(database: Database) -> None:
    assert repositories.exists(database, APP) is False
    database.batch(repositories.creating(APP))
    assert repositories.exists(database, APP) is True
    assert repositories.exists(database, OTHER) is False
    assert repositories.exists(database, RepositoryName("team")) is False


def test_creating_again_changes_nothing_and_one_namespace_holds_many(database: Database) -> None:
    for repository in (APP, APP, OTHER, RepositoryName("team"), RepositoryName("alone")):
        database.batch(repositories.creating(repository))
    rows = query(
        database,
        "SELECT namespaces.name, repositories.name FROM repositories"
        "  JOIN namespaces ON namespaces.id = namespace_id ORDER BY repositories.name",
    )
    assert rows == [["alone", "alone"], ["team", "team"], ["team", "team/app"], ["team", "team/other"]]


def test_eight_that_create_the_same_repository_at_once_all_succeed(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: database.batch(repositories.creating(APP)), range(8)))
    assert value(database, "SELECT count(*) FROM repositories") == 1
    assert value(database, "SELECT count(*) FROM repository_usage") == 1


def test_names_come_in_the_order_of_their_bytes_a_page_and_one_more_at_a_time(database: Database) -> None:
    for name in reversed(NAMES):
        push_image(database, RepositoryName(name))
    assert repositories.list_names(database, Page()) == NAMES == sorted(NAMES)
    assert repositories.list_names(database, Page(2)) == NAMES[:3]
    assert repositories.list_names(database, Page(2, NAMES[1])) == NAMES[2:5]
    assert repositories.list_names(database, Page(0)) == NAMES[:1]
    assert repositories.list_names(database, Page(3, NAMES[4])) == NAMES[5:]
    assert repositories.list_names(database, Page(3, "a/a")) == NAMES[2:6]
    assert repositories.list_names(database, Page(3, "zz")) == []


def test_a_repository_without_a_manifest_is_not_listed(database: Database) -> None:
    assert repositories.list_names(database, Page()) == []
    start_upload(database, APP)
    image = push_image(database, OTHER)
    assert blobs.mount(database, APP, Digest.of(image.config), OTHER)
    assert repositories.list_names(database, Page()) == [OTHER]
