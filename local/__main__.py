"""`python -m local up` runs the whole registry on this machine; `python -m local reset` empties its data folder."""

from __future__ import annotations

import argparse
import io
import os
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from functions.registry.metadata.driver import ConnectionFailed, DriverError
from local.endings import end_with_parent, heed_signals
from local.guard import StartRefused
from local.kept import read_kept
from local.postgres import Postgres, PostgresFailed
from local.processes import ChildFailed
from local.programs import Data, processors
from local.reset import reset
from local.stack import Options, Stack

WATCH_SECONDS: Final = 0.5
# Each connection takes one, and each module that is imported late.
OPEN_FILES: Final = 4096
_SECRET_NAME: Final = "SLIPWAY_ADMIN_SECRET"  # noqa: S105  # a name

_WELCOME: Final = """
Push an image, and pull it back:

  docker pull hello-world && docker tag hello-world {address}/demo/hello:1
  docker push {address}/demo/hello:1
  docker pull {address}/demo/hello:1

  podman push --tls-verify=false hello-world {address}/demo/hello:2
  podman pull --tls-verify=false {address}/demo/hello:2

  skopeo copy --dest-tls-verify=false docker://docker.io/library/busybox docker://{address}/demo/busybox:1
  skopeo inspect --tls-verify=false docker://{address}/demo/busybox:1

Look into it in a browser:  http://{address}/console/
In a shell, and administer it: .venv/bin/slipway --help

Data and logs are in {data}. Ctrl-C stops everything; the data stays.
"""
_ADMINISTRATOR: Final = """
Nobody comes in without signing in. The administrator is called admin; the secret is SLIPWAY_ADMIN_SECRET in {file}:

  export SECRET=$(python3 -c 'import json; print(json.load(open("{file}"))["SLIPWAY_ADMIN_SECRET"])')
  echo "$SECRET" | docker login -u admin --password-stdin {address}
  curl -u "admin:$SECRET" http://{address}/api/v1/principals

Others get in by `slipway user add` and `slipway robot add`; see `slipway --help`.
"""


def main() -> int:
    # A folder's name may hold what the terminal can't show.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = _parser().parse_args(_words(sys.argv[1:]))
        return _COMMANDS[arguments.command](arguments)
    except (StartRefused, PostgresFailed, ChildFailed) as error:
        print(f"slipway: {error}", file=sys.stderr)
    except OSError as error:
        # A disk that is full, a file that is somebody else's: none is a fault of this program.
        print(f"slipway: {error.filename or 'it failed'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


def _words(given: Sequence[str]) -> list[str]:
    """What follows `--words` is one argument of several words, quoted as for a shell: ARGS of make, which none sees."""
    if "--words" not in given[-2:-1]:
        return list(given)
    try:
        return [*given[:-2], *shlex.split(given[-1])]
    except ValueError as error:
        raise StartRefused(f"ARGS can't be read ({error}): {given[-1]}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run the whole registry on this machine")
    up.add_argument(
        "--port", type=_port, default=5000, help="the registry's port on 127.0.0.1; 0 for any (default 5000)"
    )
    up.add_argument("--data", type=Path, default=Path(".slipway"), help="where data and logs are kept")
    up.add_argument("--ephemeral", action="store_true", help="faster, but data may be lost if the machine crashes")
    up.add_argument(
        "--api-processes",
        type=int,
        default=processors(),
        metavar="N",
        help="processes of the api function (default: one for each processor, at most four)",
    )
    up.add_argument(
        "--access",
        choices=["open", "token"],
        help="who comes in: everybody (open), or who signs in (token); as SLIPWAY_ACCESS says, or open, if left out",
    )
    up.add_argument("--detached", action="store_true", help="go on when the process that started it has ended")
    emptied = commands.add_parser("reset", help="empty the data folder")
    emptied.add_argument("--data", type=Path, default=Path(".slipway"), help="the folder to empty")
    seed = commands.add_parser("seed", help="fill a running registry with made-up content")
    seed.add_argument("--data", type=Path, default=Path(".slipway"), help="the data folder of the registry")
    seed.add_argument("--tags", type=int, default=10_000, help="how many tags (default 10000)")
    seed.add_argument("--repositories", type=int, help="in how many repositories (default a hundredth)")
    seed.add_argument("--largest", type=int, help="how many of them in one repository (default a fifth)")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004  # the last port there is
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _seed(arguments: argparse.Namespace) -> int:
    # Imported here: nothing else needs it.
    from local.seed import seed  # noqa: PLC0415

    tags = arguments.tags
    repositories = arguments.repositories or max(1, tags // 100)
    largest = arguments.largest or (tags if repositories == 1 else max(1, tags // 5))
    data = Data(arguments.data.resolve())
    url = Postgres(data.postgres).url()
    try:
        seeded = seed(url, tags, repositories, largest)
    except ConnectionFailed as error:
        raise StartRefused(
            f"no registry runs on {arguments.data}: start one with make up, or name its folder: make seed DATA=FOLDER"
        ) from error
    except DriverError as error:
        raise StartRefused(f"the registry on {arguments.data} can't be filled: {error}") from error
    except ValueError as error:
        raise StartRefused(str(error)) from error
    print(
        f"{seeded.tags:,} tags and {seeded.manifests:,} manifests in {seeded.repositories:,} repositories and "
        f"{seeded.namespaces:,} namespaces, in {seeded.seconds:.0f} s; the largest is {seeded.largest}"
    )
    print("These are for lists and figures: their layers are in no bucket, so none of them can be pulled or backed up.")
    _show(data, url)
    return 0


def _show(data: Data, url: str) -> None:
    """Pushes what can be looked into, once."""
    # Imported here: see _seed.
    import requests  # noqa: PLC0415

    from local.showcase import GATEWAY, show  # noqa: PLC0415

    told = read_kept(data.run, ("registry",))
    try:
        is_open = requests.get(f"{told['registry']}/v2/", timeout=10).ok
        secret = None if is_open else read_kept(data.access, (_SECRET_NAME,))[_SECRET_NAME]
        is_new = show(told["registry"], secret, url)
    except requests.RequestException as error:
        raise StartRefused(f"the registry at {told['registry']} takes no images: {error}") from error
    if is_new:
        name = GATEWAY.repository
        print(f"Images that can be pulled and looked into: {name} and others, {told['registry']}/console/r/{name}")


def _up(arguments: argparse.Namespace) -> int:
    """Runs until it is told to stop, or a child ends by itself."""
    heed_signals()
    if not arguments.detached:
        end_with_parent()
    _allow_open_files()
    _say("Starting Slipway ...")
    started = time.monotonic()
    options = Options(arguments.port, arguments.data, arguments.ephemeral, arguments.api_processes, arguments.access)
    with Stack(options) as stack:
        _say(_WELCOME.format(address=stack.address, data=arguments.data))
        if stack.environment.get("SLIPWAY_ACCESS") == "token":
            file = Data(arguments.data).access
            _say(_ADMINISTRATOR.format(address=stack.address, file=file))
        _say(f"started in {time.monotonic() - started:.1f} s")
        _say(f"ready: http://{stack.address}")
        try:
            while True:
                time.sleep(WATCH_SECONDS)
                stack.children.require_running()
        finally:
            _say("Stopping ...")


def _say(text: str) -> None:
    """A terminal that is gone, or a full disk behind a log, is no reason to stop a registry, or to stop it halfway."""
    try:
        print(text, flush=True)
    except OSError:
        # Else Python tries again when it exits, and fails.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _allow_open_files() -> None:
    """Children inherit the limit, which is low on some machines."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _reset(arguments: argparse.Namespace) -> int:
    print(reset(arguments.data))
    return 0


_COMMANDS: Final = {"up": _up, "reset": _reset, "seed": _seed}


if __name__ == "__main__":
    sys.exit(main())
