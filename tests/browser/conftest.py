"""A registry as it runs on one machine, with something in it, and a real Chromium in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.browser.content import fill
from tests.browser.eyes import Eyes, open_eyes
from tests.clients.server import admin_secret, start_registry
from tests.issuer import serving
from tests.people_issuer import CLIENT, CLIENT_SECRET, PeopleIssuer

PROGRAMS: Final = ("chromium", "chromedriver")


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Skips where something is missing, and says what."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: .ci/install-browser")
    pytest.importorskip("selenium", reason="selenium is not installed: .ci/install-browser, and make test-browser")


@pytest.fixture(scope="session")
def issuer() -> Iterator[PeopleIssuer]:
    """Runs the issuer by which people sign in."""
    with serving(PeopleIssuer()) as served:
        yield served


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory, issuer: PeopleIssuer) -> Iterator[tuple[str, str]]:
    """The address of a registry that people sign in to, and the administrator's secret."""
    data = tmp_path_factory.mktemp("console") / "data"
    settings = {
        "SLIPWAY_ACCESS": "token",
        "SLIPWAY_CONSOLE_ISSUER": issuer.address,
        "SLIPWAY_CONSOLE_CLIENT_ID": CLIENT,
        "SLIPWAY_CONSOLE_CLIENT_SECRET": CLIENT_SECRET,
    }
    with start_registry("redirect", data, settings) as registry:
        secret = admin_secret(data)
        fill(data, secret)
        yield f"http://{registry.address}", secret


@pytest.fixture
def eyes(stand: tuple[str, str], tmp_path: Path) -> Iterator[Eyes]:
    """A browser that has signed in as the administrator."""
    address, secret = stand
    with open_eyes(address, tmp_path) as opened:
        opened.sign_in("admin", secret)
        yield opened


@pytest.fixture(scope="module")
def readers_eyes(stand: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eyes]:
    """A browser without script that has signed in as the administrator."""
    address, secret = stand
    with open_eyes(address, tmp_path_factory.mktemp("reader"), has_script=False) as opened:
        opened.sign_in("admin", secret)
        yield opened
