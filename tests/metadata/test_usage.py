"""Counters are exact: whatever happened, they are what counting everything anew gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from functions.registry.metadata import blobs, manifests, tags
from functions.registry.metadata.db import Conflict, Database
from functions.registry.metadata.manifests import ListedByIndex
from functions.registry.metadata.pushes import ReferenceMissing
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import APP, OTHER, push_blob, push_image, push_index, put, query, signature_of
from tests.support import Image, index_of

REPOSITORIES = [RepositoryName(name) for name in ("one", "one/a", "one/b/c", "two/a", "two/b")]
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
      FROM namespace_usage JOIN namespaces ON namespaces.id = namespace_id
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
     ORDER BY 1
"""

SHARED = "SELECT namespace_id, digest, size, links FROM namespace_blobs ORDER BY 1, 2"
RESHARED = """
    SELECT namespace_id, digest, min(blobs.size), count(*)
      FROM repository_blobs JOIN blobs USING (digest) JOIN repositories ON repositories.id = repository_id
     GROUP BY 1, 2 ORDER BY 1, 2
"""


def usage(database: Database, name: str) -> list[int]:
    """Tags, manifests, their bytes, blobs and their bytes, of a repository or, with /*, of a namespace."""
    (found,) = [row for row in query(database, COUNTED) if row[0] == name]
    return found[1:]


def assert_exact(database: Database) -> None:
    assert query(database, COUNTED) == query(database, RECOUNTED)
    assert query(database, SHARED) == query(database, RESHARED)


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
        for _ in range(times):
            action = self.random.choice(actions)
            with suppress(ReferenceMissing, ListedByIndex):
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
    assert len(client.done) == 9, client.done


def test_counters_stay_exact_whatever_eight_clients_do_at_once(impatient_database: Database) -> None:
    clients = [Client(impatient_database, seed) for seed in range(100, 108)]
    with ThreadPoolExecutor(8) as pool:
        for finished in as_completed([pool.submit(client.act, 25) for client in clients]):
            finished.result()
    assert_exact(impatient_database)
