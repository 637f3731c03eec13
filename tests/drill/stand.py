"""The registry of the drill, and what is done to it: as operators do it, and as nobody should."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests

from functions.registry.metadata.driver import Connection
from local.postgres import Postgres, _environment, _give_to_account, _programs
from local.processes import Children
from local.programs import BUCKET, ROOT
from local.stack import Options, Stack

_COLLECT: Final = "from functions.gc.run import run; from functions.registry.wiring import services; run(services())"
_GRACES: Final = "UPDATE gc_settings SET grace = CASE event WHEN 'upload' THEN interval '1 minute' ELSE '1 second' END"
_PASS_TIME: Final = """
    UPDATE deletions SET not_before = now() - interval '1 second';
    UPDATE manifest_reviews SET review_after = now() - interval '1 second';
    UPDATE link_reviews SET review_after = now() - interval '1 second';
    UPDATE blob_reviews SET review_after = now() - interval '1 second';
"""
_PATIENCE_SECONDS: Final = 300


class StepFailed(Exception):
    """A step of the drill did not end as it should."""


@dataclass
class Stand:
    """`folder` has the data, the archive of the database's log, and beside them the backups."""

    folder: Path
    stack: Stack | None = None
    number: int = 0

    @property
    def data(self) -> Path:
        return self.folder / f"data-{self.number}"

    @property
    def backups(self) -> Path:
        return self.folder / "backups"

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    def start(self) -> str:
        """Returns the registry's address."""
        os.environ["SLIPWAY_BACKUPS"] = str(self.backups)
        self.stack = Stack(Options(0, self.data, ephemeral=True, access="open")).start()
        self.execute(_GRACES)
        self._store(
            "PATCH", f"/storage/v1/b/{BUCKET}", json={"softDeletePolicy": {"retentionDurationSeconds": "604800"}}
        )
        return self.stack.address

    def stop(self) -> None:
        if self.stack is not None:
            self.stack.stop()
            self.stack = None

    @property
    def environment(self) -> dict[str, str]:
        if self.stack is None:
            raise StepFailed("the registry is not running")
        return self.stack.environment

    def execute(self, sql: str) -> None:
        connection = Connection(self.environment["SLIPWAY_DATABASE"])
        connection.simple(sql)
        connection.close()

    def rows(self, sql: str) -> list[list[Any]]:
        connection = Connection(self.environment["SLIPWAY_DATABASE"])
        try:
            return connection.run([(sql, {})])[0].rows
        finally:
            connection.close()

    def now(self) -> datetime:
        moment: datetime = self.rows("SELECT clock_timestamp()")[0][0]
        return moment

    def collect(self) -> None:
        """One run of garbage collection, after whatever it waits for is over."""
        self.execute(_PASS_TIME)
        subprocess.run(
            [sys.executable, "-c", _COLLECT], cwd=ROOT, env=self.environment, check=True, capture_output=True
        )

    def slipway(self, *words: str, codes: tuple[int, ...] = (0,), **more: str) -> str:
        """A line as it is typed beside the registry. Raises StepFailed."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}",
            "SLIPWAY_DATA": str(self.data),
            **more,
        }
        done = subprocess.run(
            [sys.executable, "-m", "slipway_cli", *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
        )
        if done.returncode not in codes:
            raise StepFailed(f"slipway {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    # What the database's own log is for.

    def begin_archiving(self) -> None:
        """From now on each piece of the database's log is kept, and a copy of the whole to begin with."""
        self.archive.mkdir()
        self.archive.chmod(0o777)
        settings = f"archive_mode = on\narchive_command = 'cp %p {self.archive}/%f'\n"
        self.stop()
        with (self.data / "postgres" / "postgresql.auto.conf").open("a") as file:
            file.write(settings)
        self.start()
        socket = Postgres(self.data / "postgres").socket_folder
        command: list[str | Path] = [_programs() / "pg_basebackup", "-h", socket, "-U", "postgres", "-D", self.base]
        subprocess.run([*command, "-X", "none", "-c", "fast"], env=_environment(), check=True, capture_output=True)

    def archive_all(self) -> None:
        """What was written so far is in the archive."""
        (name,) = self.rows("SELECT pg_walfile_name(pg_switch_wal())")[0]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (self.archive / name).exists():
            if time.monotonic() > deadline:
                raise StepFailed(f"{name} did not come into the archive")
            time.sleep(0.1)

    def recover(self, moment: datetime) -> None:
        """The database as it was then, in place of the one that there is; the registry is down meanwhile."""
        self.stop()
        data = self.data / "postgres"
        shutil.rmtree(data)
        shutil.copytree(self.base, data)
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(
                f"archive_mode = off\nrestore_command = 'cp {self.archive}/%f %p'\n"
                f"recovery_target_time = '{moment.isoformat()}'\nrecovery_target_action = 'promote'\n"
            )
        (data / "recovery.signal").touch()
        for path in (data, *data.rglob("*")):
            _give_to_account(path)
        with self._database_alone() as url:
            self.slipway("operator", "after-recovery", moment.isoformat(), "--yes", SLIPWAY_DATABASE=url)

    @contextmanager
    def _database_alone(self) -> Iterator[str]:
        """Once it has come to where it was to go."""
        children, postgres = Children(), Postgres(self.data / "postgres", ephemeral=True)

        def is_recovered() -> bool:
            if not postgres.is_ready():
                return False
            connection = Connection(postgres.url())
            try:
                return not connection.run([("SELECT pg_is_in_recovery()", {})])[0].rows[0][0]
            finally:
                connection.close()

        try:
            children.wait_until(children.start(postgres.prepare()), is_recovered, _PATIENCE_SECONDS)
            yield postgres.url()
        finally:
            children.stop()

    # What lies in the bucket.

    def objects(self) -> list[str]:
        return [each["name"] for each in self._store("GET", f"/storage/v1/b/{BUCKET}/o?prefix=blobs/").get("items", [])]

    def bring_back_deleted(self, moment: datetime) -> int:
        """Does what `gcloud storage restore gs://BUCKET/** --deleted-after-time=T` does. Returns how many."""
        path = f"/storage/v1/b/{BUCKET}/o"
        deleted = self._store("GET", f"{path}?softDeleted=true").get("items", [])
        late = [each for each in deleted if datetime.fromisoformat(each["softDeleteTime"]) >= moment]
        there = set(self.objects())
        restored = [each for each in late if each["name"] not in there]
        for each in restored:
            name = quote(each["name"], safe="")
            self._store("POST", f"{path}/{name}/restore?generation={each['generation']}")
        return len(restored)

    def destroy_objects(self, chance: random.Random) -> None:
        """Deletes one of twenty and cuts one of a hundred, behind everybody's back."""
        names = self.objects()
        chance.shuffle(names)
        gone = max(2, len(names) // 20)
        for name in names[:gone]:
            self._store("DELETE", f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}")
        for name in names[gone : gone + max(1, len(names) // 100)]:
            self._store(
                "POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(name, safe='')}", data=b"?"
            )

    def _store(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = requests.request(method, self.environment["STORAGE_EMULATOR_HOST"] + path, timeout=60, **more)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document
