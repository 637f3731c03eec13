"""The paths of imports, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast, get_args

from functions.api.route import Parser, Query, Route, page_of
from functions.api.v1.imports.routes import Act, ActOnImport, ListImportedRepositories, ListImportProblems
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.imports.vocabulary import REASONS, RepositoryState
from functions.registry.oci.page import Page

ACTS: Final[tuple[Act, ...]] = get_args(Act)
STATES: Final[tuple[RepositoryState, ...]] = get_args(RepositoryState)

IMPORTS: Final = r"/api/v1/imports"
IMPORT: Final = r"/api/v1/imports/(?P<import>[^/]+)"
REPOSITORIES: Final = rf"{IMPORT}/repositories"
PROBLEMS: Final = rf"{IMPORT}/problems"
EVENTS: Final = rf"{IMPORT}/events"
ACT: Final = rf"{IMPORT}/(?P<act>{'|'.join(ACTS)})"

# More digits than the database's numbers have is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def _id(match: re.Match[str]) -> int:
    if not _NUMBER.fullmatch(match["import"]):
        raise ResourceUnknown("no such import")
    return int(match["import"])


def of_import(route: Callable[[int], Route]) -> Parser:
    """Returns the parser of a route that has an import's id and nothing else."""
    return lambda match, _: route(_id(match))


def act(match: re.Match[str], _: Query) -> Route:
    return ActOnImport(_id(match), cast(Act, match["act"]))


def list_repositories(match: re.Match[str], query: Query) -> Route:
    state = query.get("state")
    if state not in {None, *STATES}:
        raise ParameterInvalid(f"state takes one of {', '.join(STATES)}")
    return ListImportedRepositories(_id(match), page_of(query), state)


def list_problems(match: re.Match[str], query: Query) -> Route:
    reason, last = query.get("reason"), query.get("last")
    if reason not in {None, *REASONS}:
        raise ParameterInvalid(f"reason takes one of {', '.join(REASONS)}")
    if last is not None and not _NUMBER.fullmatch(last):
        raise ParameterInvalid("last takes the id of a problem")
    size = Page.parse(query.get("n"), None).size
    return ListImportProblems(_id(match), size, int(last or 0), reason)
