"""The first administrator's secret, where it is a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.migrate.administrator import AdministratorRefused, make_administrator
from functions.registry.auth.secrets import make_secret
from functions.registry.config import Settings
from functions.registry.metadata.access import principals
from functions.registry.metadata.db import Database


def _settings(url: str, path: Path) -> Settings:
    return Settings.from_environment(
        {
            "SLIPWAY_DATABASE": url,
            "SLIPWAY_BUCKET": "blobs",
            "SLIPWAY_PEPPER": "pepper",
            "SLIPWAY_ADMIN_SECRET_FILE": str(path),
        }
    )


def test_a_file_is_read_whenever_migrate_is_called(database_url: str, database: Database, tmp_path: Path) -> None:
    """The same instance has the placeholder first, and the secret once somebody has added it."""
    path = tmp_path / "admin-secret"
    path.write_text("add a version: docs/deploy.md says how")
    settings = _settings(database_url, path)
    with pytest.raises(AdministratorRefused, match="no secret of the form"):
        make_administrator(settings)
    path.write_text(make_secret().text + "\n")
    make_administrator(settings)
    administrator = principals.get(database, "admin")
    assert administrator is not None
    assert administrator.is_admin


def test_a_file_that_is_not_there_is_told(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(AdministratorRefused, match="can't be read"):
        make_administrator(_settings(database_url, tmp_path / "nothing"))
