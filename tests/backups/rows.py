"""Rows of backups as tests of other rooms need them: made without any work."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.db import Database
from tests.statements import of_tests

_SEALED: Final = of_tests(
    "tests_sealed_backup",
    int,
    """
    INSERT INTO backup_runs (kind, state, destination, name, snapshot_at, ended_at)
    VALUES ('backup', 'sealed', 'gs://elsewhere', '20260131T020000Z-3f9a1c', now(), now())
    RETURNING id
    """,
)


def sealed(database: Database) -> int:
    """Returns the id of a backup that is sealed, as far as the database knows."""
    return database.all(_SEALED())[0]
