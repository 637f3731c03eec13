"""Whether all is there, and whether it could be brought back: checks, what they found, backups and drills."""

from __future__ import annotations

import re
from typing import Any, Final

from functions.api.console import requests
from functions.api.console.forms import Form
from functions.api.console.rendering import Page
from functions.api.console.route import Answer
from functions.api.console.saying import redirect_saying, said_in
from functions.api.console.visitor import Visit
from functions.api.route import Query, choice_of
from functions.api.web.errors import ParameterInvalid
from functions.registry.metadata.backups import drills, runs
from functions.registry.metadata.checks import checks, findings
from functions.registry.metadata.checks.vocabulary import DAMAGE, KINDS
from functions.registry.metadata.db import Call
from functions.registry.oci.errors import OciError

_FEW: Final = 5
_SIZE: Final = 50
_NEWEST: Final = 2**62
# What each kind of finding means, as docs/fsck.md has it.
MEANINGS: Final = {
    "missing": "the object of a blob is not in the bucket",
    "size": "an object has another size than its blob",
    "checksum": "an object was written anew, with other bytes",
    "digest": "an object was read, and has other bytes than its digest says",
    "marked": "a blob is marked as damaged, and its object is there",
    "unknown": "no row names this object",
    "manifest": "a manifest's bytes don't have its digest",
    "references": "a manifest names something that no row keeps for it",
    "leaked_manifest": "a manifest that nothing needs, and that no review waits for",
    "leaked_link": "a blob of a repository that nothing needs there, and that no review waits for",
    "leaked_blob": "a blob that nothing needs, and that no review waits for",
    "figure": "a figure is not what counting gives",
}


def show(visit: Visit, _: re.Match[str], query: Query) -> Answer:
    return _page(visit, query, said=said_in(visit, query))


def act(visit: Visit, _: re.Match[str], form: Form) -> Answer:
    """Begins a check, which changes nothing, or a backup."""
    begun = _BEGUN.get(form.get("do", ""))
    if begun is None:
        raise ParameterInvalid("This form asks for nothing that can be done")
    path, said = begun
    try:
        requests.request(visit, "POST", path)
    except OciError as error:
        return _page(visit, Query(), error=error.reason or error.message)
    return redirect_saying(visit, "/console/operations/safety", said)


_BEGUN: Final = {
    "check": ("/api/v1/checks", "A check has begun."),
    "backup": ("/api/v1/backups", "A backup has begun."),
}


def _page(visit: Visit, query: Query, said: str = "", error: str = "") -> Page:
    kind = choice_of(Query([(name, value) for name, value in query.pairs if value]), "kind", KINDS)
    calls: list[Call[Any]] = [
        checks.listing(_NEWEST, _FEW),
        findings.counting(),
        findings.listing(kind, 0, _SIZE),
        runs.listing(["backup"], _NEWEST, _FEW),
        runs.listing(["verification"], _NEWEST, 1),
        drills.reading(),
    ]
    checked, counted, found, backups, verified, drilled = visit.ask_as_administrator(calls)
    values = {
        "checks": checked[:_FEW],
        "counts": {each.kind: each.count for each in counted},
        "most": findings.MOST_COUNTED,
        "damage": sum(each.count for each in counted if each.kind in DAMAGE),
        "findings": found[:_SIZE],
        "is_more": len(found) > _SIZE,
        "kind": kind or "",
        "meanings": MEANINGS,
        "backups": backups[:_FEW],
        "sealed": next((run for run in backups if run.state == "sealed"), None),
        "verified": verified[0] if verified else None,
        "drill": drilled[0] if drilled else None,
        "backs_up": bool(visit.services.settings.backups),
        "tab": "safety",
        "said": said,
        "error": error,
    }
    return Page(
        "safety.html",
        "Checks and backups",
        "operations",
        values=values,
        json="/api/v1/findings",
        command="slipway fsck show",
    )
