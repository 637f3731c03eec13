"""Finding things: the search, and the list of repositories."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from functions.api.console.lists import SIZE, ListView
from functions.api.console.rendering import Page, redirect
from functions.api.console.route import Answer
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.api.v1.insights import paths
from functions.api.v1.insights.cursor_pages import Listing, asked
from functions.api.v1.insights.routes import SearchRepositories
from functions.registry.metadata.db import Call
from functions.registry.metadata.lists import repositories, searches
from functions.registry.metadata.lists.filters import KINDS
from functions.registry.metadata.lists.keyset import cut

_MOST: Final = 20
_SOUGHT: Final = re.compile(r"[a-z0-9._/-]{1,255}")
_DIGEST: Final = re.compile(r"(?P<name>[a-z0-9._/-]{1,255})@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def search(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    """Lists what fits; leads straight to a repository that alone does, and has that very name."""
    text = _sought(visit, query.get("q") or "")
    if exact := _DIGEST.fullmatch(text):
        return redirect(f"/console/r/{exact['name']}/-/manifests/{exact['digest']}")
    name, colon, tag = text.partition(":")
    calls: list[Call[Any]] = []
    if name and _SOUGHT.fullmatch(name) and re.fullmatch(r"[A-Za-z0-9._-]{0,128}", tag):
        calls = [searches.among_repositories(name, _MOST, visit.seen_by)]
        if colon:
            calls.append(searches.among_tags(name, tag, _MOST, visit.seen_by))
    read = [searches.results(rows[0], _MOST) for rows in visit.ask(calls)]
    tags = read[1].results if len(read) > 1 else []
    found = read[0].results if read else []
    is_complete = all(each.complete for each in read)
    if not colon and len(found) == 1 and found[0]["name"] == name:
        return redirect(f"/console/r/{name}")
    values = {
        "text": text,
        "tag": tag,
        "found": found,
        "tags": tags,
        "is_complete": is_complete,
        "is_asked": bool(calls),
    }
    return Page("search.html", "Search", "repositories", values=values, json=f"/api/v1/search?q={quote(text)}")


def show(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    route = paths.search_repositories(match, filtered(query, "-pushed"))
    assert isinstance(route, SearchRepositories)  # noqa: S101  # what this parser makes
    part, wanted = route.part, route.wanted
    least, most = repositories.bounds(part.order, wanted)
    listing = Listing("/api/v1/repositories", part, asked(wanted), least, most)
    going = listing.going(visit.services.settings.pepper)
    [rows] = visit.ask([repositories.paging(part.order, going.walk, wanted, visit.seen_by)])
    view = ListView("/console/repositories", part, asked(wanted), going.shown(cut(rows[0], part.size)))
    address = "/api/v1/repositories?" + urlencode({**asked(wanted), "sort": part.sort})
    values = {"view": view, "kinds": KINDS, "wanted": wanted}
    command = f"slipway ls --sort={part.sort}"
    return Page("repositories.html", "Repositories", "repositories", values=values, json=address, command=command)


def filtered(query: Query, sort: str) -> Query:
    """Leaves out the fields that a form left empty, and adds our page size, and the order if none is asked for."""
    pairs = [(name, value.strip()) for name, value in query.pairs if value.strip() and name != "n"]
    has_order = any(name == "sort" for name, _ in pairs)
    return Query([*pairs, *([] if has_order else [("sort", sort)]), ("n", str(SIZE))])


def _sought(visit: Visit, text: str) -> str:
    """Reads what people paste: with the registry's address in front, with the command around it."""
    words = text.replace("\0", "").strip().split()
    text = words[-1] if words else ""
    for host in {visit.request.host, visit.services.settings.registry_host} - {""}:
        text = text.removeprefix(f"oci://{host}/").removeprefix(f"{host}/")
    return text[:400]
