"""The paths of backups, and the parsers that make routes of them."""

from __future__ import annotations

import re
from typing import Final, get_args

from functions.api.route import Query, Route
from functions.api.v1.backups.routes import AddDrill, GetBackup, ListBackups
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.backups.vocabulary import RunKind
from functions.registry.oci.page import Page

KINDS: Final[tuple[RunKind, ...]] = get_args(RunKind)

BACKUPS: Final = r"/api/v1/backups"
BACKUP: Final = r"/api/v1/backups/(?P<backup>[^/]+)"
DRILLS: Final = r"/api/v1/backups/(?P<backup>[^/]+)/drills"

# More digits than the database's numbers have is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def list_backups(_: re.Match[str], query: Query) -> Route:
    kind, last = query.get("kind"), query.get("last")
    if kind not in {None, *KINDS}:
        raise ParameterInvalid(f"kind takes one of {', '.join(KINDS)}")
    if last is not None and not _NUMBER.fullmatch(last):
        raise ParameterInvalid("last takes the id of a backup")
    size = Page.parse(query.get("n"), None).size
    return ListBackups(size, None if last is None else int(last), kind)


def get_backup(match: re.Match[str], _: Query) -> Route:
    return GetBackup(_id(match))


def add_drill(match: re.Match[str], _: Query) -> Route:
    return AddDrill(_id(match))


def _id(match: re.Match[str]) -> int:
    if not _NUMBER.fullmatch(match["backup"]):
        raise ResourceUnknown("no such backup")
    return int(match["backup"])
