"""BuildKit: images, and build caches in both forms that they have in a registry, on private builders."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client
from tests.clients.engine import buildkit_engine
from tests.clients.remote import Repository

pytestmark = [pytest.mark.clients_more, pytest.mark.client("buildctl"), pytest.mark.timeout(300)]

_DOCKERFILE: Final = """\
FROM scratch AS first
COPY one.bin /one.bin
FROM scratch
COPY --from=first /one.bin /copied.bin
COPY two.bin /two.bin
"""


@pytest.fixture
def context(folder: Path) -> Path:
    context = folder / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(_DOCKERFILE)
    for name in ("one.bin", "two.bin"):
        (context / name).write_bytes(os.urandom(200_000))
    return context


def build(buildctl: Client, context: Path, *more: str) -> str:
    """What the builder told of its steps."""
    local = (f"--local=context={context}", f"--local=dockerfile={context}")
    return buildctl.run("build", "--progress=plain", "--frontend=dockerfile.v0", *local, *more)


@pytest.mark.operations("push", "cache export", "cache import")
@pytest.mark.parametrize(
    "form",
    [
        "image-manifest=false,oci-mediatypes=true",
        "image-manifest=false,oci-mediatypes=false",
        "image-manifest=true,oci-mediatypes=true",
    ],
)
def test_a_cache_is_used_by_an_empty_builder(context: Path, repository: Repository, form: str) -> None:
    """The index, whose entries are layers, is what older builders write; both are pushed and read by all."""
    cache = f"type=registry,ref={repository.tagged('cache')}"
    written = f"{cache},mode=max,{form}"
    image = f"type=image,name={repository.tagged('built')},push=true"
    with buildkit_engine(repository.address) as buildctl:
        assert "CACHED" not in build(buildctl, context, f"--output={image}", f"--export-cache={written}")
    digest = repository.manifest("built").digest
    repository.check_whole("built")
    with buildkit_engine(repository.address) as buildctl:
        said = build(buildctl, context, f"--output={image}", f"--import-cache={cache}")
    assert said.count("CACHED") == 3, said
    repository.check_whole("built")
    assert repository.manifest("built").layers == repository.manifest(digest).layers
