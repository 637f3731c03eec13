"""The registry behind nginx, which several tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack
from tests.rehearsal.behind import Behind, running_behind, running_stack
from tests.rehearsal.nginx import MISSING, find_nginx


@pytest.fixture(scope="session")
def nginx() -> Path:
    found = find_nginx()
    if found is None:
        pytest.skip(MISSING)
    return found


@pytest.fixture(scope="session")
def stack(nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:  # noqa: ARG001  # skips first
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def behind(stack: Stack, nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with running_behind(stack, nginx, tmp_path_factory.mktemp("front")) as behind:
        yield behind


@pytest.fixture
def own_behind(stack: Stack, nginx: Path, tmp_path: Path) -> Iterator[Behind]:
    """Gives one to a test that stops it."""
    with running_behind(stack, nginx, tmp_path) as behind:
        yield behind
