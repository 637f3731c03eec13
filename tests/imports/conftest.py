"""What the tests of imports stand on: real layouts, in a folder and in a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.truth import NAMES, Layout, unpack


@pytest.fixture(scope="session", params=NAMES)
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Each of the real layouts in turn."""
    return unpack(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one, for a layout that a test makes."""
    return tmp_path
