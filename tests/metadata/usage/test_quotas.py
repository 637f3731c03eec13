"""Quotas hold whoever writes and however many at once: nothing goes over, and nobody waits for another crosswise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Final

import pytest

from functions.registry.metadata.content import blobs, pushes, repositories, uploads
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.content.uploads import NewUpload
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.metadata.lists import namespaces
from functions.registry.metadata.usage import counters as usage
from functions.registry.metadata.usage import quotas
from functions.registry.metadata.usage.quotas import Quota, QuotaReport, QuotaUse
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page
from tests.metadata.build import (
    APP,
    HOUR,
    OTHER,
    OpenTransaction,
    commit_part,
    deadlocks,
    push_blob,
    push_image,
    put,
    query,
    setting,
    start_upload,
    value,
    wait_until_blocked,
    write_part,
)
from tests.metadata.usage.test_usage import assert_exact
from tests.support import Image, encode, index_of

GIB: Final = 2**30
EXCLUSIVE: Final = "ExclusiveLock"
PATIENCE: Final = 30
CROWD: Final = 16


def used(database: Database) -> int:
    found = namespaces.namespace(database, APP.namespace)
    return int(found["bytes"]) if found else 0


def limit(database: Database, more: int, repositories: int | None = None) -> None:
    """So many bytes are left."""
    quotas.put(database, Quota(APP.namespace, used(database) + more, repositories))


@pytest.fixture
def crowd(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=2 * CROWD, wait_seconds=30, lock_seconds=10)
    yield database
    database.close()


def together(work: list[Callable[[], object]]) -> list[object]:
    """What comes of each, or the refusal, when all begin at once."""
    start = Barrier(len(work), timeout=PATIENCE)

    def one(each: Callable[[], object]) -> object:
        start.wait()
        try:
            return each()
        except ChangeRefused as refused:
            return refused

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


# ---- what is refused


def test_a_quota_is_set_changed_listed_and_taken_away(database: Database) -> None:
    push_image(database, APP, "one")
    quotas.put(database, Quota("team", None, 3))
    quotas.put(database, Quota("team", 10, None))
    quotas.put(database, Quota("another", 5, 6))
    report = QuotaReport("team", 10, None, used(database), 1)
    assert quotas.get(database, "team") == report
    assert quotas.list_page(database, Page(size=1)) == [QuotaReport("another", 5, 6, 0, 0), report]
    assert quotas.list_page(database, Page(last="another")) == [report]
    assert quotas.remove(database, "team") is True
    assert quotas.remove(database, "team") is False
    assert quotas.get(database, "team") is None


def test_a_manifest_over_the_quota_is_refused_with_the_numbers(database: Database) -> None:
    image = Image()
    for content in image.blobs:
        push_blob(database, APP, content)
    before = used(database)
    limit(database, len(image.manifest) - 1)
    with pytest.raises(ChangeRefused) as refused:
        put(database, APP, image.manifest, "one")
    numbers = f"is {before + len(image.manifest) - 1} bytes: {before} are in use, and {len(image.manifest)} more"
    assert numbers in str(refused.value)
    assert used(database) == before
    limit(database, len(image.manifest))
    put(database, APP, image.manifest, "one")
    put(database, APP, image.manifest, "one", "two")
    assert_exact(database)


def test_an_upload_is_refused_when_it_begins_if_it_cannot_fit(database: Database) -> None:
    push_blob(database, APP, b"x" * 100)
    limit(database, 50)
    assert uploads.start(database, APP, "sha256", HOUR, new=NewUpload(50, None))
    with pytest.raises(ChangeRefused, match="100 are in use, and 51 more are needed"):
        uploads.start(database, APP, "sha256", HOUR, new=NewUpload(51, None))
    assert uploads.start(database, APP, "sha256", HOUR), "who does not say how much will come may try"
    limit(database, 0)
    with pytest.raises(ChangeRefused):
        uploads.start(database, APP, "sha256", HOUR)
    with pytest.raises(ChangeRefused):
        uploads.start(database, RepositoryName("team/new"), "sha256", HOUR)
    assert not repositories.exists(database, RepositoryName("team/new"))


def test_an_upload_is_refused_when_it_ends_if_it_does_not_fit(database: Database) -> None:
    upload = write_part(database, start_upload(database), 100)
    limit(database, 99)
    with pytest.raises(ChangeRefused, match="100 more are needed"):
        commit_part(database, APP, upload, Digest.of(b"large"))
    assert uploads.get(database, APP, upload.id) == replace(upload, room=-1)
    limit(database, 100)
    assert commit_part(database, APP, upload, Digest.of(b"large"))


def test_a_mount_counts_where_the_namespace_has_not_got_the_blob(database: Database) -> None:
    digest = push_blob(database, RepositoryName("far/away"), b"y" * 100)
    limit(database, 99)
    with pytest.raises(ChangeRefused, match="100 more are needed"):
        blobs.mount(database, APP, digest, RepositoryName("far/away"))
    limit(database, 100)
    assert blobs.mount(database, APP, digest, RepositoryName("far/away"))
    limit(database, 0)
    assert blobs.mount(database, OTHER, digest, APP), "within the namespace it counts once"


def test_a_quota_below_what_is_used_takes_nothing_away(database: Database) -> None:
    image = push_image(database, APP, "one")
    quotas.put(database, Quota("team", 1, None))
    put(database, APP, image.manifest, "two")
    assert used(database) > 1
    with pytest.raises(ChangeRefused):
        push_blob(database, APP, b"more")
    with pytest.raises(ChangeRefused):
        put(database, APP, Image(image.config, image.layers, {"annotations": {"a": "b"}}).manifest)
    assert_exact(database)


def test_repositories_are_counted_whichever_way_they_come(database: Database) -> None:
    push_image(database, APP, "one")
    digest = push_blob(database, RepositoryName("far/away"), b"z")
    quotas.put(database, Quota("team", None, 1))
    new = RepositoryName("team/new")
    for attempt in (
        lambda: uploads.start(database, new, "sha256", HOUR),
        lambda: blobs.mount(database, new, digest, RepositoryName("far/away")),
        lambda: put(database, new, b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}'),
    ):
        with pytest.raises(ChangeRefused, match="1 repositories, and there would be 2"):
            attempt()
    push_image(database, APP, "two")
    assert_exact(database)


def test_another_namespaces_quota_is_its_own(database: Database) -> None:
    quotas.put(database, Quota("team", 1, 0))
    push_image(database, RepositoryName("teams/app"), "one")
    push_image(database, RepositoryName("tea/m"), "one")


# ---- at once


def test_sixteen_that_push_at_once_fill_a_small_quota_and_no_more(crowd: Database) -> None:
    images = [Image(layers=()) for _ in range(CROWD)]
    for image in images:
        push_blob(crowd, APP, image.config)
    size = len(images[0].manifest)
    assert all(len(image.manifest) == size for image in images)
    limit(crowd, 5 * size + size // 2)
    before, dead = used(crowd), deadlocks(crowd)
    done = together([partial(put, crowd, APP, image.manifest, "latest", "x") for image in images])
    assert sum(isinstance(each, ChangeRefused) for each in done) == CROWD - 5
    assert used(crowd) == before + 5 * size
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


def test_sixteen_that_commit_mount_and_push_at_once_never_go_over(crowd: Database) -> None:
    far = RepositoryName("far/away")
    mounted = [push_blob(crowd, far, bytes([number]) * 700) for number in range(4)]
    images = [Image(layers=()) for _ in range(4)]
    for image in images:
        push_blob(crowd, APP, image.config)
    places = [APP, OTHER, RepositoryName("team/new"), RepositoryName("team/newer")] * 2
    pending = [write_part(crowd, start_upload(crowd, place), 1000) for place in places]
    limit(crowd, 4500)
    dead = deadlocks(crowd)

    def commit(number: int) -> bool:
        upload = pending[number]
        return commit_part(crowd, places[number], upload, Digest.of(b"blob %d" % number))

    work: list[Callable[[], object]] = [partial(commit, number) for number in range(8)]
    work += [partial(blobs.mount, crowd, OTHER, digest, far) for digest in mounted]
    work += [partial(put, crowd, APP, image.manifest, "latest") for image in images]
    done = together(work)
    refused = [each for each in done if isinstance(each, ChangeRefused)]
    report = quotas.get(crowd, "team")
    assert report is not None
    assert report.bytes is not None
    assert refused
    assert report.bytes - 1000 < report.used_bytes <= report.bytes
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


def test_far_from_a_large_quota_pushes_go_on_side_by_side_and_commits_one_by_one(crowd: Database) -> None:
    images = [Image(layers=()) for _ in range(CROWD)]
    repositories_ = [RepositoryName(f"team/app{number}") for number in range(CROWD)]
    for image, repository in zip(images, repositories_, strict=True):
        push_blob(crowd, repository, image.config)
    limit(crowd, 3 * GIB)
    dead = deadlocks(crowd)
    pairs = list(zip(repositories_, images, strict=True))
    done = together([partial(put, crowd, where, image.manifest, "v1") for where, image in pairs])
    assert not [each for each in done if isinstance(each, ChangeRefused)]
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


def test_far_from_the_limit_a_push_waits_for_no_other(database: Database, database_url: str) -> None:
    for repository in (APP, OTHER):
        push_image(database, repository)
    limit(database, 2 * GIB)
    with OpenTransaction(database_url) as other:
        put(other, APP, index_of(), "one")
        put(database, OTHER, index_of(), "two")
        other.commit()
    assert_exact(database)


def test_a_push_that_waited_for_a_giant_sees_what_it_left(database: Database, database_url: str) -> None:
    """There was enough left for all at once as it began; as it may go on, there isn't."""
    image = Image(layers=())
    push_blob(database, APP, image.config)
    giant = write_part(database, start_upload(database), 2 * GIB)
    limit(database, 2 * GIB + len(image.manifest))
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        assert commit_part(other, APP, giant, Digest.of(b"giant"))
        pushed = pool.submit(put, database, APP, image.manifest, "one")
        wait_until_blocked(database)
        other.commit()
        assert pushed.result(PATIENCE) == image.digest
    with pytest.raises(ChangeRefused):
        put(database, APP, Image(image.config, (), {"annotations": {}}).manifest)
    assert_exact(database)


def commit_giant(database: Database) -> None:
    """What is settled says nothing of it: pushes still begin side by side."""
    giant = write_part(database, start_upload(database), 2 * GIB)
    assert commit_part(database, APP, giant, Digest.of(b"giant"))


@pytest.mark.parametrize("missing", [0, 1])
def test_a_push_that_finds_little_left_beside_another_begins_anew_and_goes_alone(
    database: Database, database_url: str, missing: int
) -> None:
    image = Image(layers=())
    push_blob(database, APP, image.config)
    commit_giant(database)
    limit(database, len(image.manifest) - missing)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor() as pool:
        other.batch([pushes._BEGIN(repository=OTHER, tags=["x"], rank="0")])
        pushed = pool.submit(put, database, APP, image.manifest, "one")
        wait_until_blocked(database)
        assert value(database, "SELECT mode FROM pg_locks WHERE NOT granted AND locktype = 'advisory'") == EXCLUSIVE
        assert value(database, "SELECT count(*) FROM manifests") == 0
        other.commit()
        if missing:
            with pytest.raises(ChangeRefused, match=f"{len(image.manifest)} more are needed"):
                pushed.result(PATIENCE)
        else:
            assert pushed.result(PATIENCE) == image.digest
    assert_exact(database)


@pytest.mark.parametrize("is_settled", [False, True])
def test_sixteen_that_push_into_the_last_bytes_all_get_an_answer(crowd: Database, is_settled: bool) -> None:
    """They do, whether they begin side by side, for what is settled is old, or one by one."""
    places = [RepositoryName(f"team/app{number}") for number in range(CROWD)]
    images = [Image(layers=()) for _ in range(CROWD)]
    for image, place in zip(images, places, strict=True):
        push_blob(crowd, place, image.config)
    commit_giant(crowd)
    while is_settled and usage.settle(crowd, 500):
        pass
    size = len(images[0].manifest)
    assert all(len(image.manifest) == size for image in images)
    limit(crowd, 5 * size + size // 2)
    before, dead = used(crowd), deadlocks(crowd)
    work = zip(places, images, strict=True)
    done = together([partial(put, crowd, place, image.manifest, "latest") for place, image in work])
    assert sum(isinstance(each, ChangeRefused) for each in done) == CROWD - 5
    assert used(crowd) == before + 5 * size
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


@pytest.mark.parametrize("more", [100, 2 * GIB])
def test_a_push_adds_up_once_what_is_used_near_the_limit_twice(
    database: Database, database_url: str, more: int
) -> None:
    image = push_image(database, APP)
    limit(database, len(index_of(image.manifest)) + more)
    with setting(database_url, "track_functions", "pl"), closing(Database(database_url, size=1)) as watched:
        before = sums(watched)
        put(watched, APP, index_of(image.manifest), "one")
        assert sums(watched) - before == (1 if more > GIB else 2)


def sums(database: Database) -> int:
    """Returns how often a session that is watched has added up."""
    query(database, "SELECT pg_stat_force_next_flush()")
    calls = "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE funcname = 'used_bytes'"
    return int(value(database, calls))


def test_sixteen_at_the_edge_of_what_is_left_to_all_together_never_go_over(crowd: Database) -> None:
    """Manifests while more than a GiB is left, beside blobs that take most of it."""
    images = [Image(layers=()) for _ in range(CROWD - 4)]
    for image in images:
        push_blob(crowd, APP, image.config)
    giants = [write_part(crowd, start_upload(crowd), GIB) for _ in range(4)]
    limit(crowd, 3 * GIB)
    dead = deadlocks(crowd)

    def commit(number: int) -> bool:
        return commit_part(crowd, APP, giants[number], Digest.of(b"giant %d" % number))

    work: list[Callable[[], object]] = [partial(commit, number) for number in range(4)]
    work += [partial(put, crowd, APP, image.manifest, "latest") for image in images]
    done = together(work)
    refused = [str(each) for each in done if isinstance(each, ChangeRefused)]
    assert 1 <= len(refused) <= 2, refused
    report = quotas.get(crowd, "team")
    assert report is not None
    assert report.bytes is not None
    assert report.used_bytes <= report.bytes
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


def test_sixteen_that_make_a_repository_at_once_fill_a_quota_of_them(crowd: Database) -> None:
    quotas.put(crowd, Quota("team", 10**9, 5))
    dead = deadlocks(crowd)
    names = [RepositoryName(f"team/app{number % 10}") for number in range(CROWD)]
    payload = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
    work: list[Callable[[], object]] = []
    for number, name in enumerate(names):
        if number % 2:
            work.append(partial(uploads.start, crowd, name, "sha256", HOUR))
        else:
            work.append(partial(put, crowd, name, payload, "latest"))
    done = together(work)
    assert any(isinstance(each, ChangeRefused) for each in done)
    assert value(crowd, "SELECT count(*) FROM repositories") == 5
    assert deadlocks(crowd) == dead
    assert_exact(crowd)


def test_whoever_is_near_the_limit_is_told(database: Database) -> None:
    outcome = database.batch([quotas.nearly_used("team")])[-1]
    assert quotas.read_nearly_used(outcome) is None
    push_blob(database, APP, b"x" * 900)
    for most, is_near in ((1001, False), (1000, True), (900, True)):
        quotas.put(database, Quota("team", most, None))
        use = quotas.read_nearly_used(database.batch([quotas.nearly_used("team")])[-1])
        assert (use is not None) == is_near


def test_a_push_near_the_limit_is_told_what_is_used_with_it(database: Database) -> None:
    push_image(database, APP)
    payload = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
    quotas.put(database, Quota("team", used(database) + len(payload) + 20, None))
    for tag in ("one", "two"):  # the second adds nothing
        push = Push(APP, Digest.of(payload), parse_manifest(payload, None), payload, [Tag(tag)])
        told = pushes.put(database, push).quota
        assert told == QuotaUse("team", used(database), used(database) + 20)


def test_what_open_uploads_hold_counts_beside_what_is_used(database: Database) -> None:
    push_image(database, APP, "v1")
    limit(database, 100)
    first = write_part(database, start_upload(database), 60)
    second = write_part(database, start_upload(database, RepositoryName.parse("team/other")), 40)
    start_upload_without_room(database)
    for upload in (first, second):
        with pytest.raises(ChangeRefused, match="quota of namespace team"):
            write_part(database, upload, 1)
    assert value(database, "SELECT count(*) FROM deletions") == 2, "their objects are queued for deletion"
    uploads.cancel(database, APP, second.id)
    uploads.cancel(database, RepositoryName.parse("team/other"), second.id)
    found = uploads.get(database, APP, first.id)
    assert found is not None
    assert found.room == 40
    assert write_part(database, first, 40).received == 100


def start_upload_without_room(database: Database) -> None:
    with pytest.raises(ChangeRefused, match="quota of namespace team"):
        start_upload(database)


def test_open_uploads_of_many_at_once_stay_within_the_quota(crowd: Database) -> None:
    push_image(crowd, APP, "v1")
    started = [start_upload(crowd) for _ in range(CROWD)]
    limit(crowd, 100)

    def write(upload: uploads.Upload) -> bool:
        try:
            return write_part(crowd, upload, 30).received == 30
        except ChangeRefused:
            return False

    with ThreadPoolExecutor(CROWD) as pool:
        assert sum(pool.map(write, started)) == 3


def test_open_uploads_move_with_their_repository(database: Database) -> None:
    write_part(database, start_upload(database), 60)
    quotas.put(database, Quota("other", 50, None))
    query(database, "INSERT INTO namespaces (name) VALUES ('other')")
    query(
        database,
        "UPDATE repositories SET name = 'other/app', namespace_id = (SELECT id FROM namespaces WHERE name = 'other')",
    )
    assert value(database, "SELECT open_bytes('other')") == 60
    assert value(database, "SELECT open_bytes('team')") == 0
