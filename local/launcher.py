"""`python -m local.launcher FILE` writes the command `slipway` of these sources, for the Python that runs this."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent
_START: Final = "import sys; sys.path[:0] = {paths!r}; from slipway_cli.start import main; main()"


def write_launcher(path: Path) -> None:
    """Starts the program by way of a shell: a first line that names a program has no place for spaces."""
    start = _START.format(paths=[str(_ROOT / "cli"), str(_ROOT)])
    # -P: what lies in the folder where it is called is none of ours.
    command = shlex.join([sys.executable, "-P", "-c", start])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


if __name__ == "__main__":
    write_launcher(Path(sys.argv[1]))
