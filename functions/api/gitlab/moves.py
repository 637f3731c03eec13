"""GitLab's API: a project gets another name, or another group, and all its repositories with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api import gate
from functions.api.audit import access_changed
from functions.api.gitlab import scopes
from functions.api.gitlab.repositories import line
from functions.api.gitlab.routes import RenameRepository
from functions.api.web.context import Context
from functions.api.web.gitlab_errors import (
    BodyTypeInvalid,
    BodyValueInvalid,
    JsonInvalid,
    ProjectDiffers,
    ProjectUnknown,
    RenameConflict,
)
from functions.api.web.responses import empty
from functions.registry.metadata.content import moves
from functions.registry.oci.errors import NameInvalid, NameUnknown
from functions.registry.oci.json_object import Unreadable, read_object
from functions.registry.oci.name import RepositoryName

_LARGEST_BODY: Final = 64 * 1024
# What GitLab's registry reserves a name for. Nothing is reserved here: the move itself finds out.
_SECONDS: Final = 60


def move(context: Context, route: RenameRepository) -> Response:
    new = _new_name(context, route)
    _require_project(context, route.repository)
    if new == route.repository:
        raise RenameConflict(name=new)
    try:
        moves.move(context.services.database, route.repository, new, with_below=True, dry_run=route.is_dry_run)
    except moves.NothingToMove as nothing:
        raise NameUnknown(name=route.repository) from nothing
    except moves.NameTaken as taken:
        raise RenameConflict(name=taken.name) from taken
    except moves.ImportUnfinished as unfinished:
        raise RenameConflict("repositories are still being imported", name=unfinished.name) from unfinished
    if not route.is_dry_run:
        access_changed(context, "repository.move", route.repository, new.namespace, to=new)
        return empty(HTTPStatus.NO_CONTENT, {})
    until = datetime.now(UTC) + timedelta(seconds=_SECONDS)
    response = line({"ttl": until.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
    response.status_code = HTTPStatus.ACCEPTED
    return response


def _new_name(context: Context, route: RenameRepository) -> RepositoryName:
    """Reads the new name from the body: the last part or the parent of the name. The caller may write there."""
    body = _body(context)
    name, namespace = body.get("name"), body.get("namespace")
    if name and namespace:
        raise BodyValueInvalid(parameter="namespace", takes="what name is not given with")
    parent, _, last = route.repository.rpartition("/")
    if not namespace:
        if "/" in _parsed("name", name):
            raise BodyTypeInvalid(parameter="name", takes="the last part of a repository's name")
        return _joined(parent, str(name))
    group = _parsed("namespace", namespace)
    if group.namespace != route.repository.namespace:
        raise BodyValueInvalid(parameter="namespace", takes=f"what lies in {route.repository.namespace}")
    if context.caller.kind == "external":
        gate.require_scopes(context.services, context.caller, [scopes.of_parent(group)])
    return _joined(group, last)


def _body(context: Context) -> dict[str, Any]:
    content = context.body.read(_LARGEST_BODY)
    if content is None or context.body.is_cut:
        raise JsonInvalid
    try:
        return read_object(content, may_have_doubles=True)
    except Unreadable as error:
        raise JsonInvalid from error


def _parsed(parameter: str, value: Any) -> RepositoryName:
    try:
        return RepositoryName.parse(value if isinstance(value, str) else "")
    except NameInvalid as invalid:
        raise BodyTypeInvalid(parameter=parameter, takes="what a repository's name is made of") from invalid


def _joined(parent: str, last: str) -> RepositoryName:
    return RepositoryName.parse(f"{parent}/{last}" if parent else last)


def _require_project(context: Context, repository: RepositoryName) -> None:
    """GitLab's token names the project whose repositories move; ours have an administrator behind them."""
    if context.caller.kind != "external":
        return
    project = context.caller.projects.get(repository)
    if project is None:
        raise ProjectUnknown
    if project != repository:
        raise ProjectDiffers(project_path=project[:200])
