"""Imports: which registries are moved in, how far each is, and who decides about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.imports import choices, routes
from functions.api.v1.imports.routes import Act
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import Reader, number, repositories, text
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer, empty
from functions.api.web.rows import plain, rows
from functions.registry.imports import addresses, news
from functions.registry.imports.addresses import AddressInvalid
from functions.registry.metadata.db import Database
from functions.registry.metadata.imports import news as changes
from functions.registry.metadata.imports import overview, sources, verifying
from functions.registry.metadata.imports.ending import sealing
from functions.registry.metadata.imports.exporting import exports
from functions.registry.metadata.imports.overview import Overview
from functions.registry.metadata.imports.remote import passes
from functions.registry.metadata.imports.sources import NewSource, SourceExists

_LONGEST_ADDRESS: Final = 1024
_RECENT_SECONDS: Final = 300
_MOST_EVENTS: Final = 1000
# Of the events that CNCF Distribution sends, those after which something else may be pulled.
_CHANGES: Final = frozenset({"push", "mount", "delete"})


def list_imports(context: Context, _: routes.ListImports) -> Response:
    shown = rows(sources.list_all(context.services.database))
    for each in shown:
        del each["mark"]
        del each["prefix"]
    return answer({"imports": shown})


def add(context: Context, _: routes.AddImport) -> Response:
    fields = json_body.read(context, {"address": text(_LONGEST_ADDRESS)}, choices.CHOICES)
    try:
        address = addresses.parse(fields["address"], context.services.settings.bucket)
    except AddressInvalid as invalid:
        raise ParameterInvalid(f"address {invalid}") from invalid
    options = choices.options_of(context, fields)
    new = NewSource(
        address.kind,
        address.text,
        address.prefix,
        renames=options.pop("renames", None),
        options=options,
        **choices.columns_of(fields),
    )
    try:
        added = sources.add(context.services.database, new)
    except SourceExists as exists:
        raise ResourceExists("that registry is being imported already") from exists
    registry_changed(context, "import.add", address.text, None, import_id=added.id)
    response = answer(_shown(_known(context, added.id)))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = f"/api/v1/imports/{added.id}"
    return response


def get(context: Context, route: routes.GetImport) -> Response:
    return answer(_shown(_known(context, route.id)))


def change(context: Context, route: routes.ChangeImport) -> Response:
    fields = json_body.read(context, {}, choices.CHOICES)
    if not fields:
        raise ParameterInvalid(f"the body has some of {', '.join(choices.CHOICES)}")
    options, columns = choices.options_of(context, fields), choices.columns_of(fields)
    if not sources.choose(context.services.database, route.id, options, **columns):
        raise _unknown()
    told = {name: value for name, value in fields.items() if name != "secret"}
    registry_changed(context, "import.change", str(route.id), None, **told)
    return answer(_shown(_known(context, route.id)))


def remove(context: Context, route: routes.RemoveImport) -> Response:
    found = _known(context, route.id)
    if not overview.remove(context.services.database, route.id):
        raise ResourceExists("it is under way: what it holds stays held until it is sealed")
    registry_changed(context, "import.remove", found.address, None, import_id=route.id)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_repositories(context: Context, route: routes.ListImportedRepositories) -> Response:
    page = route.page
    found = overview.list_repositories(context.services.database, route.id, route.state, page.last, page.size)
    shown, more = cut(found, page.size)
    query = {"n": str(page.size)} | ({"state": route.state} if route.state else {})
    path = f"/api/v1/imports/{route.id}/repositories"
    headers = link(path, **query, last=shown[-1].path) if more and shown else {}
    return answer({"repositories": rows(shown)}, headers=headers)


def list_problems(context: Context, route: routes.ListImportProblems) -> Response:
    found = overview.list_problems(context.services.database, route.id, route.reason, route.last, route.size)
    shown, more = cut(found, route.size)
    query = {"n": str(route.size)} | ({"reason": route.reason} if route.reason else {})
    headers = link(f"/api/v1/imports/{route.id}/problems", **query, last=str(shown[-1].id)) if more and shown else {}
    return answer({"problems": rows(shown)}, headers=headers)


def tell_of_changes(context: Context, route: routes.TellOfChanges) -> Response:
    """Takes the envelope of CNCF Distribution's notifications. Nobody vouches for what it says: what it names is
    compared.
    """
    fields = json_body.read(context, {"events": _changed}, {})
    found = _known(context, route.id)
    changed = news.named(sorted(fields["events"]), found.options.get("renames") or {})
    changes.note(context.services.database, route.id, changed)
    context.services.work_trigger.publish()
    return answer({"repositories": sorted(changed)})


def _changed(value: Any) -> set[str]:
    """Returns the repositories that events tell of; whatever else they say is nothing to us."""
    if not isinstance(value, list) or len(value) > _MOST_EVENTS:
        raise ValueError(f"takes a list of at most {_MOST_EVENTS} events")
    told = [each for each in value if isinstance(each, dict) and str(each.get("action")) in _CHANGES]
    targets = [each["target"] for each in told if isinstance(each.get("target"), dict)]
    return {target["repository"] for target in targets if isinstance(target.get("repository"), str)}


def act(context: Context, route: routes.ActOnImport) -> Response:
    """Whoever works at it is woken; what that does shows in the answer to GET."""
    fields = json_body.read(context, {}, _FIELDS.get(route.act, {}))
    found = _known(context, route.id)
    if found.state == "sealed":
        raise ResourceExists("it is sealed: what it had is this registry's own")
    _ACTS[route.act](context.services.database, found, **fields)
    registry_changed(context, f"import.{route.act}", found.address, None, import_id=route.id, **fields)
    context.services.work_trigger.publish(found.workers)
    return answer(_shown(_known(context, route.id)))


def _start(database: Database, found: Overview, repositories: str | None = None) -> None:
    if sources.open_up(database, found.id):
        return
    if repositories is None:
        passes.list_again(database, found.id, found.kind)
    if repositories is not None or found.kind == "registry":
        overview.make_due(database, found.id, repositories)


def _pause(database: Database, found: Overview) -> None:
    sources.pause(database, found.id, "somebody paused it")


def _resume(database: Database, found: Overview) -> None:
    sources.resume(database, found.id)


def _lead(database: Database, found: Overview, repositories: str | None = None) -> None:
    sources.set_mode(database, found.id, "lead", repositories)


def _follow(database: Database, found: Overview, repositories: str | None = None) -> None:
    sources.set_mode(database, found.id, "follow", repositories)


def _retry(database: Database, found: Overview) -> None:
    overview.retry(database, found.id)


def _export(database: Database, found: Overview, repositories: str | None = None) -> None:
    _require_layout(found)
    exports.ask(database, found.id, repositories)


def _hand_back(database: Database, found: Overview, repositories: str | None = None) -> None:
    """From now on the other registry decides; then it is given what differs."""
    _require_layout(found)
    sources.set_mode(database, found.id, "follow", repositories)
    exports.ask(database, found.id, repositories, is_handing_back=True)


def _seal(database: Database, found: Overview) -> None:
    sealing.wish(database, found.id)


def _verify(database: Database, found: Overview, rehash: int | None = None) -> None:
    _require_layout(found)
    verifying.ask(database, found.id, rehash)


def _require_layout(found: Overview) -> None:
    if found.kind != "layout":
        raise ParameterInvalid("that is for what lies in a bucket; of a registry `start` compares each tag again")


_ACTS: Final[Mapping[Act, Callable[..., None]]] = {
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "lead": _lead,
    "follow": _follow,
    "retry": _retry,
    "verify": _verify,
    "export": _export,
    "hand-back": _hand_back,
    "seal": _seal,
}
_BY_PATTERN: Final[Mapping[str, Reader]] = {"repositories": repositories}
_FIELDS: Final[Mapping[Act, Mapping[str, Reader]]] = {
    **dict.fromkeys(("start", "lead", "follow", "export", "hand-back"), _BY_PATTERN),
    "verify": {"rehash": number(1, 100)},
}


def _known(context: Context, source_id: int) -> Overview:
    found = overview.get(context.services.database, source_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> ResourceUnknown:
    return ResourceUnknown("no such import")


def _shown(found: Overview) -> dict[str, Any]:
    """Shows an import with how fast it goes and what is left, as long as anything is."""
    shown = {name: plain(getattr(found, name)) for name in Overview.__dataclass_fields__}
    recent = shown.pop("recent_objects")
    left = found.objects - found.imported_objects
    shown["options"] = choices.shown(found.options)
    shown["objects_per_second"] = round(recent / _RECENT_SECONDS, 2)
    shown["remaining_seconds"] = round(left * _RECENT_SECONDS / recent) if recent and left > 0 else None
    return shown
