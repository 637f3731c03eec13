"""`python -m local.screenshot > docs/terminal.svg`: what the command line shows of a `make up` nearby, as a picture.

It is filled before, by `make seed N=600 ARGS="--repositories 20 --largest 100"`. Each line is typed as it stands, and
what comes of it is drawn as it is.
"""

from __future__ import annotations

import html
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LINES: Final = (
    "slipway ls --sort=-size --limit 4",
    "slipway tag list orders/web-00001 --sort=-pushed --limit 3",
    "slipway explain anyone push orders/web-00001:1.0",
    "slipway repository rm orders/web-00001 --dry-run",
    "slipway gc status",
)
_ROOT: Final = Path(__file__).resolve().parent.parent
# In the units of the picture.
_SIZE: Final = 14
_WIDTH: Final = 8.43
_HEIGHT: Final = 20
_MARGIN: Final = 20
_STYLE: Final = "text{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre;fill:#d0d7de}.typed{fill:#7ee787}"


def main() -> None:
    shown = [line for command in LINES for line in _typed(command)]
    sys.stdout.write(picture(shown))


def _typed(line: str) -> Iterator[tuple[str, bool]]:
    """Yields the line as it is typed, and what it shows; True for the former."""
    yield f"$ {line}", True
    command = [sys.executable, "-P", "-m", "slipway_cli", *shlex.split(line)[1:]]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "cli")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for shown in (ended.stdout + ended.stderr).splitlines():
        yield shown, False
    yield "", False


def picture(lines: list[tuple[str, bool]]) -> str:
    """Returns an SVG of the lines: text, which stays sharp and can be searched."""
    width = max(len(line) for line, _ in lines) * _WIDTH + 2 * _MARGIN
    height = len(lines) * _HEIGHT + 2 * _MARGIN
    drawn = "\n".join(
        f'<text class="{"typed" if is_typed else "shown"}" x="{_MARGIN}" y="{_MARGIN + number * _HEIGHT + _SIZE}">'
        f"{html.escape(line)}</text>"
        for number, (line, is_typed) in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" width="{width:.0f}" height="{height}" '
        f'role="img" aria-label="The command line slipway in a terminal">\n<style>{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>\n{drawn}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
