"""The registry under test: one that was given, or the whole stack started for the run."""

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_REPOSITORY_ROOT: Final = Path(__file__).parents[2]
_READY: Final = re.compile(rb"ready: http://(127\.0\.0\.1:\d+)")
_SECONDS_TO_START: Final = 90
_SECONDS_TO_STOP: Final = 30


@dataclass(frozen=True, slots=True)
class Registry:
    """A live registry and how it delivers blobs: "redirect", "streaming", or "given" for one we didn't start.

    `database` is where the metadata of one that we started lies.
    """

    address: str
    mode: str
    database: str = ""


@contextmanager
def start_registry(mode: str, data: Path, settings: Mapping[str, str] | None = None) -> Iterator[Registry]:
    """Runs the stack on a free port with its data under `data`; stops it at the end."""
    command = [sys.executable, "-m", "local", "up", "--port", "0", "--data", str(data), "--ephemeral"]
    environment = {**os.environ, "SLIPWAY_BLOB_DELIVERY": mode, **(settings or {})}
    log_path = data.parent / f"{data.name}.log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen(command, cwd=_REPOSITORY_ROOT, env=environment, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        try:
            address = _wait_until_ready(process, log_path)
            yield Registry(address, mode, json.loads((data / "run.json").read_text())["database"])
        finally:
            _stop(process)


def admin_secret(data: Path) -> str:
    """What the user `admin` of a registry started here signs in with."""
    secret: str = json.loads((data / "access.json").read_text())["SLIPWAY_ADMIN_SECRET"]
    return secret


def _wait_until_ready(process: subprocess.Popen[bytes], log_path: Path) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + _SECONDS_TO_START
    said = b""
    while (left := deadline - time.monotonic()) > 0:
        piece = _read_for(process.stdout, left)
        said += piece
        if match := _READY.search(said):
            return match.group(1).decode()
        if not piece and process.poll() is not None:
            break
    complaint = log_path.read_text(errors="replace")[-4000:]
    raise AssertionError(f"the registry didn't become ready\n{said.decode(errors='replace')}\n{complaint}")


def _read_for(stream: IO[bytes], seconds: float) -> bytes:
    readable, _, _ = select.select([stream], [], [], min(seconds, 1.0))
    return os.read(stream.fileno(), 65536) if readable else b""


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        # Reading on to the end keeps a full pipe from holding the process up.
        process.communicate(timeout=_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"the registry took over {_SECONDS_TO_STOP} s to stop") from None
