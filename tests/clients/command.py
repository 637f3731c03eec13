"""Runs one client program and tells what it said when it fails."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LONGEST_REPORT = 4000


class CommandFailedError(AssertionError):
    """A client ended with an error or took too long; the message carries what it printed."""


def isolated_environment(home: Path) -> dict[str, str]:
    """An environment whose home, logins and caches lie under `home`, away from the user's own."""
    named = {
        "HOME": home,
        "DOCKER_CONFIG": home / "docker",
        "REGISTRY_AUTH_FILE": home / "auth.json",
        "XDG_CACHE_HOME": home / "cache",
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_RUNTIME_DIR": home / "runtime",
    }
    for folder in (home / "docker", home / "runtime"):
        folder.mkdir(parents=True, exist_ok=True)
    # podman and buildah refuse to start when the file they are told of is missing.
    (home / "auth.json").write_text("{}")
    loopback_needs_no_proxy = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return {**os.environ, **{name: str(path) for name, path in named.items()}, **loopback_needs_no_proxy}


@dataclass(frozen=True, slots=True)
class Client:
    """A program with the arguments that every call of it begins with."""

    program: Path
    environment: Mapping[str, str] = field(repr=False)
    always: tuple[str, ...] = ()
    folder: Path | None = None
    timeout: float = field(default=110)

    def run(self, *arguments: str | Path, given: bytes | None = None) -> str:
        """What the client printed to its standard output; raises CommandFailedError with the rest."""
        __tracebackhide__ = True
        command = [str(self.program), *self.always, *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                input=given if given is not None else b"",
                capture_output=True,
                timeout=self.timeout,
                env=self.environment,
                cwd=self.folder,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            said = _tail(expired.stdout) + _tail(expired.stderr)
            raise CommandFailedError(f"{' '.join(command)}: not done after {self.timeout} s\n{said}") from None
        if done.returncode != 0:
            said = _tail(done.stdout) + _tail(done.stderr)
            raise CommandFailedError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
        return done.stdout.decode(errors="replace")


def _tail(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")[-_LONGEST_REPORT:]
