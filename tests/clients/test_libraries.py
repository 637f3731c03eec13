"""Libraries of other languages, each with a program of ours that stands beside this file: Rust, Java, npm."""

from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client
from tests.clients.programs import require_program
from tests.clients.remote import Repository

pytestmark = pytest.mark.clients_more

_HERE: Final = Path(__file__).parent


@pytest.mark.client("oci-client (Rust)")
@pytest.mark.operations("push", "pull", "chunks", "referrers", "list")
def test_rust(environment: dict[str, str], repository: Repository) -> None:
    steps = Client(require_program("oci-client (Rust)"), environment)
    said = [line.split() for line in steps.run(repository.reference).splitlines()]
    assert [line[0] for line in said] == ["chunks", "whole", "tags"]
    assert said[2][1:] == repository.tags() == ["chunks", "whole"]
    for tag, digest in said[:2]:
        assert repository.manifest(tag).digest == digest
        repository.check_whole(tag)


@pytest.mark.client("jib-core (Java)")
@pytest.mark.operations("push", "multi-arch", "pull", "build upon")
def test_java(environment: dict[str, str], repository: Repository, folder: Path) -> None:
    jar = require_program("jib-core (Java)")
    options = ("-DsendCredentialsOverHttp=true", "-cp", f"{jar.parent}/*")
    java = Client(require_program("java"), environment, options)
    base, above = java.run(_HERE / "JibSteps.java", repository.reference, folder).split()
    assert len(repository.manifest("base").children) == 2
    assert repository.manifest("base").digest == base
    assert repository.manifest("above").digest == above
    assert len(repository.manifest("above").layers) == 2
    repository.check_whole("base")
    repository.check_whole("above")


@pytest.mark.client("oci-registry-client (npm)")
@pytest.mark.operations("push", "pull", "list", "delete")
def test_npm(environment: dict[str, str], repository: Repository) -> None:
    package = require_program("oci-registry-client (npm)")
    node = Client(require_program("node"), environment)
    digest = node.run(_HERE / "node_steps.cjs", package, repository.reference).strip()
    assert not repository.has_manifest(digest)
