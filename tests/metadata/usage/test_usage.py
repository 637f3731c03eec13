"""Counters are exact: whatever happened, they are what counting everything anew gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from functions.registry.metadata.content import blobs, manifests, moves, removal, tags
from functions.registry.metadata.content.manifests import ListedByIndex
from functions.registry.metadata.content.moves import NameTaken, NothingToMove
from functions.registry.metadata.content.pushes import ReferenceMissing
from functions.registry.metadata.db import Conflict, Database
from functions.registry.metadata.usage import counters as figures
from functions.registry.metadata.usage.counters import Totals
from functions.registry.metadata.usage.recount import Difference, recount
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    Overtaken,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    signature_of,
    value,
)
from tests.support import Image, index_of

REPOSITORIES = [RepositoryName(name) for name in ("one", "one/a", "one/b/c", "two/a", "two/b")]
NEW_NAMES = [*REPOSITORIES, RepositoryName("two/c"), RepositoryName("three/a")]
TAGS = ["latest", "v1", "v2"]
CONTENTS = [bytes([number]) * (10 + 7 * number) for number in range(8)]
IMAGES = [Image(config=CONTENTS[n % 8], layers=(CONTENTS[(n + 3) % 8], CONTENTS[(n * 5 + 1) % 8])) for n in range(6)]
SIGNATURES = [signature_of(image.manifest) for image in IMAGES[:2]]
CHILDREN = [IMAGES[0:2], IMAGES[1:3]]
INDEXES = [index_of(*(child.manifest for child in children)) for children in CHILDREN]
DIGESTS = [*(image.digest for image in IMAGES), *(Digest.of(index) for index in INDEXES)]

COUNTED = """
    SELECT repositories.name, tags, manifests, manifest_bytes, blobs, blob_bytes
      FROM repository_usage JOIN repositories ON repositories.id = repository_id
     UNION ALL
    SELECT namespaces.name || '/*', tags, manifests, manifest_bytes, blobs, blob_bytes
      FROM namespace_totals JOIN namespaces ON namespaces.id = namespace_id
     UNION ALL
    SELECT '*', tags, manifests, manifest_bytes, blobs, blob_bytes FROM registry_totals
     ORDER BY 1
"""

RECOUNTED = """
    SELECT repositories.name,
           (SELECT count(*) FROM tags WHERE repository_id = repositories.id),
           (SELECT count(*) FROM manifests WHERE repository_id = repositories.id),
           (SELECT CAST(coalesce(sum(length(payload)), 0) AS bigint)
              FROM manifests WHERE repository_id = repositories.id),
           (SELECT count(*) FROM repository_blobs WHERE repository_id = repositories.id),
           (SELECT CAST(coalesce(sum(blobs.size), 0) AS bigint)
              FROM repository_blobs JOIN blobs USING (digest) WHERE repository_id = repositories.id)
      FROM repositories
     UNION ALL
    SELECT namespaces.name || '/*',
           (SELECT count(*) FROM tags JOIN repositories AS r ON r.id = repository_id
             WHERE namespace_id = namespaces.id),
           (SELECT count(*) FROM manifests JOIN repositories AS r ON r.id = repository_id
             WHERE namespace_id = namespaces.id),
           (SELECT CAST(coalesce(sum(length(payload)), 0) AS bigint)
              FROM manifests JOIN repositories AS r ON r.id = repository_id WHERE namespace_id = namespaces.id),
           (SELECT count(*) FROM blobs WHERE digest IN
                   (SELECT digest FROM repository_blobs JOIN repositories AS r ON r.id = repository_id
                     WHERE namespace_id = namespaces.id)),
           (SELECT CAST(coalesce(sum(size), 0) AS bigint) FROM blobs WHERE digest IN
                   (SELECT digest FROM repository_blobs JOIN repositories AS r ON r.id = repository_id
                     WHERE namespace_id = namespaces.id))
      FROM namespaces
     UNION ALL
    SELECT '*', (SELECT count(*) FROM tags), (SELECT count(*) FROM manifests),
           (SELECT CAST(coalesce(sum(length(payload)), 0) AS bigint) FROM manifests),
           (SELECT count(*) FROM blobs), (SELECT CAST(coalesce(sum(size), 0) AS bigint) FROM blobs)
     ORDER BY 1
"""

SHARED = "SELECT namespace_id, digest, size, links FROM namespace_blobs ORDER BY 1, 2"
RESHARED = """
    SELECT namespace_id, digest, min(blobs.size), count(*)
      FROM repository_blobs JOIN blobs USING (digest) JOIN repositories ON repositories.id = repository_id
     GROUP BY 1, 2 ORDER BY 1, 2
"""


REPOSITORIES_COUNTED = """
    SELECT namespaces.name, repositories FROM namespace_totals JOIN namespaces ON namespaces.id = namespace_id
     UNION ALL SELECT '*', repositories FROM registry_totals ORDER BY 1
"""
REPOSITORIES_RECOUNTED = """
    SELECT name, (SELECT count(*) FROM repositories WHERE namespace_id = namespaces.id) FROM namespaces
     UNION ALL SELECT '*', count(*) FROM repositories ORDER BY 1
"""
KINDS = "SELECT repository_id, kind, manifests FROM repository_kinds WHERE manifests <> 0 ORDER BY 1, 2"
RECOUNTED_KINDS = "SELECT repository_id, kind, count(*) FROM manifests GROUP BY 1, 2 ORDER BY 1, 2"
OWNERS = "SELECT repository_id, namespace_id FROM repository_usage ORDER BY 1"
REAL_OWNERS = "SELECT id, namespace_id FROM repositories ORDER BY 1"
BYTES = """
    SELECT count(*) FROM
        (SELECT bytes, manifest_bytes, blob_bytes FROM repository_usage
          UNION ALL SELECT bytes, manifest_bytes, blob_bytes FROM namespace_totals
          UNION ALL SELECT bytes, manifest_bytes, blob_bytes FROM registry_totals) AS every
     WHERE bytes <> manifest_bytes + blob_bytes
"""


def usage(database: Database, name: str) -> list[int]:
    """Tags, manifests, their bytes, blobs and their bytes: of a repository, of a namespace (/*), or of all (*)."""
    (found,) = [row for row in query(database, COUNTED) if row[0] == name]
    return found[1:]


def assert_exact(database: Database) -> None:
    assert query(database, COUNTED) == query(database, RECOUNTED)
    assert query(database, SHARED) == query(database, RESHARED)
    assert query(database, REPOSITORIES_COUNTED) == query(database, REPOSITORIES_RECOUNTED)
    assert query(database, KINDS) == query(database, RECOUNTED_KINDS)
    assert query(database, OWNERS) == query(database, REAL_OWNERS)
    assert query(database, BYTES) == [[0]]
    # What operators are told is what was counted here by other means.
    assert recount(database).differences == []


@dataclass
class Client:
    """Does one thing after the other, as chance has it; what the registry refuses by its rules is refused."""

    database: Database
    seed: int
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # a test's chance, which can be repeated

    def act(self, times: int) -> None:
        actions: list[Callable[[RepositoryName], None]] = [
            self.push,
            self.push,
            self.push_index,
            self.sign,
            self.move,
            self.mount,
        ]
        actions += [self.delete_tag, self.delete_manifest, self.delete_link, self.collect_blobs]
        actions += [self.settle, self.rename, self.remove]
        for _ in range(times):
            action = self.random.choice(actions)
            with suppress(ReferenceMissing, ListedByIndex, NameTaken, NothingToMove, Overtaken):
                action(self.random.choice(REPOSITORIES))
                self.done[action.__name__] = self.done.get(action.__name__, 0) + 1

    def some_tags(self) -> list[str]:
        return self.random.sample(TAGS, self.random.randint(0, 3))

    def push(self, repository: RepositoryName) -> None:
        push_image(self.database, repository, *self.some_tags(), image=self.random.choice(IMAGES))

    def sign(self, repository: RepositoryName) -> None:
        push_image(self.database, repository, image=self.random.choice(SIGNATURES))

    def push_index(self, repository: RepositoryName) -> None:
        children = self.random.choice(CHILDREN)
        for child in children:
            push_image(self.database, repository, image=child)
        push_index(self.database, repository, *self.some_tags(), of=children)

    def move(self, repository: RepositoryName) -> None:
        put(self.database, repository, self.random.choice(IMAGES).manifest, *self.some_tags())

    def mount(self, repository: RepositoryName) -> None:
        digest = Digest.of(self.random.choice(CONTENTS))
        blobs.mount(self.database, repository, digest, self.random.choice(REPOSITORIES))

    def delete_tag(self, repository: RepositoryName) -> None:
        tags.delete(self.database, repository, Tag(self.random.choice(TAGS)))

    def delete_manifest(self, repository: RepositoryName) -> None:
        manifests.delete(self.database, repository, self.random.choice(DIGESTS))

    def delete_link(self, repository: RepositoryName) -> None:
        with suppress(Conflict):
            blobs.delete(self.database, repository, Digest.of(self.random.choice(CONTENTS)))

    def collect_blobs(self, _: RepositoryName) -> None:
        query(
            self.database,
            "DELETE FROM blobs WHERE digest = (SELECT digest FROM blobs"
            " WHERE NOT EXISTS (SELECT FROM repository_blobs AS link WHERE link.digest = blobs.digest)"
            " LIMIT 1 FOR UPDATE SKIP LOCKED)",
        )

    def settle(self, _: RepositoryName) -> None:
        """Some of what waits, at any moment."""
        figures.settle(self.database, self.random.choice([1, 3, 500]))

    def rename(self, repository: RepositoryName) -> None:
        with_below = self.random.random() < 0.3  # now and then
        moves.move(self.database, repository, self.random.choice(NEW_NAMES), with_below=with_below, dry_run=False)

    def remove(self, repository: RepositoryName) -> None:
        if self.random.random() < 0.3:  # or nothing would ever be much
            removal.remove(self.database, repository)


def test_a_push_counts_once_in_its_repository_and_its_namespace(database: Database) -> None:
    image = Image(layers=(b"one", b"three"))
    expected = [2, 1, len(image.manifest), 3, len(image.config) + 8]
    for _ in range(2):
        push_image(database, APP, "a", "b", image=image)
        assert usage(database, "team/app") == usage(database, "team/*") == expected
    push_image(database, OTHER, "a", image=image)
    assert usage(database, "team/other") == [1, *expected[1:]]
    assert usage(database, "team/*") == [3, 2, 2 * len(image.manifest), *expected[3:]], "blobs are counted once"
    assert_exact(database)


def test_bytes_leave_a_namespace_with_the_last_link(database: Database) -> None:
    digest = push_blob(database, APP, b"12345")
    assert blobs.mount(database, OTHER, digest, APP)
    elsewhere = RepositoryName("elsewhere")
    assert blobs.mount(database, elsewhere, digest, APP)
    for repository, left in ((APP, [0, 0, 0, 1, 5]), (OTHER, [0] * 5)):
        assert blobs.delete(database, repository, digest)
        assert usage(database, repository) == [0] * 5
        assert usage(database, "team/*") == left
    assert usage(database, "elsewhere/*") == [0, 0, 0, 1, 5]
    assert_exact(database)


def test_deleting_an_image_takes_its_tags_and_its_bytes_and_leaves_its_blobs(database: Database) -> None:
    image = push_image(database, APP, "a", "b")
    index = push_index(database, APP, "c", of=[image])
    assert manifests.delete(database, APP, index)
    assert manifests.delete(database, APP, image.digest)
    assert usage(database, "team/app") == [0, 0, 0, 3, sum(map(len, image.blobs))]
    assert_exact(database)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counters_stay_exact_whatever_one_client_does(database: Database, seed: int) -> None:
    client = Client(database, seed)
    for _ in range(4):
        client.act(20)
        assert_exact(database)
    assert len(client.done) == 12, client.done


def test_counters_stay_exact_whatever_eight_clients_do_at_once(impatient_database: Database) -> None:
    clients = [Client(impatient_database, seed) for seed in range(100, 108)]
    with ThreadPoolExecutor(8) as pool:
        for finished in as_completed([pool.submit(client.act, 25) for client in clients]):
            finished.result()
    assert_exact(impatient_database)


def settled(database: Database) -> int:
    """Returns how many changes waited; none does now."""
    total = 0
    while count := figures.settle(database, 3):
        total += count
    assert value(database, "SELECT count(*) FROM usage_changes") == 0
    return total


def test_settling_changes_no_figure(database: Database) -> None:
    client = Client(database, seed=7)
    client.act(60)
    before = query(database, COUNTED), query(database, REPOSITORIES_COUNTED)
    assert settled(database) > 20
    assert (query(database, COUNTED), query(database, REPOSITORIES_COUNTED)) == before
    kept = "SELECT namespace_id, repositories, tags, manifests, manifest_bytes, blobs, blob_bytes, pushed_at FROM {}"
    for table, view in (("namespace_usage", "namespace_totals"),):
        assert sorted(query(database, kept.format(table))) == sorted(query(database, kept.format(view)))
    assert_exact(database)
    assert settled(database) == 0


def test_two_settle_at_once_and_a_third_reads(impatient_database: Database) -> None:
    client = Client(impatient_database, seed=8)
    client.act(60)
    before = query(impatient_database, COUNTED)
    waiting = value(impatient_database, "SELECT count(*) FROM usage_changes")

    def settle_some(_: int) -> int:
        return figures.settle(impatient_database, 5)

    with ThreadPoolExecutor(4) as pool:
        settling = [pool.submit(settle_some, number) for number in range(200)]
        while not all(finished.done() for finished in settling):
            assert query(impatient_database, COUNTED) == before, "a reader never sees a change twice, or not at all"
        assert sum(finished.result() for finished in settling) == waiting
    assert_exact(impatient_database)


def test_a_settler_that_dies_leaves_the_figures_as_they_were(database_url: str, database: Database) -> None:
    push_image(database, APP, "a")
    before = query(database, COUNTED)
    with OpenTransaction(database_url) as other:
        assert figures.settle(other, 2) == 2
        assert figures.settle(database, 0) == 0
        assert query(database, COUNTED) == before
        other.rollback()
    assert query(database, COUNTED) == before
    settled(database)
    assert_exact(database)


def test_a_repository_that_moves_takes_its_figures_along(database: Database) -> None:
    image = push_image(database, APP, "a", "b")
    push_image(database, OTHER, image=image)
    elsewhere = RepositoryName("elsewhere/app")
    moves.move(database, APP, elsewhere, with_below=False, dry_run=False)
    bytes_of_blobs = sum(map(len, image.blobs))
    assert (
        usage(database, "elsewhere/*") == usage(database, elsewhere) == [2, 1, len(image.manifest), 3, bytes_of_blobs]
    )
    assert usage(database, "team/*") == usage(database, OTHER) == [0, 1, len(image.manifest), 3, bytes_of_blobs]
    assert usage(database, "*") == [2, 2, 2 * len(image.manifest), 3, bytes_of_blobs], "blobs are counted once"
    assert_exact(database)
    moves.move(database, elsewhere, APP, with_below=False, dry_run=False)
    assert usage(database, "elsewhere/*") == [0] * 5
    assert_exact(database)


def test_totals_are_those_of_the_registry(database: Database) -> None:
    assert figures.of_registry(database) == Totals(*[0] * 7)
    image = push_image(database, APP, "a")
    size = sum(map(len, image.blobs))
    expected = Totals(1, 1, 1, len(image.manifest), 3, size, len(image.manifest) + size)
    assert figures.of_registry(database) == expected
    settled(database)
    assert figures.of_registry(database) == expected


def test_when_something_was_pushed_last_is_kept(database: Database) -> None:
    image = push_image(database, APP, "a")
    first = value(database, "SELECT pushed_at FROM repository_usage")
    assert first == value(database, "SELECT pushed_at FROM manifests")
    assert first == value(database, "SELECT pushed_at FROM namespace_totals")
    push_image(database, APP, "a", image=image)
    again = value(database, "SELECT pushed_at FROM repository_usage")
    assert again > first
    assert manifests.delete(database, APP, image.digest)
    assert value(database, "SELECT pushed_at FROM repository_usage") == again
    settled(database)
    assert value(database, "SELECT pushed_at FROM namespace_usage") == again


WRONG = {
    "UPDATE repository_usage SET tags = tags + 1": ("repository", "tags"),
    "UPDATE repository_usage SET manifests = manifests - 1": ("repository", "manifests"),
    "UPDATE repository_usage SET manifest_bytes = 7": ("repository", "manifest_bytes"),
    "UPDATE repository_usage SET blobs = 0": ("repository", "blobs"),
    "UPDATE repository_usage SET blob_bytes = blob_bytes + 1": ("repository", "blob_bytes"),
    "UPDATE repository_kinds SET kind = 'chart'": ("repository", "manifests of kind chart"),
    "DELETE FROM repository_usage": ("repository", "tags"),
    "UPDATE namespace_usage SET repositories = 5": ("namespace", "repositories"),
    "UPDATE namespace_usage SET blobs = blobs + 1": ("namespace", "blobs"),
    "UPDATE namespace_usage SET blob_bytes = blob_bytes + 1": ("namespace", "blob_bytes"),
    "DELETE FROM namespace_usage": ("namespace", "tags"),
    "UPDATE namespace_blobs SET links = links + 1 WHERE size = 1000": ("namespace", "wrong links of blobs"),
    "DELETE FROM namespace_blobs WHERE size = 1000": ("namespace", "wrong links of blobs"),
    "DELETE FROM usage_changes WHERE registry_blobs <> 0": ("registry", "blobs"),
    "UPDATE registry_usage SET tags = tags + 1": ("registry", "tags"),
    "DELETE FROM registry_usage": ("registry", "manifests"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whatever_is_wrong_is_found(database: Database, wrong: str) -> None:
    push_image(database, APP, "a")
    assert recount(database).differences == []
    query(database, "SET session_replication_role = replica")
    query(database, wrong)
    query(database, "SET session_replication_role = origin")
    scope, figure = WRONG[wrong]
    assert (scope, figure) in {(found.scope, found.figure) for found in recount(database).differences}


def test_a_recount_goes_through_all_there_is_or_says_that_it_has_not(database: Database) -> None:
    for number in range(120):
        push_image(database, RepositoryName(f"n{number % 12}/r{number}"), "a", image=IMAGES[0])
    query(database, "UPDATE repository_usage SET tags = 7 WHERE repository_id = (SELECT max(id) FROM repositories)")
    found = recount(database)
    assert (found.repositories, found.namespaces, found.is_complete) == (120, 12, True)
    assert Difference("repository", "n11/r119", "tags", 7, 1) in found.differences
    assert not recount(database, budget_seconds=0).is_complete
