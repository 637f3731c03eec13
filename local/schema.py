"""Writes the schema that all migrations make, for people to read: `make schema`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from functions.migrate.schema import upgrade
from local.postgres import Postgres, _environment, _programs
from local.processes import Children

_START_SECONDS: Final = 60
_DUMP_SECONDS: Final = 60
_HEADING: Final = (
    "-- The schema as all migrations leave it. Written by `make schema`; a test says when it is out of date.\n\n"
)
# What differs from one dump or one version to the next, or says only what the next line says again.
_NOISE: Final = re.compile(r"--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict ")


def dump(url: str) -> str:
    """Returns the schema of a migrated database, the same text for the same schema."""
    command: list[str | Path] = [
        _programs() / "pg_dump",
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        "--exclude-table=alembic_version",
        f"--dbname={url}",
    ]
    finished = subprocess.run(
        command, check=True, env=_environment(), capture_output=True, text=True, timeout=_DUMP_SECONDS
    )
    lines = [line.rstrip() for line in finished.stdout.splitlines() if not _NOISE.match(line)]
    return _HEADING + re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def main() -> None:
    """Runs on a server of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data", ephemeral=True)
        children = Children()
        try:
            child = children.start(server.prepare())
            children.wait_until(child, server.is_ready, seconds=_START_SECONDS)
            upgrade(server.url())
            sys.stdout.write(dump(server.url()))
        finally:
            children.stop()


if __name__ == "__main__":
    main()
