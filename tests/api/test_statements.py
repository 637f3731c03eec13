"""What each route asks of the database. A read is one statement; a push does not depend on how much it refers to."""

from __future__ import annotations

import json
import os

import pytest

from functions.registry.oci.digest import Digest
from tests.support import Image, Registry, encode, index_of


@pytest.fixture
def image(registry: Registry) -> Image:
    return registry.push_image("a/b", "v1", Image(layers=(b"layer",)))


READS = {
    "/v2/": [],
    "/v2/_catalog": ["repositories_list"],
    "/v2/a/b/tags/list": ["tags_list"],
    "/v2/a/b/manifests/v1": ["manifests_get_by_tag"],
    "/v2/a/b/manifests/{manifest}": ["manifests_get_by_digest"],
    "/v2/a/b/blobs/{blob}": ["blobs_get"],
    "/v2/a/b/referrers/{manifest}": ["referrers_list"],
}
HEADS = {
    "/v2/a/b/manifests/v1": ["manifests_head_by_tag"],
    "/v2/a/b/manifests/{manifest}": ["manifests_look"],
    "/v2/a/b/blobs/{blob}": ["blobs_look"],
}


@pytest.mark.parametrize(
    ("method", "path", "statements"),
    [("GET", path, names) for path, names in READS.items()] + [("HEAD", path, names) for path, names in HEADS.items()],
)
def test_a_read_is_one_statement(
    registry: Registry, image: Image, method: str, path: str, statements: list[str]
) -> None:
    path = path.format(manifest=image.digest, blob=Digest.of(b"layer"))
    assert registry.statements(method, path) == statements


COMMIT = ["quotas_claim", "uploads_commit_blob", "uploads_commit_link", "uploads_commit"]


def test_an_upload_in_three_requests(registry: Registry, image: Image) -> None:
    assert image.layers
    assert registry.statements("POST", "/v2/a/b/blobs/uploads/") == ["uploads_start"]
    location = registry.start_upload("a/b")
    patch = registry.statements("PATCH", location, data=b"content")
    assert patch == ["uploads_get", "uploads_name_next", "uploads_advance"]
    put = registry.statements("PUT", f"{location}?digest={Digest.of(b'content')}")
    assert put == [
        "uploads_get_with_parts",
        "quotas_claim",
        "uploads_commit_blob",
        "uploads_commit_link",
        "uploads_commit",
    ]


def test_a_mount(registry: Registry, image: Image) -> None:
    path = f"/v2/c/d/blobs/uploads/?mount={Digest.of(image.layers[0])}&from=a/b"
    statements = registry.statements("POST", path)
    assert statements == ["quotas_claim", "repositories_create_namespace", "repositories_create", "blobs_mount"]


def batch(*statements: str) -> list[str]:
    """What a push begins and ends with, besides."""
    return ["manifests_begin_push", *statements, "quotas_nearly_used"]


@pytest.mark.parametrize("layers", [1, 100])
def test_a_manifest_is_one_batch_whatever_it_refers_to(registry: Registry, layers: int) -> None:
    image = Image(layers=tuple(os.urandom(8) for _ in range(layers)))
    for blob in image.blobs:
        registry.push_blob("a/b", blob)
    statements = registry.statements("PUT", "/v2/a/b/manifests/v1", data=image.manifest)
    assert statements == batch("manifests_put", "manifests_put_blobs", "manifests_put_tags")


def test_an_index_is_one_batch(registry: Registry) -> None:
    children = [registry.push_image("a/b", image=Image(layers=())).manifest for _ in range(5)]
    statements = registry.statements("PUT", "/v2/a/b/manifests/v1", data=index_of(*children))
    assert statements == batch("manifests_put", "manifests_put_children", "manifests_put_tags")


def test_deletes(registry: Registry, image: Image) -> None:
    assert registry.statements("DELETE", "/v2/a/b/manifests/v1") == ["set_rank", "tags_delete"]
    path = f"/v2/a/b/manifests/{image.digest}"
    unless_delete_protected = ["set_rank", "rules_unless_kept"]
    statements = registry.statements("DELETE", path)
    assert statements == [*unless_delete_protected, "repositories_hold", "manifests_delete_tags", "manifests_delete"]
    assert registry.statements("DELETE", f"/v2/a/b/blobs/{Digest.of(b'layer')}") == [
        *unless_delete_protected,
        "blobs_delete_link",
    ]


def test_a_manifest_without_references_in_a_new_repository(registry: Registry) -> None:
    statements = registry.statements("PUT", "/v2/new/one/manifests/v1", data=encode({"schemaVersion": 2}))
    first, then = statements[:4], statements[4:]
    assert first == batch("manifests_put", "manifests_put_tags")
    assert then == ["quotas_claim", "repositories_create_namespace", "repositories_create", *first]


def test_a_request_tells_how_long_it_had_no_connection(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    idle = registry.services.database._pool._idle
    while not idle.empty():
        idle.get_nowait().close()  # so that it has to open one
    registry.get("/v2/_catalog")
    registry.get("/v2/")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [type(line["pool_ms"]) for line in lines] == [float, float]
    assert lines[0]["pool_ms"] > 0
    assert lines[1]["pool_ms"] == 0
