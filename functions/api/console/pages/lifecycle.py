"""What tags named before, what was deleted, and putting it back."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.lists import SIZE, ListView
from functions.api.console.pages.access import ask, namespace_of
from functions.api.console.pages.repository import may
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import NotShown, Visit
from functions.api.route import Query, name_in
from functions.api.v1.history import paths
from functions.api.v1.history.routes import ListHistory
from functions.api.v1.insights.cursor_pages import Listing
from functions.registry.auth.roles import Role
from functions.registry.metadata.db import Call
from functions.registry.metadata.history import bindings, deleted
from functions.registry.metadata.lists import repositories
from functions.registry.metadata.lists.keyset import Walk, cut
from functions.registry.oci.errors import OciError
from functions.registry.oci.name import RepositoryName

_MOST: Final = 50


def show_history(visit: Visit, match: re.Match[str], query: Query) -> Answer:
    return _history(visit, match, query, said=said_in(visit, query))


def put_back(visit: Visit, match: re.Match[str], form: Form) -> Answer:
    """Puts one tag back to what it named; the registry refuses what it would refuse of a push."""
    name = name_in(match)
    fields = {"tag": form.get("tag", ""), "digest": form.get("digest", "")}
    try:
        requests.request(visit, "POST", f"/api/v1/repositories/{name}/-/restore", **fields)
    except OciError as error:
        return _history(visit, match, Query(), error=error.reason or error.message)
    return redirect_saying(visit, f"/console/r/{name}/-/history", f"{name}:{fields['tag']} is back.")


def show_deleted(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    return _deleted(visit, query, said=said_in(visit, query))


def put_back_deleted(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Puts a tag, or with none a whole repository back."""
    namespace, tag = form.get("namespace", ""), form.get("tag", "")
    try:
        name = RepositoryName.parse(form.get("repository", ""))
        if tag:
            fields = {"tag": tag, "digest": form.get("digest", "")}
            requests.request(visit, "POST", f"/api/v1/repositories/{name}/-/restore", **fields)
        else:
            requests.request(visit, "POST", f"/api/v1/repositories/{name}/-/restore-repository")
    except OciError as error:
        return _deleted(visit, Query([("namespace", namespace)]), error=error.reason or error.message)
    said = f"{name}:{tag} is back." if tag else f"{name} is back."
    return redirect_saying(visit, "/console/lifecycle" + (f"?namespace={quote(namespace)}" if namespace else ""), said)


def _history(visit: Visit, match: re.Match[str], query: Query, said: str = "", error: str = "") -> Page:
    tag = (query.get("tag") or "").strip()
    pairs = [(key, value) for key, value in query.pairs if key in {"sort", "cursor"}]
    wanted = Query([*pairs, *([("tag", tag)] if tag else []), ("n", str(SIZE))])
    route = paths.list_history(match, wanted)
    assert isinstance(route, ListHistory)  # noqa: S101  # what this parser makes
    name, asked = route.repository, {"tag": tag} if tag else {}
    address = f"/api/v1/repositories/{name}/-/history"
    going = Listing(address, route.part, asked).going(visit.services.settings.pepper)
    calls: list[Call[Any]] = [repositories.reading(name), bindings.paging(name, route.tag, going.walk)]
    insight, rows = visit.ask_in(name, calls)
    if not insight:
        raise NotShown(f"There is no repository {name}, or you have no right to pull from it.")
    view = ListView(f"/console/r/{name}/-/history", route.part, asked, going.shown(cut(rows[0], SIZE)))
    for item in view.items:
        item["actor"] = item["actor"] if _is_told(visit, item["actor"]) else None
    values = {"repository": insight[0], "view": view, "tag": tag, "tab": "history", "may_push": may(visit, "push")}
    command = f"slipway history {name}{f':{tag}' if tag else ''}"
    every = {**values, "said": said, "error": error}
    return Page("history.html", name, "repositories", values=every, json=address, command=command)


def _deleted(visit: Visit, query: Query, said: str = "", error: str = "") -> Page:
    namespace = namespace_of(query)
    walk = Walk(descending=True, size=_MOST)
    calls = [deleted.paging_repositories(namespace, walk), deleted.paging_tags(namespace, walk)]
    found = [cut(rows[0], _MOST) if rows else None for rows in ask(visit, namespace, calls)]
    values: dict[str, Any] = {
        "repositories": found[0].items if found[0] else [],
        "tags": found[1].items if found[1] else [],
        "is_more": any(each is not None and each.more is not None for each in found),
        "namespace": namespace,
        "tab": "deleted",
        "said": said,
        "error": error,
    }
    return Page(
        "lifecycle.html",
        "What can be put back",
        "lifecycle",
        values=values,
        json="/api/v1/deleted/tags",
        command="slipway deleted tags",
    )


def _is_told(visit: Visit, actor: str) -> bool:
    """Who did something is shown to who did it, and to administrators."""
    own = visit.principal.label if visit.principal else ""
    return visit.seen_by is None or visit.rank >= Role.ADMIN or actor == own
