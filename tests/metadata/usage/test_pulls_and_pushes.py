"""Pulls and pushes that were counted elsewhere are added to all that they were of."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Final

import pytest

from functions.registry.metadata.content import manifests, tags
from functions.registry.metadata.db import Database
from functions.registry.metadata.usage import counters as usage
from functions.registry.metadata.usage import pulls_and_pushes
from functions.registry.metadata.usage.pulls_and_pushes import MOST_TAGS, Counts
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    push_image,
    push_index,
    put,
    query,
    value,
    wait_until_blocked,
)
from tests.metadata.usage.test_usage import assert_exact
from tests.support import Image, index_of

DAY: Final = 86_400.0


def counted(
    repository: RepositoryName = APP,
    tag: str | None = None,
    digest: Digest | None = None,
    pulls: int = 0,
    pushes: int = 0,
    age: float = 0,
) -> Counts:
    return Counts(repository, Tag(tag) if tag else None, digest, pulls, pushes, age)


def of_tag(database: Database, name: str, repository: str = "team/app") -> int:
    pulls: int = value(
        database,
        "SELECT pulls FROM tags JOIN repositories ON repositories.id = repository_id"
        " WHERE tags.name = :tag AND repositories.name = :repository",
        tag=name,
        repository=repository,
    )
    return pulls


def of_repository(database: Database, name: str = "team/app") -> int:
    pulls: int = value(
        database, "SELECT pulls FROM repository_usage JOIN repositories ON id = repository_id WHERE name = :n", n=name
    )
    return pulls


def of_namespace(database: Database, name: str = "team") -> int:
    pulls: int = value(
        database, "SELECT pulls FROM namespace_usage JOIN namespaces ON id = namespace_id WHERE name = :n", n=name
    )
    return pulls


def of_manifest(database: Database, digest: Digest) -> int:
    pulls: int = value(
        database,
        "SELECT CAST(coalesce(sum(pulls), 0) AS bigint) FROM manifest_days"
        " JOIN manifests ON manifests.id = manifest_id WHERE digest = :digest",
        digest=digest.to_bytes(),
    )
    return pulls


def of_registry(database: Database) -> list[list[Any]]:
    return query(database, "SELECT pushes, pulls FROM registry_days ORDER BY day")


def test_a_pull_by_tag_counts_for_the_tag_the_manifest_the_repository_the_namespace_and_the_registry(
    database: Database,
) -> None:
    image = push_image(database, APP, "a", "b")
    push_image(database, OTHER, "a")
    assert pulls_and_pushes.add(database, [counted(tag="a", digest=image.digest, pulls=3)]) == 1
    assert (of_tag(database, "a"), of_tag(database, "b"), of_tag(database, "a", "team/other")) == (3, 0, 0)
    assert of_manifest(database, image.digest) == 3
    assert (of_repository(database), of_repository(database, "team/other"), of_namespace(database)) == (3, 0, 3)
    assert of_registry(database) == [[0, 3]]
    for table in ("tag_days", "repository_days", "namespace_days"):
        assert query(database, f"SELECT pushes, pulls FROM {table}") == [[0, 3]]  # noqa: S608


def test_when_it_was_pulled_last_is_kept(database: Database) -> None:
    image = push_image(database, APP, "a")
    never = "SELECT count(*) FROM tags WHERE pulled_at = '-infinity'"
    assert value(database, never) == 1
    for age, expected in ((60.0, 60), (30.0, 30), (90.0, 30)):
        pulls_and_pushes.add(database, [counted(tag="a", digest=image.digest, pulls=1, age=age)])
        for table in ("tags", "repository_usage", "namespace_usage"):
            ago = value(database, f"SELECT extract(epoch FROM now() - pulled_at) FROM {table}")  # noqa: S608
            assert expected <= float(ago) < expected + 10, table


def test_a_push_is_no_pull(database: Database) -> None:
    image = push_image(database, APP, "a", "b")
    digest = image.digest
    pulls_and_pushes.add(database, [counted(tag="a", digest=digest, pushes=1), counted(tag="b", pushes=1)])
    assert value(database, "SELECT count(*) FROM tags WHERE pulled_at > '-infinity' OR pulls > 0") == 0
    assert query(database, "SELECT tag, pushes, pulls FROM tag_days ORDER BY tag") == [["a", 1, 0], ["b", 1, 0]]
    for table in ("manifest_days", "repository_days", "namespace_days", "registry_days"):
        assert query(database, f"SELECT pushes, pulls FROM {table}") == [[1, 0]], "one push of two tags"  # noqa: S608


def test_a_pull_by_digest_counts_for_the_tags_that_name_it(database: Database) -> None:
    image = push_image(database, APP, "a", "b")
    push_image(database, APP, "c")
    pulls_and_pushes.add(database, [counted(digest=image.digest, pulls=2)])
    assert [of_tag(database, name) for name in "abc"] == [2, 2, 0]
    assert (of_repository(database), of_manifest(database, image.digest)) == (2, 2)


def test_a_manifest_with_very_many_tags_counts_for_the_latest(database: Database) -> None:
    names = [f"t{number:04}" for number in range(MOST_TAGS + 5)]
    image = push_image(database, APP, *names)
    query(database, "UPDATE tags SET updated_at = now() + interval '1 hour' WHERE name = 't0104'")
    pulls_and_pushes.add(database, [counted(digest=image.digest, pulls=1)])
    assert value(database, "SELECT count(*) FROM tags WHERE pulls = 1") == MOST_TAGS
    assert of_tag(database, "t0104") == 1


def test_what_an_index_lists_counts_for_itself_alone(database: Database) -> None:
    listed, tagged = push_image(database, APP), push_image(database, APP, "amd64")
    index = push_index(database, APP, "a", of=[listed, tagged])
    pulls_and_pushes.add(
        database,
        [
            counted(tag="a", digest=index, pulls=1),
            counted(digest=listed.digest, pulls=1),
            counted(digest=tagged.digest, pulls=1),
        ],
    )
    assert (of_repository(database), of_namespace(database), of_registry(database)) == (1, 1, [[0, 1]])
    assert of_manifest(database, listed.digest) == of_manifest(database, tagged.digest) == 1
    assert of_tag(database, "amd64") == 0
    assert value(database, "SELECT pulled_at > '-infinity' FROM tags WHERE name = 'amd64'"), "it is in use"
    pulls_and_pushes.add(database, [counted(tag="amd64", digest=tagged.digest, pulls=1)])
    assert (of_tag(database, "amd64"), of_repository(database)) == (1, 2)


def test_each_day_has_its_own_row(database: Database) -> None:
    image = push_image(database, APP, "a")
    for age in (0, 0.1, 3 * DAY, 3 * DAY + 0.1):
        pulls_and_pushes.add(database, [counted(tag="a", digest=image.digest, pulls=1, age=age)])
    for table in ("tag_days", "manifest_days", "repository_days", "namespace_days", "registry_days"):
        rows = query(database, f"SELECT CAST(sum(pulls) AS int), count(*) FROM {table}")  # noqa: S608
        assert rows[0][0] == 4
        assert 2 <= rows[0][1] <= 4


def test_what_is_gone_is_left_out(database: Database) -> None:
    image, kept = push_image(database, APP, "a"), push_image(database, APP, "b")
    assert manifests.delete(database, APP, image.digest)
    gone = RepositoryName("team/gone")
    activities = [
        counted(tag="a", digest=image.digest, pulls=1),
        counted(gone, tag="a", digest=image.digest, pulls=1),
        counted(tag="b", digest=kept.digest, pulls=1),
    ]
    assert pulls_and_pushes.add(database, activities) == 2
    assert (of_tag(database, "b"), of_manifest(database, kept.digest)) == (1, 1)
    assert of_repository(database) == 2, "it was pulled, whatever became of it"
    assert pulls_and_pushes.add(database, []) == 0


@pytest.mark.parametrize("gone", ["tag", "manifest"])
def test_what_goes_while_it_waits_is_left_out(database_url: str, database: Database, gone: str) -> None:
    image = push_image(database, APP, "a")
    with OpenTransaction(database_url) as other, ThreadPoolExecutor(1) as pool:
        if gone == "tag":
            tags.delete(other, APP, Tag("a"))
        else:
            manifests.delete(other, APP, image.digest)
        adding = pool.submit(pulls_and_pushes.add, database, [counted(tag="a", digest=image.digest, pulls=1)])
        wait_until_blocked(database)
        other.commit()
        assert adding.result(10) == 1
    assert query(database, "SELECT * FROM tag_days") == []
    assert of_repository(database) == 1


def test_a_tag_that_moves_while_it_waits_is_counted(database_url: str, database: Database) -> None:
    old, new = push_image(database, APP, "a"), push_image(database, APP)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor(1) as pool:
        put(other, APP, new.manifest, "a")
        adding = pool.submit(pulls_and_pushes.add, database, [counted(tag="a", digest=old.digest, pulls=1)])
        wait_until_blocked(database)
        other.commit()
        assert adding.result(10) == 1
    assert of_tag(database, "a") == 1
    assert value(database, "SELECT digest FROM manifests JOIN tags ON manifest_id = manifests.id") == (
        new.digest.to_bytes()
    )


def test_a_pull_is_no_change_of_a_tag(database: Database) -> None:
    """It would queue reviews, move the tag in lists, or be refused by rules."""
    image = push_image(database, APP, "a")
    looked_at = "SELECT updated_at, manifest_id, size FROM tags"
    reviews = "SELECT manifest_id, review_after, event FROM manifest_reviews"
    before = query(database, looked_at), query(database, reviews)
    query(database, "UPDATE repository_usage SET untagged_scan_due = false")
    pulls_and_pushes.add(database, [counted(tag="a", digest=image.digest, pulls=1)])
    assert (query(database, looked_at), query(database, reviews)) == before
    assert not value(database, "SELECT untagged_scan_due FROM repository_usage")


class _Chance:
    """What clients, instances and collectors do at once, to the same few repositories."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.random = random.Random(seed)  # noqa: S311  # a test's chance, which can be repeated
        self.pulls = 0

    def act(self, times: int) -> int:
        """Acts so many times, and returns how many pulls were added."""
        acts: list[Callable[[], object]] = [self.add, self.add, self.push, self.untag, self.settle]
        for _ in range(times):
            self.random.choice(acts)()
        return self.pulls

    def repository(self) -> RepositoryName:
        return self.random.choice((APP, OTHER, RepositoryName("two/a")))

    def add(self) -> None:
        activities = [
            counted(self.repository(), self.random.choice("abc"), self.random.choice(IMAGES).digest, pulls=1)
            for _ in range(self.random.randint(1, 8))
        ] + [counted(self.repository(), None, self.random.choice(IMAGES).digest, pulls=1)]
        pulls_and_pushes.add(self.database, activities)
        self.pulls += len(activities)

    def push(self) -> None:
        image = self.random.choice(IMAGES)
        push_image(self.database, self.repository(), *self.random.sample("abc", 2), image=image)

    def untag(self) -> None:
        tags.delete(self.database, self.repository(), Tag(self.random.choice("abc")))

    def settle(self) -> None:
        usage.settle(self.database, 5)


IMAGES: Final = [Image(config=bytes([number]), layers=(bytes([number, 1]),)) for number in range(3)]


def test_no_count_is_lost_whatever_happens_at_once(impatient_database: Database) -> None:
    for repository in (APP, OTHER, RepositoryName("two/a")):
        for image in IMAGES:
            push_image(impatient_database, repository, image=image)
    with ThreadPoolExecutor(8) as pool:
        acting = [pool.submit(_Chance(impatient_database, seed).act, 30) for seed in range(8)]
        pulls = sum(finished.result() for finished in as_completed(acting))
    for table in ("repository_usage", "namespace_usage", "repository_days", "namespace_days", "registry_days"):
        assert value(impatient_database, f"SELECT CAST(sum(pulls) AS bigint) FROM {table}") == pulls  # noqa: S608
    assert_exact(impatient_database)


def test_an_index_of_nothing_is_pulled_like_any(database: Database) -> None:
    digest = put(database, APP, index_of(), "empty")
    pulls_and_pushes.add(database, [counted(tag="empty", digest=digest, pulls=1)])
    assert of_tag(database, "empty") == of_manifest(database, digest) == 1
