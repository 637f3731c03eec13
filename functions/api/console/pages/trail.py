"""The audit trail: who did what, and what was refused."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urlencode

from functions.api.console.pages.access import ask, namespace_of
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.api.web.errors import ParameterInvalid
from functions.registry.metadata.access import audit
from functions.registry.metadata.access.audit import OUTCOMES, Entry, Filter

_SIZE: Final = 50
_LONGEST: Final = 300


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    namespace = namespace_of(query)
    asked = {name: _text(query, name) for name in ("principal", "resource", "action", "outcome")}
    if asked["outcome"] not in {None, *OUTCOMES}:
        raise ParameterInvalid(f"outcome is one of {', '.join(OUTCOMES)}")
    wanted = Filter(**asked, namespace=namespace)  # type: ignore[arg-type]  # the outcome was looked at
    before = query.get("before")
    if before is not None and not re.fullmatch(r"[0-9]{1,18}", before):
        raise ParameterInvalid("before is the number of an entry")
    [rows] = ask(visit, namespace, [audit.listing(_SIZE, wanted, int(before) if before else None)])
    shown = [entry for entry in rows[:_SIZE] if entry.fits]
    filters = {name: value for name, value in {**asked, "namespace": namespace}.items() if value}
    following = urlencode({**filters, "before": str(shown[-1].id)}) if len(rows) > len(shown) and shown else ""
    values = {
        "entries": [(entry, _details(entry)) for entry in shown],
        "following": following,
        "is_first": before is None,
        "asked": asked,
        "namespace": namespace,
        "filters": filters,
        "outcomes": OUTCOMES,
    }
    address = "/api/v1/audit" + (f"?{urlencode(filters)}" if filters else "")
    return Page("trail.html", "Audit trail", "trail", values=values, json=address, command="slipway audit")


def _text(query: Query, name: str) -> str | None:
    return (query.get(name) or "").replace("\0", "").strip()[:_LONGEST] or None


def _details(entry: Entry) -> str:
    """Writes what else there is to tell in one line, without what is empty."""
    told: dict[str, Any] = {name: value for name, value in entry.event.details.items() if value not in (None, "", [])}
    parts = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in told.items()
    ]
    return ", ".join(parts)[:_LONGEST]
