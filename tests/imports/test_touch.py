"""What clients ask for and only the older registry has is there, from the first minute, object by object."""

from __future__ import annotations

import random
import time
from pathlib import Path
from unittest import mock

import pytest

from functions.registry.blobs.errors import StoreBusy
from functions.registry.blobs.objects import StoredObjects
from functions.registry.imports import names, older_store
from functions.registry.metadata.imports import adoption, sources
from functions.registry.metadata.imports.bulk import pieces
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.imports.importing import add, requests_counted, run
from tests.imports.old import OldRegistry, end_listing, open_source
from tests.imports.test_holds import found, list_tag, listed
from tests.imports.truth import ROOT
from tests.metadata.build import query, signature_of, value
from tests.support import Image, Registry, index_of


@pytest.fixture
def old(storage_address: str, bucket_name: str) -> OldRegistry:
    return OldRegistry(storage_address, bucket_name)


@pytest.fixture
def source(registry: Registry, old: OldRegistry) -> int:  # noqa: ARG001  # the order
    """In lead, and not listed yet."""
    return open_source(registry.services.database)


def test_an_image_of_a_repository_that_nobody_has_listed_yet_is_pulled_by_its_tag(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    pulled = registry.get("/v2/team/app/manifests/v1")
    assert (pulled.status_code, pulled.data) == (200, image.manifest)
    assert pulled.headers["Docker-Content-Digest"] == str(image.digest)
    for blob in image.blobs:
        assert registry.pull_blob("team/app", Digest.of(blob)) == blob
    assert source


def test_what_was_fetched_costs_what_it_always_does(registry: Registry, old: OldRegistry, source: int) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    registry.get("/v2/team/app/manifests/v1")
    assert registry.statements("GET", "/v2/team/app/manifests/v1") == ["manifests_get_by_tag"]
    assert registry.statements("GET", f"/v2/team/app/blobs/{Digest.of(image.layers[0])}") == ["blobs_get"]
    assert source


def test_a_manifest_is_pulled_by_its_digest_and_a_blob_by_itself(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image)
    for blob in image.blobs:
        assert registry.request("HEAD", f"/v2/team/app/blobs/{Digest.of(blob)}").status_code == 200
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").data == image.manifest
    assert source


def test_an_index_is_pulled_before_and_with_its_children(registry: Registry, old: OldRegistry, source: int) -> None:
    images = [Image(), Image()]
    for image in images:
        old.push("team/app", image)
    index = index_of(*(image.manifest for image in images))
    old.push_manifest("team/app", index, "multi")
    assert registry.get("/v2/team/app/manifests/multi").data == index
    for image in images:
        assert registry.get(f"/v2/team/app/manifests/{image.digest}").data == image.manifest
        for blob in image.blobs:
            assert registry.pull_blob("team/app", Digest.of(blob)) == blob
    assert source


def test_what_neither_has_is_404(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push("team/app", Image(), "v1")
    assert registry.get("/v2/team/app/manifests/v2").status_code == 404
    assert registry.get(f"/v2/team/app/manifests/{Image().digest}").status_code == 404
    assert registry.get(f"/v2/team/app/blobs/{Image().digest}").status_code == 404
    assert registry.get("/v2/team/none/manifests/v1").status_code == 404
    assert value(registry.services.database, "SELECT count(*) FROM import_repositories WHERE name = 'team/none'") == 0
    assert source


def test_times_are_those_that_the_older_registry_has(registry: Registry, old: OldRegistry, source: int) -> None:
    old.push("team/app", Image(), "v1")
    query(registry.services.database, "SELECT pg_sleep(0.05)")
    before = value(registry.services.database, "SELECT now()")
    registry.get("/v2/team/app/manifests/v1")
    times = query(
        registry.services.database,
        "SELECT tags.created_at, updated_at, pushed_at FROM tags JOIN manifests ON manifests.id = manifest_id",
    )
    assert all(time < before for time in times[0])
    assert source


def test_a_push_may_name_what_only_the_older_registry_has(registry: Registry, old: OldRegistry, source: int) -> None:
    image = Image()
    for blob in image.blobs:
        old.push_layer("team/app", blob)
    assert registry.put_manifest("team/app", "new", image.manifest).status_code == 201
    child = Image()
    old.push("team/app", child)
    assert registry.put_manifest("team/app", "multi", index_of(child.manifest)).status_code == 201
    assert source


def test_a_mount_reads_from_the_older_registry(registry: Registry, old: OldRegistry, source: int) -> None:
    digest = old.push_layer("team/app", b"layer")
    answer = registry.request("POST", f"/v2/team/other/blobs/uploads/?mount={digest}&from=team/app")
    assert answer.status_code == 201
    assert registry.pull_blob("team/other", digest) == b"layer"
    assert source


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_tag_that_is_only_there_is_deleted_and_stays_so(
    registry: Registry, old: OldRegistry, source: int, *, is_listed: bool
) -> None:
    image = Image()
    old.push("team/app", image, "v1", "v2")
    if is_listed:
        registry.get("/v2/team/app/manifests/v2")
        registry.get("/v2/team/app/manifests/v1")
        end_listing(registry.services.database)
    assert registry.request("DELETE", "/v2/team/app/manifests/v1").status_code == 202
    assert registry.get("/v2/team/app/manifests/v1").status_code == 404
    assert registry.get("/v2/team/app/manifests/v2").status_code == 200
    assert source


def test_a_manifest_that_is_only_there_is_deleted_with_its_tags_and_stays_so(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    image = Image()
    old.push("team/app", image, "v1")
    assert registry.request("DELETE", f"/v2/team/app/manifests/{image.digest}").status_code == 202
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").status_code == 404
    assert registry.get("/v2/team/app/manifests/v1").status_code == 404
    registry.push_image("team/app", image=image)
    assert registry.get(f"/v2/team/app/manifests/{image.digest}").status_code == 200
    assert source


class TestFollow:
    """While the older registry decides, it is asked about each tag, and takes all writes."""

    @pytest.fixture
    def source(self, registry: Registry, old: OldRegistry) -> int:  # noqa: ARG002  # the order
        return open_source(registry.services.database, "follow")

    def test_each_read_is_what_it_would_answer_at_this_moment(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        images = [Image(), Image()]
        for turn in range(4):
            image = images[turn % 2]
            old.push("team/app", image, "v1")
            for method in ("HEAD", "GET"):
                answer = registry.request(method, "/v2/team/app/manifests/v1")
                assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (200, str(image.digest))
            if turn == 1:
                end_listing(registry.services.database)
        old.untag("team/app", "v1")
        assert registry.get("/v2/team/app/manifests/v1").status_code == 404
        assert registry.get(f"/v2/team/app/manifests/{images[0].digest}").status_code == 200
        assert source

    def test_a_repository_that_came_to_be_there_since_it_was_listed_is_answered(
        self, registry: Registry, old: OldRegistry
    ) -> None:
        """Its tags are told once they are known: until then there is no list, rather than one that lacks some."""
        source = add(registry.services)
        sources.set_mode(registry.services.database, source.id, "follow")
        run(registry.services)
        image, later = Image(), Image()
        old.push("team/new", image, "v1", "v2")
        answer = registry.get("/v2/team/new/manifests/v1")
        assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (200, str(image.digest))
        assert registry.get("/v2/team/new/tags/list").status_code == 503
        run(registry.services)
        assert registry.get("/v2/team/new/tags/list").get_json()["tags"] == ["v1", "v2"]
        old.push("team/newer", later, "v1")
        assert registry.get("/v2/team/newer/tags/list").status_code == 503
        run(registry.services)
        assert registry.get("/v2/team/newer/tags/list").get_json()["tags"] == ["v1"]
        assert registry.get("/v2/team/newest/manifests/v1").status_code == 404

    @pytest.mark.parametrize("reads", [40, pytest.param(1000, marks=pytest.mark.slow)])
    def test_whoever_pulls_here_gets_what_there_is_there_at_that_moment(
        self, registry: Registry, old: OldRegistry, reads: int
    ) -> None:
        """Between every two reads a tag is moved, taken away or made there; workers list, import and compare."""
        chance = random.Random(reads)  # noqa: S311  # it only has to be the same each time
        images = [Image() for _ in range(4)]
        tags = [(f"team/app-{number}", tag) for number in range(4) for tag in ("v1", "v2", "latest")]
        for repository in {repository for repository, _ in tags}:
            for image in images:
                old.push(repository, image)
        source = add(registry.services)
        sources.set_mode(registry.services.database, source.id, "follow")
        for number in range(reads):
            repository, tag = chance.choice(tags)
            if tag in old.tags.get(repository, {}) and chance.random() < 0.2:
                old.untag(repository, tag)
            else:
                old.tag(repository, tag, chance.choice(images).digest)
            if number % (reads // 10) == 0:
                pieces.add_whole(registry.services.database, source.id, ["repositories"])
                run(registry.services)
                registry.services.imports.sources._ask_at = 0.0
            repository, tag = chance.choice(tags)
            there = old.tags.get(repository, {}).get(tag)
            answer = registry.get(f"/v2/{repository}/manifests/{tag}")
            assert answer.status_code == (404 if there is None else 200)
            assert there is None or Digest.of(answer.data) == there

    def test_it_takes_all_writes(self, registry: Registry, old: OldRegistry, source: int) -> None:
        image = Image()
        old.push("team/app", image, "v1")
        registry.get("/v2/team/app/manifests/v1")
        for answer in (
            registry.request("POST", "/v2/team/app/blobs/uploads/"),
            registry.put_manifest("team/app", "v2", image.manifest),
            registry.request("DELETE", "/v2/team/app/manifests/v1"),
            registry.request("DELETE", f"/v2/team/app/manifests/{image.digest}"),
            registry.request("DELETE", "/api/v1/repositories/team/app"),
        ):
            assert answer.status_code == 405, answer.text
            assert registry.error_code(answer) == "UNSUPPORTED"
        assert source

    def test_once_this_registry_decides_it_is_asked_no_more(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        first, second = Image(), Image()
        old.push("team/app", first, "v1")
        registry.get("/v2/team/app/manifests/v1")
        sources.set_mode(registry.services.database, source, "lead")
        registry.get("/v2/team/app/manifests/v1")
        old.push("team/app", second, "v1")
        assert registry.get("/v2/team/app/manifests/v1").data == first.manifest
        registry.push_image("team/app", "v1", second)
        assert registry.get("/v2/team/app/manifests/v1").data == second.manifest

    def test_what_was_pushed_here_wins_also_if_it_follows_again(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        """A process that still follows must not answer what was there before somebody pushed through another."""
        first, second = Image(), Image()
        old.push("team/app", first, "v1")
        registry.get("/v2/team/app/manifests/v1")
        sources.set_mode(registry.services.database, source, "lead")
        registry.push_image("team/app", "v1", second)
        sources.set_mode(registry.services.database, source, "follow")
        assert registry.get("/v2/team/app/manifests/v1").data == second.manifest


class TestTrouble:
    def test_a_store_that_does_not_answer_is_503(
        self, registry: Registry, old: OldRegistry, source: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old.push("team/app", Image(), "v1")
        monkeypatch.setattr(StoredObjects, "_get", mock.Mock(side_effect=StoreBusy("429")))
        answer = registry.get("/v2/team/app/manifests/v1")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert source

    def test_more_at_once_than_may_be_is_503(
        self, registry: Registry, old: OldRegistry, source: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old.push("team/app", Image(), "v1")
        monkeypatch.setattr(older_store, "_WAIT_SECONDS", 0.01)
        for _ in range(older_store.MOST_AT_ONCE):
            registry.services.imports._fetching._store._places.acquire()
        assert registry.get("/v2/team/app/manifests/v1").status_code == 503
        registry.services.imports._fetching._store._places.release()
        assert registry.get("/v2/team/app/manifests/v1").status_code == 200
        assert source

    @pytest.mark.parametrize("content", [b"", b"sha256:", b"\xff\xfe", b"sha256:" + b"g" * 64, b"x" * 10_000])
    def test_a_broken_link_is_404(self, registry: Registry, old: OldRegistry, source: int, content: bytes) -> None:
        image = Image()
        old.push("team/app", image, "v1")
        old.write(names.current_link_name("team/app", "v1"), content)
        assert registry.get("/v2/team/app/manifests/v1").status_code == 404
        old.write(names.revision_link_name("team/app", image.digest), content)
        assert registry.get(f"/v2/team/app/manifests/{image.digest}").status_code == 404
        layer = Digest.of(image.layers[0])
        old.write(names.layer_link_name("team/app", layer), content)
        assert registry.get(f"/v2/team/app/blobs/{layer}").status_code == 404
        assert source

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [(b"", "manifest_empty"), (b"{}", "manifest_digest"), (b'{"schemaVersion": 1}', "schema1")],
    )
    def test_a_broken_manifest_is_404_and_noted_once(
        self, registry: Registry, old: OldRegistry, source: int, payload: bytes, reason: str
    ) -> None:
        image = Image()
        old.push("team/app", image, "v1")
        old.write(names.blob_name(image.digest), payload)
        for _ in range(2):
            assert registry.get("/v2/team/app/manifests/v1").status_code == 404
        assert query(registry.services.database, "SELECT reason, key FROM import_problems") == [
            [reason, str(image.digest)]
        ]
        assert source

    def test_a_layer_that_is_lost_there_is_404_and_its_manifest_is_served(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        image = Image()
        old.push("team/app", image, "v1")
        lost = Digest.of(image.layers[0])
        old.remove(names.blob_name(lost))
        assert registry.get("/v2/team/app/manifests/v1").data == image.manifest
        assert registry.get(f"/v2/team/app/blobs/{lost}").status_code == 404
        assert source

    def test_an_older_client_s_list_of_referrers_is_read(
        self, registry: Registry, old: OldRegistry, source: int
    ) -> None:
        image = Image()
        old.push("team/app", image, "v1")
        signature = signature_of(image.manifest)
        old.push("team/app", signature)
        fallback = f"sha256-{image.digest.hex}"
        index = old.push_manifest("team/app", index_of(signature.manifest), fallback)
        listed(registry.services.database, source, RepositoryName("team/app"))
        list_tag(registry.services.database, RepositoryName("team/app"), fallback, index)
        shown = registry.get(f"/v2/team/app/referrers/{image.digest}").get_json()
        assert [each["digest"] for each in shown["manifests"]] == [str(signature.digest)]


def test_a_repository_that_only_the_older_registry_has_is_deleted_and_stays_so(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    old.push("team/app", Image(), "v1")
    assert registry.request("DELETE", "/api/v1/repositories/team/app").status_code == 200
    assert registry.get("/v2/team/app/manifests/v1").status_code == 404
    assert registry.request("DELETE", "/api/v1/repositories/team/none").status_code == 404
    assert source


def test_a_touch_asks_the_store_twice_however_many_tags_there_are(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    """It asks for the link that gives the right and for the manifest's bytes: of the blobs the listing has told."""
    image, repository = Image(), RepositoryName("team/app")
    old.push(repository, image, "v1")
    database = registry.services.database
    listed(database, source, repository)
    list_tag(database, repository, "v1", image.digest)
    adoption.adopt(database, [found(blob) for blob in image.blobs])
    end_listing(database)
    with requests_counted() as asked:
        assert registry.get("/v2/team/app/manifests/v1").data == image.manifest
    link = ROOT + names.revision_link_name(repository, image.digest)
    assert asked == [f"find {link}", f"read {ROOT + names.blob_name(image.digest)}"]
    with requests_counted() as asked:
        assert registry.get("/v2/team/app/manifests/none").status_code == 404
    assert asked == []


@pytest.mark.slow
def test_the_first_touch_of_a_tag_among_thirty_thousand_is_quick(
    registry: Registry, old: OldRegistry, source: int
) -> None:
    """It is so at 30 ms for each answer of the store: two requests, and a few statements that don't grow with the tags.

    The quickest of ten counts: whatever else this machine does is not the touch's.
    """
    images, repository = [Image() for _ in range(10)], RepositoryName("team/app")
    database = registry.services.database
    listed(database, source, repository)
    for number, image in enumerate(images):
        old.push(repository, image, f"v{number}")
        list_tag(database, repository, f"v{number}", image.digest)
        adoption.adopt(database, [found(blob) for blob in image.blobs])
    query(
        database,
        """
        INSERT INTO import_tags (import_id, name, digest, generation, created_at, updated_at)
        SELECT old.id, 'tag-' || number, sha256(convert_to(CAST(number AS text), 'UTF8')), 1, now(), now()
          FROM import_repositories AS old CROSS JOIN generate_series(1, 30000) AS number
        """,
    )
    end_listing(database)
    get = StoredObjects._get

    def slow(self: StoredObjects, *arguments: object) -> object:
        time.sleep(0.03)
        return get(self, *arguments)  # type: ignore[arg-type]

    took = []
    with mock.patch.object(StoredObjects, "_get", slow), requests_counted() as asked:
        for number, image in enumerate(images):
            began = time.monotonic()
            assert registry.get(f"/v2/team/app/manifests/v{number}").data == image.manifest
            took.append(time.monotonic() - began)
    assert len(asked) <= 3 * len(images)
    assert min(took) < 0.3, f"{min(took) * 1000:.0f} ms"


def test_a_folder_is_not_there_for_whoever_may_read_none(registry: Registry, tmp_path: Path) -> None:
    """That of another machine: nobody fails because of it."""
    database = registry.services.database
    added = sources.add(database, NewSource("layout", str(tmp_path)))
    assert sources.open_up(database, added.id)
    assert sources.begin_listing(database, added.id)
    assert registry.get("/v2/team/app/manifests/none").status_code == 404
