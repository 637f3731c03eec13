"""The paths of checks, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from functions.api.route import Parser, Query, Route
from functions.api.v1.checks.routes import ListChecks, ListFindings
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.checks.vocabulary import KINDS
from functions.registry.oci.page import Page

CHECKS: Final = r"/api/v1/checks"
CHECK: Final = r"/api/v1/checks/(?P<check>[^/]+)"
STOP: Final = rf"{CHECK}/stop"
UNDO: Final = rf"{CHECK}/undo"
FINDINGS: Final = r"/api/v1/findings"

# More digits than the database's numbers have is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_PAST_ALL: Final = 2**63 - 1


def _id(match: re.Match[str]) -> int:
    if not _NUMBER.fullmatch(match["check"]):
        raise ResourceUnknown("no such check")
    return int(match["check"])


def of_check(route: Callable[[int], Route]) -> Parser:
    """Returns the parser of a route that has a check's id and nothing else."""
    return lambda match, _: route(_id(match))


def list_checks(_: re.Match[str], query: Query) -> Route:
    return ListChecks(Page.parse(query.get("n"), None).size, _last(query, _PAST_ALL))


def list_findings(_: re.Match[str], query: Query) -> Route:
    kind = query.get("kind")
    if kind not in {None, *KINDS}:
        raise ParameterInvalid(f"kind takes one of {', '.join(KINDS)}")
    return ListFindings(Page.parse(query.get("n"), None).size, _last(query, 0), kind)


def _last(query: Query, default: int) -> int:
    last = query.get("last")
    if last is not None and not _NUMBER.fullmatch(last):
        raise ParameterInvalid("last takes the id that a page ended with")
    return default if last is None else int(last)
