"""Copies from registries that other people wrote, and from another one of ours: each as it is, and behind a front that
makes it hard.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from functions.migrate.work import run
from functions.registry.auth.source_credentials import Credentials
from functions.registry.metadata.imports import sources
from functions.registry.metadata.imports.sources import NewSource
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.clients.programs import require_program
from tests.clients.server import admin_secret, start_registry
from tests.imports import debian
from tests.imports.demo import push
from tests.imports.importing import problems, states
from tests.imports.remote.front import Front, front_of
from tests.support import Image, Registry, descriptor, index_of

_LARGEST_LAYER = 200_000


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "SLIPWAY_PRIVATE_SOURCES": "127.0.0.1 localhost"}


def copied(registry: Registry, address: str, **options: object) -> int:
    source = sources.add(registry.services.database, NewSource("registry", address, options=options))
    sources.open_up(registry.services.database, source.id)
    while run(registry.services):
        pass
    return source.id


def again(registry: Registry, source: int) -> None:
    answer = registry.request("POST", f"/api/v1/imports/{source}/start", json={})
    assert answer.status_code == 200
    while run(registry.services):
        pass


def equal(registry: Registry, address: str, repository: str, *references: object, token: str = "") -> None:
    """Manifests, and the blobs of images, as the other one answers them."""
    for reference in references:
        theirs = debian.manifest(address, repository, reference, token=token)
        ours = registry.get(f"/v2/{repository}/manifests/{reference}")
        assert theirs.status_code == ours.status_code == 200, (repository, reference, ours.text)
        assert ours.data == theirs.content
        assert ours.content_type == theirs.headers["Content-Type"]
        document = theirs.json()
        for part in [document["config"], *document["layers"]] if "config" in document else ():
            digest = Digest.parse(part["digest"])
            assert Digest.of(registry.pull_blob(repository, digest)) == digest


def filled(address: str, token: str = "", *, has_referrers: bool = False) -> dict[str, list[object]]:
    """Images, an index, an artifact with a subject, and a fallback tag where clients need one; what there is by
    repository.
    """
    images = [Image(layers=(os.urandom(_LARGEST_LAYER), os.urandom(100)))]
    images += [Image(layers=(os.urandom(100),)) for _ in range(2)]
    for number, image in enumerate(images):
        push(address, "team/app", image, f"v{number}", "latest", token=token)
    index = index_of(images[0].manifest, images[1].manifest)
    answer = requests.put(
        f"http://{address}/v2/team/app/manifests/both",
        data=index,
        headers={"Content-Type": OCI_INDEX, **({"Authorization": f"Bearer {token}"} if token else {})},
        timeout=20,
    )
    answer.raise_for_status()
    signature = Image(more={"subject": descriptor(images[2].manifest, OCI_MANIFEST)})
    fallback = [] if has_referrers else [str(images[2].digest).replace(":", "-")]
    push(address, "team/app", signature, *fallback, token=token)
    for number in range(4):
        push(address, f"many/r{number}", images[1], "v1", token=token)
    tags: list[object] = ["v0", "v1", "v2", "latest", "both", *fallback, images[0].digest, signature.digest]
    return {"team/app": tags, **{f"many/r{number}": ["v1"] for number in range(4)}}


def test_debians_registry(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with debian.serve(tmp_path / "old") as address:
        held = filled(address)
        source = copied(registry, f"http://{address}", page_size=3)
        assert problems(registry.services) == set()
        assert states(registry.services) == dict.fromkeys(held, "imported")
        for repository, references in held.items():
            equal(registry, address, repository, *references)
        before = registry.get(f"/api/v1/imports/{source}").get_json()["counts"]
        again(registry, source)
        assert registry.get(f"/api/v1/imports/{source}").get_json()["counts"] == before
        moved = Image()
        push(address, "team/app", moved, "v0")
        push(address, "new/one", moved, "v0")
        again(registry, source)
        equal(registry, address, "team/app", "v0")
        equal(registry, address, "new/one", "v0")


def require_hard_copy(registry: Registry, front: Front, held: dict[str, list[object]], token: str = "") -> None:
    """All of it comes through the front, and a second pass asks by HEAD alone, but for the lists."""
    front.largest = _LARGEST_LAYER
    sealed = Credentials(front.username or "admin", front.secret).sealed(registry.services.settings.pepper)
    source = copied(registry, front.address, page_size=3, credentials=sealed)

    assert problems(registry.services) == set()
    assert states(registry.services) == dict.fromkeys(held, "imported")
    for repository, references in held.items():
        equal(registry, front.registry.removeprefix("http://"), repository, *references, token=token)
    assert front.limited >= 3
    assert front.cut == 1
    assert front.elsewhere
    assert set(front.elsewhere) == {None}

    front.asked.clear()
    again(registry, source)
    others = [line for line in front.asked if not line.startswith("HEAD ") and not is_list(line)]
    assert others == []
    assert len([line for line in front.asked if line.startswith("HEAD ")]) >= sum(map(len, held.values())) - 2


def is_list(line: str) -> bool:
    return any(part in line for part in ("/v2/_catalog", "/tags/list", "/referrers/", "/token"))


@pytest.mark.clients
def test_debians_registry_behind_a_hard_front(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with (
        debian.serve(tmp_path / "old") as address,
        front_of(Front(f"http://{address}", username="reader", secret="s3cret")) as front,
    ):
        require_hard_copy(registry, front, filled(address))


@pytest.mark.clients_more
def test_distribution_3_behind_a_hard_front(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with (
        debian.serve(tmp_path / "old", require_program("distribution 3")) as address,
        front_of(Front(f"http://{address}", username="reader", secret="s3cret")) as front,
    ):
        require_hard_copy(registry, front, filled(address))


@pytest.fixture
def another(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Another Slipway, and its administrator's secret: started before this one's settings are in the environment."""
    with start_registry("redirect", tmp_path / "data", {"SLIPWAY_ACCESS": "token"}) as other:
        yield other.address, admin_secret(tmp_path / "data")


@pytest.mark.clients
def test_another_slipway_behind_a_hard_front(another: tuple[str, str], registry: Registry) -> None:
    address, secret = another
    scopes = [f"repository:{name}:pull,push" for name in ("team/app", *(f"many/r{number}" for number in range(4)))]
    query = {"service": "slipway", "scope": scopes}
    answer = requests.get(f"http://{address}/token", params=query, auth=("admin", secret), timeout=20)
    token = answer.json()["token"]
    held = filled(address, token, has_referrers=True)
    image = registry_digest(address, token)
    with front_of(Front(f"http://{address}", secret=secret)) as front:
        require_hard_copy(registry, front, held, token)
    listed = registry.get(f"/v2/team/app/referrers/{image}").get_json()["manifests"]
    assert [entry["digest"] for entry in listed] == [str(held["team/app"][-1])]


def registry_digest(address: str, token: str) -> str:
    return debian.manifest(address, "team/app", "v2", token=token).headers["Docker-Content-Digest"]
