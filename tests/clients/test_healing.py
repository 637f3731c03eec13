"""An image whose objects are gone is whole again once the client that pushed it pushes it once more."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest
import requests

from tests.clients.command import Client
from tests.clients.content import Layout, digest_of, make_image, make_index
from tests.clients.remote import Repository
from tests.clients.test_buildah import buildah
from tests.clients.test_crane import crane
from tests.clients.test_docker import docker, load
from tests.clients.test_skopeo import push

__all__ = ["buildah", "crane", "docker"]

pytestmark = [pytest.mark.clients]

_SECONDS: Final = 60


def damage(repository: Repository, digests: Sequence[str]) -> None:
    """Takes their objects out of the bucket, by the address that a pull is sent to; then a check marks the blobs."""
    for digest in digests:
        answer = requests.get(repository.url(f"blobs/{digest}"), allow_redirects=False, timeout=_SECONDS)
        if answer.status_code == requests.codes.ok:
            pytest.skip("where the registry streams blobs nobody sees where they lie")
        there = urlsplit(answer.headers["Location"])
        bucket, _, name = there.path.removeprefix("/").partition("/")
        url = f"{there.scheme}://{there.netloc}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        requests.delete(url, timeout=_SECONDS).raise_for_status()
    # A bucket in which nothing is found is the wrong one.
    kept = repository.sibling("kept").url(f"blobs/uploads/?digest={digest_of(b'kept')}")
    requests.post(kept, data=b"kept", timeout=_SECONDS).raise_for_status()
    check(repository, repair=True, yes=True)
    assert not any(repository.has_blob(digest) for digest in digests)


def check(repository: Repository, **options: Any) -> None:
    """Runs one, after the one that another test may have begun."""
    checks, deadline = f"http://{repository.address}/api/v1/checks", time.monotonic() + _SECONDS
    while (answer := requests.post(checks, json=options, timeout=_SECONDS)).status_code == requests.codes.conflict:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    answer.raise_for_status()
    while (found := requests.get(f"{checks}/{answer.json()['id']}", timeout=_SECONDS).json())["state"] == "running":
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    assert found["state"] == "done", found


def check_whole(repository: Repository, digests: Sequence[str], tag: str = "one") -> None:
    """Byte for byte, and no check finds anything about them any more."""
    repository.check_whole(tag)
    assert all(repository.has_blob(digest) for digest in digests)
    check(repository)
    found = requests.get(f"http://{repository.address}/api/v1/findings?n=1000", timeout=_SECONDS).json()["findings"]
    assert not {each["digest"] for each in found} & set(digests)


@pytest.mark.client("skopeo")
@pytest.mark.operations("push of a damaged image", "push of a damaged index")
@pytest.mark.timeout(180)
def test_skopeo_heals_an_image_and_an_index_with_all_its_platforms(
    skopeo: Client, layout: Layout, repository: Repository
) -> None:
    index = make_index(layout)
    push(skopeo, layout, repository, "many")
    blobs = [blob for image in index.images for blob in image.blobs]
    damage(repository, blobs)
    push(skopeo, layout, repository, "many")
    check_whole(repository, blobs, "many")


@pytest.mark.client("docker")
@pytest.mark.operations("push of a damaged image")
@pytest.mark.timeout(180)
def test_docker_heals_an_image(docker: Client, layout: Layout, repository: Repository) -> None:
    image, name = make_image(layout), repository.tagged("one")
    load(docker, layout, image, name)
    docker.run("push", name)
    manifest = repository.manifest("one")
    blobs = [manifest.config, *manifest.layers]
    damage(repository, blobs)
    docker.run("push", name)
    check_whole(repository, blobs)


@pytest.mark.client("buildah")
@pytest.mark.operations("push of a damaged image")
@pytest.mark.timeout(180)
def test_buildah_heals_an_image_that_it_pushed(buildah: Client, repository: Repository, folder: Path) -> None:
    (folder / "Containerfile").write_text("FROM scratch\nCOPY Containerfile /added\n")
    name, file = repository.tagged("one"), f"--file={folder}/Containerfile"
    buildah.run("build", "--isolation=chroot", "--layers", "--tag", name, file, folder)
    buildah.run("push", "--tls-verify=false", name)
    manifest = repository.manifest("one")
    blobs = [manifest.config, *manifest.layers]
    damage(repository, blobs)
    buildah.run("push", "--tls-verify=false", name)
    repository.check_whole("one")
    assert repository.manifest("one").layers == manifest.layers
    check_whole(repository, blobs)


@pytest.mark.client("crane")
@pytest.mark.operations("push of a damaged image under another tag")
@pytest.mark.timeout(180)
def test_crane_heals_an_image_under_another_tag(crane: Client, layout: Layout, repository: Repository) -> None:
    """Where the tag has the manifest already, crane sends nothing: docs/fsck.md says so."""
    image = make_image(layout)
    crane.run("push", layout.folder, repository.tagged("one"))
    damage(repository, image.blobs)
    crane.run("push", layout.folder, repository.tagged("again"))
    check_whole(repository, image.blobs)
