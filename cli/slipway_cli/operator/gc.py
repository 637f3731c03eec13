"""For operators: how garbage collection stands, what it would do, and its settings.

Run as `python -m slipway_cli.operator.gc`, with SLIPWAY_DATABASE naming the database; on one machine, `make gc-status`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import timedelta
from typing import Final

from functions.registry.metadata.content import repository_settings
from functions.registry.metadata.content.repository_settings import SettingsChange
from functions.registry.metadata.db import Database, MetadataUnavailable
from functions.registry.metadata.gc import status
from functions.registry.metadata.gc.status import LONGEST_GRACE, SettingRefused
from functions.registry.metadata.usage.recount import recount
from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class FiguresWrong(Exception):
    """A recount found something else than what is kept."""


def main(arguments: list[str], url: str | None) -> int:
    options = _parser().parse_args(arguments)
    if not url:
        print("SLIPWAY_DATABASE is not set: it names the database", file=sys.stderr)
        return 2
    database = Database(url, size=1)
    try:
        options.run(database, options)
    except (SettingRefused, NameInvalid, MetadataUnavailable, FiguresWrong) as error:
        print(f"slipway: {error}", file=sys.stderr)
        return 1
    finally:
        database.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slipway_cli.operator.gc", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("status", help="how the queues stand, what failed, what was collected").set_defaults(
        run=_status
    )
    preview = commands.add_parser("preview", help="a dry run: what would go from a repository, when, and how much")
    preview.add_argument("repository", type=RepositoryName.parse)
    preview.set_defaults(run=_preview)
    grace = commands.add_parser("grace", help="how long what became unreferenced is kept, by event")
    grace.add_argument("event", help="push, untag, cascade, upload, lease, unlink, delete, import or orphan")
    grace.add_argument("duration", type=_duration, help="a number and a unit: 90s, 30m, 24h, 7d")
    grace.set_defaults(run=_grace)
    commands.add_parser("recount", help="count all figures of usage anew; 1 if one of them is wrong").set_defaults(
        run=_recount
    )
    repository = commands.add_parser("repository", help="settings of one repository")
    repository.add_argument("repository", type=RepositoryName.parse)
    repository.add_argument("--keep-untagged", choices=["yes", "no"])
    repository.add_argument(
        "--grace", type=_duration, help="its own grace for all events; `default` for the registry's"
    )
    repository.set_defaults(run=_repository)
    return parser


def _duration(text: str) -> timedelta:
    if text == "default":
        return timedelta(seconds=-1)
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError("a number and a unit: 90s, 30m, 24h, 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _status(database: Database, _: argparse.Namespace) -> None:
    print(f"{'queue':<10}{'waiting':>10}{'due':>10}{'overdue':>10}{'failing':>10}  oldest")
    for queue in status.queues(database):
        oldest = f"{queue.oldest:%Y-%m-%d %H:%M:%S}" if queue.oldest else "-"
        counts = f"{queue.waiting:>10}{queue.due:>10}{queue.overdue:>10}{queue.failing:>10}"
        print(f"{queue.level:<10}{counts}  {oldest}")
    print(f"\npending deletion: {_size(status.pending_deletion_bytes(database))}")
    for failure in status.failures(database):
        print(f"failing: {failure.level} {failure.subject}: {failure.attempts} attempts, again at {failure.again_at}:")
        print(f"    {failure.error}")
    print(f"\n{'day':<12}{'collected':<12}{'after':<10}{'rows':>10}{'bytes':>14}")
    for total in status.totals(database):
        print(f"{total.day!s:<12}{total.level:<12}{total.event:<10}{total.rows:>10}{_size(total.bytes):>14}")


def _preview(database: Database, options: argparse.Namespace) -> None:
    for manifest in status.preview(database, options.repository):
        at = f"{manifest.review_after:%Y-%m-%d %H:%M:%S}"
        print(f"{at}  {manifest.event:<8}{_size(manifest.size):>10}  {manifest.digest}  {manifest.media_type}")
    freed = status.freed(database, options.repository)
    print(f"blobs freed: {_size(freed.in_repository)} in the repository, {_size(freed.in_registry)} in the bucket")


def _grace(database: Database, options: argparse.Namespace) -> None:
    status.set_grace(database, options.event, options.duration)
    print(f"{options.event}: {options.duration}, from the next event on")


def _repository(database: Database, options: argparse.Namespace) -> None:
    keep = {"yes": True, "no": False, None: None}[options.keep_untagged]
    grace = options.grace
    if grace is not None and grace > LONGEST_GRACE:
        raise SettingRefused(f"a grace is from 0 to {LONGEST_GRACE.days} days")
    seconds = None if grace is None or grace < timedelta(0) else int(grace.total_seconds())
    change = SettingsChange(keep, changes_grace=grace is not None, grace_seconds=seconds)
    if repository_settings.change(database, options.repository, change) is None:
        raise SettingRefused(f"there is no repository {options.repository}")
    print(f"{options.repository}: done")


def _recount(database: Database, _: argparse.Namespace) -> None:
    found = recount(database)
    for difference in found.differences:
        name = f"{difference.scope} {difference.name}".strip()
        print(f"{name}: {difference.figure} is {difference.kept}, and should be {difference.counted}")
    print(f"{found.repositories} repositories and {found.namespaces} namespaces counted")
    if found.differences:
        raise FiguresWrong(f"{len(found.differences)} figures are wrong")


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit + 1 < len(_BYTES):  # noqa: PLR2004  # binary units
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_BYTES[unit]}" if unit else f"{count} B"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("SLIPWAY_DATABASE")))
