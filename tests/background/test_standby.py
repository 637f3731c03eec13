"""A real standby server: a background migration waits while that is behind, and goes on when it has caught up."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from functions.migrate.background import runner
from functions.migrate.background.runner import Runner
from functions.registry.metadata.background import batches
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from local.postgres import Postgres, _as_account, _environment, _give_to_account, _programs
from local.processes import Children
from tests.background.building import finish, migration, old_tags, pending
from tests.metadata.build import query, value, wait_until

# So little to replay is late already; and whoever is behind by less has caught up.
_BYTES = 1000
_BEHIND = "SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)), -1)::bigint FROM pg_stat_replication"


@pytest.fixture
def standby(postgres: Postgres, tmp_path: Path) -> Iterator[Connection]:
    """A session of it."""
    _give_to_account(tmp_path)
    data = tmp_path / "data"
    copy = ["--write-recovery-conf", "--checkpoint=fast", f"--pgdata={data}", f"--dbname={postgres.url()}"]
    subprocess.run([*_as_account(), _programs() / "pg_basebackup", *copy], env=_environment(), check=True)
    server = Postgres(data, ephemeral=True)
    children = Children()
    try:
        children.wait_until(children.start(server.prepare()), server.is_ready, seconds=60)
        with closing(Connection(server.url())) as connection:
            yield connection
            connection.simple("SELECT pg_wal_replay_resume()")
    finally:
        children.stop()


def test_a_standby_that_falls_behind_is_waited_for(
    standby: Connection, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = old_tags(database_url)
    monkeypatch.setattr(batches, "_LATE_BYTES", _BYTES)
    monkeypatch.setattr(batches, "_LATE_SECONDS", 3600)
    monkeypatch.setattr(runner, "_PATIENCE_SECONDS", 0.2)
    standby.simple("SELECT pg_wal_replay_pause()")
    query(database, "CREATE TABLE written AS SELECT n FROM generate_series(1, 10000) AS n")
    query(database, "DROP TABLE written")
    wait_until(lambda: value(database, _BEHIND) > _BYTES)
    worker = Runner(database, hurries=True)
    assert worker.work(time.monotonic() + 30) == 0
    assert migration(database, "waits_for, rows_done") == ("standbys", 0)
    standby.simple("SELECT pg_wal_replay_resume()")
    wait_until(lambda: 0 <= value(database, _BEHIND) <= _BYTES)
    monkeypatch.setattr(batches, "_LATE_BYTES", 1 << 40)
    # On a busy machine a batch may have to be put off for a second.
    monkeypatch.setattr(runner, "_PATIENCE_SECONDS", 30.0)
    finish(worker)
    assert pending(database) == 0
    assert migration(database, "state, rows_done, waits_for") == ("finished", total, None)
