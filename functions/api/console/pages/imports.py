"""Registries that are moved in: how far each is, what failed, and what could not be taken over."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotShown, Visit
from functions.api.route import Query
from functions.api.web.errors import ParameterInvalid
from functions.api.web.pages import cut
from functions.registry.metadata.db import Call
from functions.registry.metadata.imports import overview, sources
from functions.registry.metadata.imports.overview import Overview
from functions.registry.oci.errors import OciError

_SIZE: Final = 50
_RECENT_SECONDS: Final = 300
# What a form asks for, and what is said then. The rest takes more thought, and is the command line's.
ACTS: Final = {
    "pause": "It is paused: nothing more is taken over.",
    "resume": "It goes on.",
    "retry": "What failed is tried once more.",
}


def show(visit: Visit, _: re.Match[str], __: Query) -> Answer:
    [found] = visit.ask_as_administrator([sources.listing()])
    return Page(
        "imports.html",
        "Imports",
        "operations",
        values={"found": found, "tab": "imports", "said": "", "error": ""},
        json="/api/v1/imports",
        command="slipway import list",
    )


def show_one(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _page(visit, match, query, said=said_in(visit, query))


def act(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    do = form.get("do", "")
    if do not in ACTS:
        raise ParameterInvalid("This form asks for nothing that can be done")
    try:
        requests.request(visit, "POST", f"/api/v1/imports/{match['import']}/{do}")
    except OciError as error:
        return _page(visit, match, Query(), error=error.reason or error.message)
    return redirect_saying(visit, f"/console/operations/imports/{match['import']}", ACTS[do])


def _page(visit: Visit, match: re.Match[str], query: Query, said: str = "", error: str = "") -> Page:
    number, last = int(match["import"]), (query.get("last") or "").replace("\0", "")[:255]
    calls: list[Call[Any]] = [
        overview.reading(number),
        overview.listing_repositories(number, None, last, _SIZE),
        overview.listing_problems(number, None, 0, _SIZE),
    ]
    found, repositories, problems = visit.ask_as_administrator(calls)
    if not found:
        raise NotShown("There is no such import.")
    source: Overview = found[0]
    shown, more = cut(repositories, _SIZE)
    here = f"/console/operations/imports/{source.id}"
    values = {
        "source": source,
        "here": here,
        "left": _seconds_left(source),
        "repositories": shown,
        "problems": problems[:_SIZE],
        "is_more": len(problems) > _SIZE,
        "following": f"{here}?{urlencode({'last': shown[-1].path})}" if more else "",
        "tab": "imports",
        "said": said,
        "error": error,
    }
    return Page(
        "import.html",
        source.address,
        "operations",
        values=values,
        json=f"/api/v1/imports/{source.id}",
        command=f"slipway import status {source.id}",
    )


def _seconds_left(source: Overview) -> float | None:
    """Says how long it takes at the speed of the last minutes; None where nothing moves or nothing is left."""
    left = source.objects - source.imported_objects
    return left * _RECENT_SECONDS / source.recent_objects if source.recent_objects and left > 0 else None
