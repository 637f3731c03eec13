"""A repository gets another name: what it holds goes along, figures and quotas with it."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import manifests, moves, repositories, tags, uploads
from functions.registry.metadata.content.moves import Moved, NameTaken, NothingToMove
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.metadata.lists import namespaces
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import NAME_LENGTH, RepositoryName, Tag
from functions.registry.oci.page import Page
from tests.metadata.build import commit_part, push_blob, push_image, query, start_upload, value, write_part
from tests.metadata.usage.test_usage import assert_exact
from tests.support import Image

MIB = 2**20


def move(database: Database, old: str, new: str, *, with_below: bool = False, dry_run: bool = False) -> int:
    return moves.move(
        database, RepositoryName(old), RepositoryName(new), with_below=with_below, dry_run=dry_run
    ).repositories


def fill(database: Database, *names: str) -> None:
    for name in names:
        push_image(database, RepositoryName(name), "latest")


def names(database: Database) -> list[str]:
    return repositories.list_names(database, Page())


def test_all_that_a_repository_holds_goes_along(database: Database) -> None:
    old, new = RepositoryName("team/app"), RepositoryName("group/service/app")
    image = push_image(database, old, "one", "two")
    upload = write_part(database, start_upload(database, old))
    query(database, "UPDATE repositories SET keep_untagged = true")
    assert moves.move(database, old, new, with_below=False, dry_run=False) == Moved(1)
    assert not repositories.exists(database, old)
    assert tags.list_names(database, new, Page()) == ["one", "two"]
    stored = manifests.get(database, new, Tag("two"))
    assert stored is not None
    assert stored.payload == image.manifest
    assert uploads.get(database, old, upload.id) is None
    assert uploads.get(database, new, upload.id) == upload
    assert commit_part(database, old, upload, Digest.of(b"late")) is False
    assert commit_part(database, new, upload, Digest.of(b"late")) is True
    assert value(database, "SELECT keep_untagged FROM repositories")
    assert_exact(database)


def test_the_old_name_is_free_again(database: Database) -> None:
    fill(database, "team/app")
    move(database, "team/app", "group/app")
    fill(database, "team/app")
    assert names(database) == ["group/app", "team/app"]
    move(database, "team/app", "team/other")
    move(database, "group/app", "team/app")
    assert names(database) == ["team/app", "team/other"]
    assert_exact(database)


def test_only_the_leading_part_of_a_name_is_replaced_and_neighbours_stay(database: Database) -> None:
    fill(database, "a/b", "a/b/a/b", "a/b/c", "a/b-c", "a/b.c", "a/bc", "a", "c/a/b")
    assert move(database, "a/b", "x", with_below=True) == 3
    assert names(database) == ["a", "a/b-c", "a/b.c", "a/bc", "c/a/b", "x", "x/a/b", "x/c"]
    assert_exact(database)


def test_without_what_lies_below_one_repository_moves(database: Database) -> None:
    fill(database, "a/b", "a/b/c")
    assert move(database, "a/b", "a/b/d") == 1
    assert move(database, "a/b/c", "a/b") == 1
    assert names(database) == ["a/b", "a/b/d"]
    assert_exact(database)


def test_a_whole_namespace_moves_whether_its_own_name_is_a_repository_or_not(database: Database) -> None:
    fill(database, "team/app", "team/deep/down", "teams/app")
    assert move(database, "team", "group", with_below=True) == 2
    assert names(database) == ["group/app", "group/deep/down", "teams/app"]
    left = namespaces.namespace(database, "team")
    assert left is not None
    assert (left["repositories"], left["tags"], left["bytes"]) == (0, 0, 0)
    assert_exact(database)


def test_a_blob_that_both_namespaces_have_counts_once_in_each(database: Database) -> None:
    image = Image()
    for name in ("team/app", "team/other", "group/app"):
        push_image(database, RepositoryName(name), "latest", image=image)
    move(database, "team/app", "group/moved")
    assert_exact(database)
    move(database, "team/other", "group/other")
    assert_exact(database)
    assert value(database, "SELECT count(DISTINCT namespace_id) FROM namespace_blobs") == 1


@pytest.mark.parametrize("target", ["taken", "taken/below"])
def test_a_name_that_is_taken_is_told(database: Database, target: str) -> None:
    fill(database, "team/app", target)
    with pytest.raises(NameTaken) as refused:
        move(database, "team/app", "taken", with_below=True)
    assert refused.value.name == target
    assert names(database) == sorted(["team/app", target])


def test_a_repository_alone_may_move_beside_others(database: Database) -> None:
    fill(database, "team/app", "taken/below")
    assert move(database, "team/app", "taken") == 1
    with pytest.raises(NameTaken):
        move(database, "taken", "taken/below")
    with pytest.raises(NameTaken):
        move(database, "taken", "taken")


def test_a_tree_moves_into_itself_and_out_of_itself_unless_names_meet(database: Database) -> None:
    fill(database, "a", "a/x")
    assert move(database, "a", "a/b", with_below=True) == 2
    assert names(database) == ["a/b", "a/b/x"]
    assert move(database, "a/b", "a", with_below=True) == 2
    assert names(database) == ["a", "a/x"]
    fill(database, "a/b")
    with pytest.raises(NameTaken) as refused:
        move(database, "a", "a/b", with_below=True)
    assert refused.value.name == "a/b"
    assert_exact(database)


@pytest.mark.parametrize("with_below", [True, False])
def test_what_is_not_there_does_not_move(database: Database, with_below: bool) -> None:
    fill(database, "team/application")
    with pytest.raises(NothingToMove):
        move(database, "team/app", "group/app", with_below=with_below)
    assert value(database, "SELECT count(*) FROM namespaces") == 1


def test_names_stay_as_short_as_clients_can_take(database: Database) -> None:
    long = "a/" + "b" * (NAME_LENGTH - 2)
    fill(database, long)
    with pytest.raises(NameInvalid):
        move(database, "a", "aa", with_below=True)
    assert move(database, "a", "c", with_below=True) == 1


def test_a_dry_run_tells_all_that_a_move_would_and_changes_nothing(database: Database) -> None:
    fill(database, "team/app", "team/app/below", "other")
    assert move(database, "team/app", "group", with_below=True, dry_run=True) == 2
    with pytest.raises(NameTaken):
        move(database, "team/app", "other", with_below=True, dry_run=True)
    quotas.put(database, Quota("group", 1, None))
    with pytest.raises(ChangeRefused):
        move(database, "team/app", "group", with_below=True, dry_run=True)
    assert names(database) == ["other", "team/app", "team/app/below"]
    assert value(database, "SELECT count(*) FROM namespaces WHERE name = 'group'") == 0
    assert_exact(database)


def test_the_new_namespaces_quota_of_bytes_is_obeyed(database: Database) -> None:
    push_blob(database, RepositoryName("team/app"), b"x" * 1000)
    push_blob(database, RepositoryName("group/app"), b"x" * 1000)
    push_blob(database, RepositoryName("team/more"), b"y" * 500)
    quotas.put(database, Quota("group", 1200, None))
    assert move(database, "team/app", "group/moved") == 1, "its only blob is there already"
    with pytest.raises(ChangeRefused, match=r"quota of namespace group is 1200 bytes: 1000 are in use, and 500 more"):
        move(database, "team/more", "group/more")
    quotas.put(database, Quota("group", 1500, None))
    assert move(database, "team/more", "group/more") == 1
    assert_exact(database)


def test_the_new_namespaces_quota_of_repositories_is_obeyed(database: Database) -> None:
    fill(database, "team/app", "team/other", "group/one")
    quotas.put(database, Quota("group", None, 2))
    with pytest.raises(ChangeRefused, match="2 repositories"):
        move(database, "team", "group/all", with_below=True)
    assert move(database, "team/app", "group/app") == 1
    assert move(database, "group/app", "group/renamed") == 1, "within the namespace nothing is added"
    assert_exact(database)
