"""A registry to copy from, and a source of this one that names it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.migrate.imports.remote.blobs import Place
from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.rate import Rate
from functions.migrate.imports.remote.repository import Choices, Keeping, Passed, RepositoryPass
from functions.registry.auth.source_credentials import Credentials
from functions.registry.metadata.imports.claims import Claim
from functions.registry.metadata.imports.vocabulary import Problem
from functions.registry.oci.name import RepositoryName
from functions.registry.wiring import Services
from tests.imports.remote.other_registry import Other, serve
from tests.statements import of_tests

_ADD = of_tests(
    "tests_add_source",
    int,
    """
    INSERT INTO import_sources (kind, address, mode, state, opened_at)
    VALUES ('registry', :address, 'lead', 'open', now()) RETURNING id
    """,
)
_ADD_REPOSITORY = of_tests(
    "tests_add_import",
    int,
    """
    INSERT INTO import_repositories (source_id, path, name, state, lease) VALUES (:source, :path, :name, 'importing', 1)
    ON CONFLICT (source_id, path) DO UPDATE SET lease = import_repositories.lease + 1
    RETURNING id
    """,
)
_LEASE = of_tests("tests_import_lease", int, "SELECT lease FROM import_repositories WHERE id = :id")


@pytest.fixture
def other() -> Iterator[Other]:
    with serve() as running:
        yield running


@dataclass
class Copying:
    """Runs passes over repositories of `other`; gathers what they tell."""

    services: Services
    address: str
    source_id: int
    problems: list[Problem] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)

    def remote(self, seconds: float = 60, credentials: Credentials | None = None, **more: Any) -> Remote:
        host = "127.0.0.1"
        return Remote(
            self.address,
            credentials or Credentials(),
            Rate(host),
            until=time.monotonic() + seconds,
            private_hosts=more.get("private_hosts", {host, "localhost"}),
        )

    def claim(self, path: str, name: str | None = None) -> Claim:
        call = _ADD_REPOSITORY(source=self.source_id, path=path, name=name or path)
        id_ = self.services.database.one_or_none(call)
        lease = self.services.database.one_or_none(_LEASE(id=id_))
        assert id_ is not None
        assert lease is not None
        return Claim(id_, path, name or path, None, "importing", lease, 0, 0, None)

    def run(self, path: str, name: str | None = None, *, remote: Remote | None = None, **choices: Any) -> Passed:
        remote = remote or self.remote()
        theirs = self.claim(path, name)
        place = Place(self.source_id, path, RepositoryName(name or path))
        keeping = Keeping(self.cursors[-1] if self.cursors else "", self.cursors.append, self.problems.append)
        try:
            return RepositoryPass(self.services, remote, place, theirs, Choices(**choices), keeping).run()
        finally:
            remote.close()

    @property
    def reasons(self) -> list[tuple[str, str, str]]:
        return sorted({(problem.kind, problem.key, problem.reason) for problem in self.problems})


@pytest.fixture
def copying(services: Services, other: Other) -> Copying:
    source = services.database.one_or_none(_ADD(address=other.address))
    assert source is not None
    return Copying(services, other.address, source)
