"""Completion, driven in real shells: a line is typed, Tab is pressed, and the shell shows what it makes of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.cli.stand import Stand
from tests.conftest import ROOT

SHELLS: Final = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
SETUP: Final = {
    "bash": 'bind "set enable-bracketed-paste off"; eval "$(slipway completion bash)"',
    "zsh": 'unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; eval "$(slipway completion zsh)"',
    "fish": "slipway completion fish | source",
}
# What is typed before Tab, and what stands there afterwards.
LINES: Final = {
    "slipway pull-c": "slipway pull-command ",
    "slipway tag li": "slipway tag list ",
    "slipway show team/a": "slipway show team/app ",
    "slipway show team/app:olde": "slipway show team/app:older ",
    "slipway robot show c": "slipway robot show ci ",
    "slipway usage top most-w": "slipway usage top most-wasteful ",
    "slipway ls --so": "slipway ls --sort",
}
_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?>=]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>])|\r|\x0f|\x08")
_PATIENCE: Final = 60.0


class Terminal:
    """A shell behind a pseudo terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def wait_for(self, text: str) -> str:
        """What was shown since the last time, up to when it has the text. Raises AssertionError after a minute."""
        until = time.monotonic() + _PATIENCE
        while text not in (shown := _ESCAPES.sub("", self._shown)):
            assert time.monotonic() < until, (text, shown)
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self._shown += os.read(self._descriptor, 65536).decode(errors="replace")
                self._answer()
        self._shown = ""
        return shown

    def _answer(self) -> None:
        """Fish asks what kind of terminal it has."""
        if self._shown.endswith("\x1b[c") or "\x1b[0c" in self._shown[-8:]:
            self.type("\x1b[?62c")


@contextmanager
def terminal(shell: str, stand: Stand) -> Iterator[Terminal]:
    folder = stand.home / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "slipway"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/cli exec {sys.executable} -P -m slipway_cli "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.defpath}:/usr/local/bin", "HOME": str(stand.home), "TERM": "dumb", "COLUMNS": "200",
        "SLIPWAY_REGISTRY": stand.server.address, "PS1": "> ", "PROMPT": "> ", "LC_ALL": "C.UTF-8",
        "XDG_CACHE_HOME": str(stand.home / ".cache"),
    }  # fmt: skip
    controller, follower = pty.openpty()
    with subprocess.Popen(
        SHELLS[shell], env=environment, cwd=stand.home, stdin=follower, stdout=follower, stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # nothing that another thread holds
    ) as process:  # fmt: skip
        os.close(follower)
        try:
            yield Terminal(controller)
        finally:
            process.kill()
            os.close(controller)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_and_names(stand: Stand, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here: apt-get install {shell}")
    with terminal(shell, stand) as screen:
        screen.type(f"{SETUP[shell]}; echo set''up\n")
        screen.wait_for("setup")
        for typed, completed in LINES.items():
            screen.type(f"{typed}\t")
            screen.wait_for(completed.removeprefix(typed).rstrip())
            # The line as the shell now has it: quoted, it is an argument.
            screen.type("\x01echo '<\x05>'\n")
            shown = screen.wait_for(">")
            while f"<{completed.strip()}" not in shown:
                shown = screen.wait_for(">")


def test_what_can_not_be_asked_completes_to_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SLIPWAY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "slipway show team")
    monkeypatch.setenv("COMP_CWORD", "2")
    stand.server.asked.clear()
    assert stand().out == "plain,team/app\nplain,team/old\n"
    # For a minute the names are known.
    assert stand().out == "plain,team/app\nplain,team/old\n"
    assert len(stand.server.asked) == 1
    monkeypatch.setenv("SLIPWAY_REGISTRY", "127.0.0.1:1")
    ended = stand()
    assert (ended.out.strip(), ended.err) == ("", "")
    assert Path(stand.home / ".cache" / "slipway").stat().st_mode & 0o777 == 0o700
