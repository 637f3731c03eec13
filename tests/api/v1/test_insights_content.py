"""What lists with figures show, and what is shown of one repository, tag, manifest and namespace; rankings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.registry.metadata.content import tags
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_MANIFEST
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import query
from tests.metadata.list_rows import (
    fill_repositories,
    known_repositories,
)
from tests.support import Image, Registry, descriptor, encode, index_of

REPOSITORIES = "/api/v1/repositories"
NAMESPACES = "/api/v1/namespaces"


def test_a_repository_alone_has_its_settings_too(registry: Registry) -> None:
    registry.push_image("team/app", "v1")
    listed = registry.get(REPOSITORIES).get_json()["repositories"]
    shown = registry.get(f"{REPOSITORIES}/team/app").get_json()
    own = {"keep_untagged": False, "grace_seconds": None, "undo_seconds": None, "restorable_bytes": 0}
    assert [shown] == [{**item, **own} for item in listed]
    response = registry.get(f"{REPOSITORIES}/not/there")
    assert (response.status_code, registry.error_code(response)) == (404, "NAME_UNKNOWN")


def test_tags_tell_what_they_point_at(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    size = len(image.manifest) + sum(map(len, image.blobs))
    signature = Image(b"{}", (), {"subject": descriptor(image.manifest, OCI_MANIFEST), "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"})  # fmt: skip  # noqa: E501
    registry.push_image("team/app", image=signature)
    [item] = registry.get(f"{REPOSITORIES}/team/app/-/tags").get_json()["tags"]
    moments = {item.pop("created_at"), item.pop("pushed_at")}
    assert len(moments) == 1
    assert item == {
        "name": "v1", "digest": str(image.digest), "kind": "image", "media_type": OCI_MANIFEST, "size": size,
        "artifact_type": "application/vnd.oci.image.config.v1+json", "config_digest": str(Digest.of(image.config)),
        "platforms": None, "pulled_at": None, "pulls": 0, "referrers": {"signature": 1}, "subject": None,
    }  # fmt: skip
    shown = registry.get(f"{REPOSITORIES}/team/app/-/tags/v1").get_json()
    config, *layers = [{"digest": str(Digest.of(blob)), "bytes": len(blob)} for blob in image.blobs]
    assert {name: shown["config"][name] for name in config} == config
    assert [{name: layer[name] for name in ("digest", "bytes")} for layer in shown["layers"]] == layers
    assert shown["children"] == []
    artifact_type = "application/vnd.dev.cosign.artifact.sig.v1+json"
    assert shown["referrers"] == [
        {"digest": str(signature.digest), "kind": "signature", "artifact_type": artifact_type}
    ]
    assert shown["size"] == size


def platform(manifest: bytes, **more: str) -> dict[str, Any]:
    return descriptor(manifest, OCI_MANIFEST, platform=more)


def test_an_index_tells_its_platforms_and_its_children(registry: Registry) -> None:
    images = [registry.push_image("team/app", image=Image()) for _ in range(3)]
    manifests = [
        platform(images[0].manifest, os="linux", architecture="amd64"),
        platform(images[1].manifest, os="linux", architecture="arm64", variant="v8"),
        platform(images[2].manifest, os="unknown", architecture="unknown"),
    ]
    index = index_of().replace(b'"manifests": []', b'"manifests": ' + json.dumps(manifests).encode())
    assert registry.put_manifest("team/app", "multi", index).status_code == 201
    [item] = registry.get(f"{REPOSITORIES}/team/app/-/tags?kind=index").get_json()["tags"]
    assert item["platforms"] == ["linux/amd64", "linux/arm64/v8"]
    shown = registry.get(f"{REPOSITORIES}/team/app/-/tags/multi").get_json()
    sizes = [len(image.manifest) + sum(map(len, image.blobs)) for image in images]
    assert [(child["digest"], child["platform"], child["size"], child["bytes"]) for child in shown["children"]] == [
        (str(image.digest), name, size, len(image.manifest))
        for image, name, size in zip(images, ["linux/amd64", "linux/arm64/v8", "unknown/unknown"], sizes, strict=True)
    ]
    assert shown["platforms"] == item["platforms"]
    assert (shown["config"], shown["layers"], shown["size"]) == (None, [], len(index) + sum(sizes))


@pytest.mark.parametrize(
    "manifests",
    [
        b"null",
        b"[]",
        b'[{"digest": "D", "size": 5, "platform": 7}]',
        b'[{"digest": "D", "size": 5, "platform": {"os": {}}}]',
        b'[{"digest": "D", "size": 5, "platform": {"os": "\\u0000\\ud800"}}], "\\u0000": "\\ud800\\\\u0000"',
    ],
)
def test_an_index_of_any_form_is_listed(registry: Registry, manifests: bytes) -> None:
    image = registry.push_image("team/app")
    manifests = manifests.replace(b"D", str(image.digest).encode())
    index = index_of().replace(b'"manifests": []', b'"manifests": ' + manifests)
    registry.put_manifest("team/app", "multi", index)
    response = registry.get(f"{REPOSITORIES}/team/app/-/tags?name=multi")
    assert response.status_code == 200
    assert registry.get(f"{REPOSITORIES}/team/app/-/tags/multi").status_code == 200


def test_a_manifest_by_its_digest_tells_its_tags(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    registry.put_manifest("team/app", "v2", image.manifest)
    shown = registry.get(f"{REPOSITORIES}/team/app/-/manifests/{image.digest}").get_json()
    assert [tag["name"] for tag in shown["tags"]] == ["v1", "v2"]
    of_tag = registry.get(f"{REPOSITORIES}/team/app/-/tags/v1").get_json()
    assert {name: shown[name] for name in ("digest", "kind", "layers", "size")} == {
        name: of_tag[name] for name in ("digest", "kind", "layers", "size")
    }
    tags.delete(registry.services.database, RepositoryName("team/app"), Tag("v1"))
    shown = registry.get(f"{REPOSITORIES}/team/app/-/manifests/{image.digest}").get_json()
    assert [tag["name"] for tag in shown["tags"]] == ["v2"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/-/tags", 404, "NAME_UNKNOWN"),
        ("/-/tags/v1", 404, "NAME_UNKNOWN"),
        (f"/-/manifests/{Digest.of(b'')}", 404, "NAME_UNKNOWN"),
        ("/app/-/tags/none", 404, "MANIFEST_UNKNOWN"),
        (f"/app/-/manifests/{Digest.of(b'')}", 404, "MANIFEST_UNKNOWN"),
        ("/app/-/tags/-v", 400, "MANIFEST_INVALID"),
        ("/app/-/manifests/v1", 400, "DIGEST_INVALID"),
        ("/App/-/tags", 400, "NAME_INVALID"),
        ("/app/-/nothing", 400, "NAME_INVALID"),
    ],
)
def test_what_is_not_there(registry: Registry, path: str, status: int, code: str) -> None:
    registry.push_image("team/app", "v1")
    response = registry.get(f"{REPOSITORIES}/team{path}")
    assert (response.status_code, registry.error_code(response)) == (status, code)


def test_totals_and_a_namespace(registry: Registry) -> None:
    image = registry.push_image("team/app", "v1")
    registry.push_image("team/copy", "v1", image)
    size = len(image.manifest) * 2 + sum(map(len, image.blobs))
    usage = registry.get("/api/v1/usage").get_json()
    assert usage == {
        "repositories": 2, "tags": 2, "manifests": 2, "manifest_bytes": 2 * len(image.manifest), "blobs": 3,
        "blob_bytes": size - 2 * len(image.manifest), "bytes": size,
    }  # fmt: skip
    shown = registry.get(f"{NAMESPACES}/team").get_json()
    assert (shown["bytes"], shown["blobs"], shown["quota"]) == (size, 3, None)
    response = registry.get(f"{NAMESPACES}/nowhere")
    assert (response.status_code, registry.error_code(response)) == (404, "NOT_FOUND")


def test_rankings(registry: Registry) -> None:
    fill_repositories(registry.services.database, 12)
    known = known_repositories(registry.services.database)

    def ranked(ranking: str) -> list[str]:
        body = registry.get(f"/api/v1/rankings/{ranking}").get_json()
        assert body["ranking"] == ranking.partition("?")[0]
        return [item["name"] for item in body["repositories"]]

    for ranking, order in (("largest", "size"), ("most-pulled", "pulls"), ("most-wasteful", "untagged")):
        expected = known.sorted_by(order, descending=True)
        assert ranked(ranking) == expected[:10]
        assert ranked(f"{ranking}?n=3&namespace=ash") == [name for name in expected if name.startswith("ash/")][:3]
    unused = known.sorted_by("pulled")
    assert ranked("longest-unused?n=100") == unused
    late = "UPDATE repository_usage SET pushed_at = now() WHERE repository_id = (SELECT id FROM repositories WHERE name = :name)"  # noqa: E501
    query(registry.services.database, late, name=unused[0])
    assert ranked("longest-unused?n=1") == [unused[1]]
    for bad in ("n=0", "n=101", "namespace=A"):
        assert registry.get(f"/api/v1/rankings/largest?{bad}").status_code == 400
    assert registry.error_code(registry.get("/api/v1/rankings/prettiest")) == "NOT_FOUND"


def test_a_manifest_with_blobs_of_an_artifact(registry: Registry) -> None:
    registry.push_blob("team/app", b"blob")
    artifact = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "blobs": [descriptor(b"blob", "text/plain")]})
    assert registry.put_manifest("team/app", "v1", artifact).status_code == 201
    shown = registry.get(f"{REPOSITORIES}/team/app/-/tags/v1").get_json()
    assert shown["layers"] == [{"digest": str(Digest.of(b"blob")), "media_type": "text/plain", "bytes": 4}]
