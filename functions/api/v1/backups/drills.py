"""Drills: whoever brought a backup back elsewhere says so, and the registry keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.backups.backups import known
from functions.api.v1.backups.routes import AddDrill
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists
from functions.api.web.json_body import Reader, number, text
from functions.api.web.responses import answer
from functions.registry.metadata.backups import drills

_COUNT: Final = number(0, 2**31 - 1)
_FIELDS: Final[Mapping[str, Reader]] = {"tags": _COUNT, "lost": _COUNT, "seconds": _COUNT, "note": text(500)}


def add(context: Context, route: AddDrill) -> Response:
    """Keeps what is said of a backup that was sealed once: it may have been pruned since it was brought back."""
    fields = json_body.read(context, {}, _FIELDS)
    if ("tags" in fields) != ("lost" in fields):
        raise ParameterInvalid("tags and lost go together: how many were compared, and how many of these were lost")
    if "lost" in fields and fields["lost"] > fields["tags"]:
        raise ParameterInvalid(f"lost is {fields['lost']}, and only {fields['tags']} tags were compared")
    backup = known(context, route.id)
    if backup.kind != "backup":
        raise ResourceExists(f"{backup.id} is a {backup.kind}: a drill brings a backup back")
    if backup.state not in {"sealed", "pruned"}:
        raise ResourceExists(f"backup {backup.id} is {backup.state}: only one that was sealed can be brought back")
    drill = drills.add(context.services.database, backup.id, context.caller.label, **fields)
    registry_changed(context, "backup.drill", backup.name, None, backup=backup.id, **fields)
    return answer(drill, HTTPStatus.CREATED)
