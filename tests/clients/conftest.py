"""What the client tests share: the registry, a proxy that watches each test's requests, fresh images, and the table."""

import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.clients.command import Client, isolated_environment
from tests.clients.content import Layout
from tests.clients.engine import temporary_folder
from tests.clients.programs import require_program
from tests.clients.remote import Repository
from tests.clients.report import Report
from tests.clients.server import Registry, start_registry
from tests.clients.wire import Wire, wire_to

_GIVEN: Final = os.environ.get("SLIPWAY_TEST_REGISTRY")
_REPORT: Final = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "client(name): the client a test drives, as the closing table calls it")
    config.addinivalue_line("markers", "operations(*names): what a test has the client do, for the closing table")
    config.stash[_REPORT] = Report()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    is_test_itself = outcome.when == "call"
    if is_test_itself or outcome.skipped or outcome.failed:
        item.config.stash[_REPORT].add(item, outcome)
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = list(config.stash[_REPORT].lines())
    if lines:
        terminalreporter.section("clients")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", params=["given"] if _GIVEN else ["redirect", "streaming"])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    if _GIVEN:
        yield Registry(_GIVEN, request.param)
        return
    with temporary_folder() as folder, start_registry(request.param, folder / "data") as started:
        yield started


@pytest.fixture
def wire(registry: Registry) -> Iterator[Wire]:
    """What the test's client connects to: its port is new each time, so no client's cache remembers it."""
    with wire_to(registry.address) as wire:
        yield wire


@pytest.fixture
def repository(wire: Wire, request: pytest.FixtureRequest) -> Repository:
    """A repository of the test's own."""
    client = request.path.stem.removeprefix("test_").replace("_", "-")
    return Repository(wire.address, f"clients/{client}-{secrets.token_hex(4)}")


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def layout(folder: Path) -> Layout:
    return Layout(folder / "layout")


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    return isolated_environment(folder / "home")


@pytest.fixture
def skopeo(environment: dict[str, str]) -> Client:
    return Client(require_program("skopeo"), environment)
