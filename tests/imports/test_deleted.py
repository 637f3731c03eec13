"""What somebody deletes here while a source is open never comes back, whatever was listed or imported by then."""

from __future__ import annotations

import pytest

from functions.registry.metadata.content import manifests, moves, removal, tags
from functions.registry.metadata.content.moves import ImportUnfinished
from functions.registry.metadata.db import Database, Followed
from functions.registry.metadata.imports import sources
from functions.registry.oci.name import RepositoryName, Tag
from tests.imports.old import end_listing, open_source
from tests.imports.test_holds import list_tag, listed, touch, touch_tag
from tests.metadata.build import APP, OTHER, push_image, query, value
from tests.support import Image

V1 = Tag("v1")


@pytest.fixture
def source(database: Database) -> int:
    """In lead, and being listed."""
    return open_source(database)


def names_here(database: Database, repository: RepositoryName = APP) -> list[str]:
    here = query(
        database,
        "SELECT tags.name FROM tags JOIN repositories ON repositories.id = repository_id WHERE repositories.name = :n",
        n=str(repository),
    )
    return sorted(name for (name,) in here)


def test_a_tag_that_was_deleted_before_its_repository_was_listed(database: Database, source: int) -> None:
    push_image(database, APP, "v1")
    assert tags.delete(database, APP, V1)
    listed(database, source, APP)
    image = Image()
    list_tag(database, APP, "v1", image.digest)
    touch_tag(database, source, APP, image, "v1")
    assert names_here(database) == []


def test_a_tag_that_was_pushed_and_deleted_in_a_listed_repository(database: Database, source: int) -> None:
    """Nothing of it was ever fetched: no row of the import leads to the repository here."""
    listed(database, source, APP)
    image = Image()
    list_tag(database, APP, "v1", image.digest)
    push_image(database, APP, "v1")
    assert tags.delete(database, APP, V1)
    touch_tag(database, source, APP, image, "v1")
    assert names_here(database) == []


def test_a_tag_that_was_fetched_and_deleted(database: Database, source: int) -> None:
    listed(database, source, APP)
    image = Image()
    list_tag(database, APP, "v1", image.digest)
    touch_tag(database, source, APP, image, "v1")
    assert names_here(database) == ["v1"]
    assert tags.delete(database, APP, V1)
    touch_tag(database, source, APP, image, "v1")
    assert names_here(database) == []


def test_a_manifest_that_was_deleted_by_its_digest_with_the_tags_that_are_not_here_yet(
    database: Database, source: int
) -> None:
    listed(database, source, APP)
    image = Image()
    for tag in ("v1", "v2"):
        list_tag(database, APP, tag, image.digest)
    touch_tag(database, source, APP, image, "v1")
    assert manifests.delete(database, APP, image.digest)
    assert not touch(database, source, APP, image)
    assert not touch_tag(database, source, APP, image, "v2")
    assert value(database, "SELECT count(*) FROM import_deleted WHERE tag IN ('v1', 'v2')") == 2


def test_a_push_of_what_was_deleted_takes_the_mark_away(database: Database, source: int) -> None:
    listed(database, source, APP)
    image = Image()
    assert touch(database, source, APP, image)
    assert manifests.delete(database, APP, image.digest)
    push_image(database, APP, image=image)
    assert value(database, "SELECT count(*) FROM import_deleted WHERE digest <> ''") == 0


def test_a_miss_in_an_imported_repository_is_final(database: Database, source: int) -> None:
    listed(database, source, APP)
    image = Image()
    assert touch(database, source, APP, image)
    query(database, "UPDATE import_repositories SET state = 'imported'")
    assert manifests.delete(database, APP, image.digest)
    assert not touch(database, source, APP, image)


@pytest.mark.parametrize("state", ["listed", "importing", "imported"])
def test_a_repository_that_was_deleted(database: Database, source: int, state: str) -> None:
    listed(database, source, APP)
    image = Image()
    list_tag(database, APP, "v1", image.digest)
    touch_tag(database, source, APP, image, "v1")
    query(database, "UPDATE import_repositories SET state = :s", s=state)
    assert removal.remove(database, APP) is not None
    assert not touch(database, source, APP, image)
    assert not touch_tag(database, source, APP, image, "v1")
    assert value(database, "SELECT count(*) FROM repositories WHERE name = :n", n=str(APP)) == 0
    assert value(database, "SELECT state FROM import_repositories") == "dropped"


def test_a_repository_that_was_deleted_may_be_pushed_anew(database: Database, source: int) -> None:
    listed(database, source, APP)
    push_image(database, APP, "v1")
    assert removal.remove(database, APP) is not None
    push_image(database, APP, "v2")
    assert tags.delete(database, APP, Tag("v2"))
    assert value(database, "SELECT state FROM import_repositories") == "dropped"


def test_an_import_s_own_deletion_is_none_of_somebody(database: Database, source: int) -> None:
    push_image(database, APP, "v1")
    listed(database, source, APP)
    with database._pool.connection(may_block=True) as connection:
        connection.simple("BEGIN; SELECT set_config('slipway.importing', 'content', true); DELETE FROM tags; COMMIT")
    assert value(database, "SELECT count(*) FROM import_deleted") == 0


def test_where_nothing_is_moved_in_nothing_is_remembered(database: Database) -> None:
    image = push_image(database, APP, "v1")
    assert manifests.delete(database, APP, image.digest)
    assert value(database, "SELECT count(*) FROM import_deleted") == 0


@pytest.mark.parametrize("with_below", [False, True])
def test_a_repository_waits_for_its_import_before_it_gets_another_name(
    database: Database, source: int, *, with_below: bool
) -> None:
    """Two names would have to be kept apart at every touch."""
    push_image(database, APP, "v1")
    with pytest.raises(ImportUnfinished):
        moves.move(database, APP, OTHER, with_below=with_below, dry_run=False)
    end_listing(database)
    listed(database, source, APP)
    with pytest.raises(ImportUnfinished):
        moves.move(database, APP, OTHER, with_below=with_below, dry_run=False)
    query(database, "UPDATE import_repositories SET state = 'imported'")
    assert moves.move(database, APP, OTHER, with_below=with_below, dry_run=False).repositories == 1


def test_a_name_that_only_the_older_registry_has_is_taken(database: Database, source: int) -> None:
    end_listing(database)
    push_image(database, APP, "v1")
    listed(database, source, OTHER)
    with pytest.raises(ImportUnfinished):
        moves.move(database, APP, OTHER, with_below=False, dry_run=False)
    below = RepositoryName("team/elsewhere")
    listed(database, source, RepositoryName("team/elsewhere/below"))
    with pytest.raises(ImportUnfinished):
        moves.move(database, APP, below, with_below=True, dry_run=False)
    assert moves.move(database, APP, below, with_below=False, dry_run=False).repositories == 1


class TestFollow:
    """The older registry decides: what is written here would be lost."""

    def test_nothing_is_pushed_or_deleted(self, database: Database, source: int) -> None:
        end_listing(database)
        listed(database, source, APP)
        image = push_image(database, APP, "v1")
        sources.set_mode(database, source, "follow")
        with pytest.raises(Followed):
            push_image(database, APP, "v2")
        with pytest.raises(Followed):
            tags.delete(database, APP, V1)
        with pytest.raises(Followed):
            manifests.delete(database, APP, image.digest)
        with pytest.raises(Followed):
            removal.remove(database, APP)
        with pytest.raises(ImportUnfinished):
            moves.move(database, APP, OTHER, with_below=False, dry_run=False)
        push_image(database, OTHER, "v1")

    def test_the_latest_pattern_decides_and_the_whole_source_takes_all_away(
        self, database: Database, source: int
    ) -> None:
        end_listing(database)
        listed(database, source, APP)
        sources.set_mode(database, source, "follow")
        sources.set_mode(database, source, "lead", "team/*")
        push_image(database, APP, "v1")
        sources.set_mode(database, source, "follow", "team/a*")
        with pytest.raises(Followed):
            push_image(database, APP, "v2")
        sources.set_mode(database, source, "lead", "team/*")
        push_image(database, APP, "v2")
        sources.set_mode(database, source, "follow")
        with pytest.raises(Followed):
            push_image(database, APP, "v3")

    def test_a_name_that_nobody_has_listed_yet_takes_no_writes(self, database: Database, source: int) -> None:
        push_image(database, OTHER, "v1")
        sources.set_mode(database, source, "follow")
        push_image(database, OTHER, "v2")
        with pytest.raises(Followed):
            push_image(database, APP, "v1")
        end_listing(database)
        push_image(database, APP, "v1")

    def test_a_mode_for_no_source_is_none(self, database: Database, source: int) -> None:
        assert not sources.set_mode(database, source + 1, "lead")
        assert not sources.set_mode(database, source + 1, "lead", "team/*")
