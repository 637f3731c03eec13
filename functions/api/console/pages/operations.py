"""Whether it is well: the garbage collection, the last check, backup and drill, and quotas."""

from __future__ import annotations

import re
from typing import Any, Final

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import Visit
from functions.api.route import Query
from functions.registry.metadata.backups import drills
from functions.registry.metadata.checks import findings, upkeep
from functions.registry.metadata.db import Call
from functions.registry.metadata.gc import status
from functions.registry.metadata.usage import quotas
from functions.registry.oci.errors import OciError
from functions.registry.oci.page import Page as Part

_MOST: Final = 100
_LEVELS: Final = {
    "manifest": "Manifests",
    "link": "Blobs of repositories",
    "blob": "Blobs",
    "object": "Objects in the bucket",
}


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    calls: list[Call[Any]] = [*status.reading(), quotas.listing(Part(_MOST)), upkeep.reading(), drills.reading()]
    queues, pending, failures, totals, quota_rows, kept, drilled = visit.ask_as_administrator(calls)
    values = {
        "queues": queues,
        "levels": _LEVELS,
        "pending": pending[0] if pending else 0,
        "failures": failures,
        "totals": [total for total in totals if total.rows][:14],
        "quotas": quota_rows[:_MOST],
        "upkeep": kept[0],
        "drill": drilled[0] if drilled else None,
        "most": findings.MOST_COUNTED,
        "is_overdue": any(queue.overdue for queue in queues),
        "tab": "collection",
        "said": said_in(visit, query),
        "error": "",
    }
    return Page(
        "operations.html", "Operations", "operations", values=values, json="/api/v1/gc", command="slipway gc status"
    )


def run(visit: Visit, match: re.Match[str], _: Form) -> Answer:
    """Wakes the collection, at most once a minute."""
    try:
        requests.request(visit, "POST", "/api/v1/gc/runs")
    except OciError as error:
        page = show(visit, match, Query())
        if isinstance(page, Page):
            page.values["error"] = error.reason or error.message
        return page
    return redirect_saying(visit, "/console/operations", "The collection is woken.")
