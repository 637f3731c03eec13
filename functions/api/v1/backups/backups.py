"""Backups: which there are, and what is to be done about them. `work` does it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.backups.paths import KINDS
from functions.api.v1.backups.routes import AddBackup, GetBackup, ListBackups
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import Reader, choice, flag, number
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.backups import runs
from functions.registry.metadata.backups.runs import RunUnderWay
from functions.registry.metadata.backups.vocabulary import Run, RunKind

_LAST: Final = 2**63 - 1
_UNITS: Final = {"days": "d", "weeks": "w", "months": "m"}
_KEPT: Final = number(1, 1000)
# What goes with each kind.
_FIELDS: Final[Mapping[RunKind, Mapping[str, Reader]]] = {
    "backup": {},
    "verification": {"backup": number(1, _LAST), "sample": number(0, 100)},
    "prune": {**dict.fromkeys(_UNITS, _KEPT), "dry_run": flag},
}
_ALL: Final[Mapping[str, Reader]] = {
    "kind": choice(*KINDS),
    **{name: reader for fields in _FIELDS.values() for name, reader in fields.items()},
}


def list_backups(context: Context, route: ListBackups) -> Response:
    kinds: list[RunKind] = [route.kind] if route.kind else list(KINDS)
    found = runs.list_(context.services.database, kinds, _LAST if route.last is None else route.last, route.size)
    shown, more = cut(found, route.size)
    query = {"n": str(route.size)} | ({"kind": route.kind} if route.kind else {})
    headers = link("/api/v1/backups", **query, last=str(shown[-1].id)) if more and shown else {}
    return answer({"backups": rows(shown)}, headers=headers)


def add(context: Context, _: AddBackup) -> Response:
    """Whoever works at it is woken; what that does shows in the answer to GET."""
    services = context.services
    fields = json_body.read(context, {}, _ALL)
    kind: RunKind = fields.pop("kind", "backup")
    if unknown := fields.keys() - _FIELDS[kind].keys():
        raise ParameterInvalid(f"{', '.join(sorted(unknown))} does not go with kind {kind}")
    if not services.settings.backups:
        raise ResourceExists("there is nowhere to back up to: SLIPWAY_BACKUPS is not set")
    name, options = _options(context, kind, fields)
    try:
        asked = runs.ask(services.database, kind, services.settings.backups, name, **options)
    except RunUnderWay as under_way:
        raise ResourceExists("something is being done about backups already: one thing at a time") from under_way
    registry_changed(context, f"backup.{kind}", services.settings.backups, None, run=asked, **fields)
    services.work_trigger.publish()
    response = answer(rows([known(context, asked)])[0], HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/api/v1/backups/{asked}"
    return response


def get(context: Context, route: GetBackup) -> Response:
    return answer(rows([known(context, route.id)])[0])


def _options(context: Context, kind: RunKind, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the backup that it is about, and what the work needs to know."""
    if kind == "verification":
        if "backup" not in fields:
            raise ParameterInvalid("backup is missing: the id of the one to verify")
        verified = known(context, fields["backup"])
        if verified.state != "sealed":
            raise ParameterInvalid(f"backup {verified.id} is {verified.state}: only one that is sealed can be verified")
        return verified.name, {"sample": fields.get("sample", 0)}
    if kind == "prune":
        keep = {unit: fields[name] for name, unit in _UNITS.items() if name in fields}
        if not keep:
            raise ParameterInvalid("how many are kept? Give days, weeks or months")
        return "", {"keep": keep, "dry_run": fields.get("dry_run", False)}
    return "", {}


def known(context: Context, run_id: int) -> Run:
    """Returns it, or raises ResourceUnknown."""
    found = runs.get(context.services.database, run_id)
    if found is None:
        raise ResourceUnknown("no such backup")
    return found
