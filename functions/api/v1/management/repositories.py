"""Repositories changed, moved and deleted; many tags deleted at once."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.tag_protection import require_deletable, require_removable
from functions.api.v1.management import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ImportUnfinished, NameConflict, ParameterInvalid, ResourceUnknown
from functions.api.web.json_body import flag, nullable, number, repository, tag_list
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.content import moves, removal, repository_settings
from functions.registry.metadata.content.removal import TagRemoval
from functions.registry.metadata.content.repository_settings import LONGEST_GRACE_SECONDS, SettingsChange
from functions.registry.oci.errors import Denied, NameUnknown
from functions.registry.oci.name import RepositoryName, Tag

_GRACE: Final = nullable(number(0, LONGEST_GRACE_SECONDS))


def change(context: Context, route: routes.ChangeRepository) -> Response:
    fields = json_body.read(context, {}, {"keep_untagged": flag, "grace_seconds": _GRACE, "undo_seconds": _GRACE})
    if not fields:
        raise ParameterInvalid("the body has one or several of keep_untagged, grace_seconds and undo_seconds")
    asked = SettingsChange(changes_grace="grace_seconds" in fields, changes_undo="undo_seconds" in fields, **fields)
    changed = repository_settings.change(context.services.database, route.repository, asked)
    if changed is None:
        raise NameUnknown(name=route.repository)
    registry_changed(context, "repository.change", route.repository, namespace_of(route.repository), **fields)
    return answer({"name": route.repository, **rows([changed])[0]})


def change_namespace(context: Context, route: routes.ChangeNamespace) -> Response:
    fields = json_body.read(context, {"undo_seconds": _GRACE}, {})
    if not repository_settings.change_namespace(context.services.database, route.namespace, fields["undo_seconds"]):
        raise ResourceUnknown(f"namespace {route.namespace} has no repository")
    registry_changed(context, "namespace.change", route.namespace, route.namespace, **fields)
    return answer({"name": route.namespace, **fields})


def move(context: Context, route: routes.MoveRepository) -> Response:
    """A dry run tells how many would move, or what is in the way."""
    fields = json_body.read(context, {"to": repository}, {"with_below": flag, "dry_run": flag})
    old, new, dry_run = route.repository, fields["to"], fields.get("dry_run", False)
    with_below = fields.get("with_below", False)
    try:
        moved = moves.move(context.services.database, old, new, with_below=with_below, dry_run=dry_run)
    except moves.NothingToMove as nothing:
        raise NameUnknown(name=old) from nothing
    except moves.NameTaken as taken:
        raise NameConflict(f"there is a repository {taken.name} already", name=taken.name) from taken
    except moves.ImportUnfinished as unfinished:
        reason = "wait until it is imported, or its source is listed"
        raise ImportUnfinished(reason, name=unfinished.name) from unfinished
    if not dry_run:
        namespace = namespace_of(old) if old.namespace == new.namespace else None
        registry_changed(
            context, "repository.move", old, namespace, to=new, with_below=with_below, repositories=moved.repositories
        )
    return answer({"name": new, "repositories": moved.repositories, "dry_run": dry_run})


def delete(context: Context, route: routes.DeleteRepository) -> Response:
    """It is set aside for as long as it can be put back; the bytes that nothing else needs then go with garbage
    collection.
    """
    require_removable(context, route.repository)
    rank = context.caller.rank(route.repository)
    context.services.imports.make_here(route.repository)
    removed = removal.remove(context.services.database, route.repository, rank)
    if removed is None:
        raise NameUnknown(name=route.repository)
    [shown] = rows([removed])
    registry_changed(context, "repository.delete", route.repository, namespace_of(route.repository), **shown)
    return answer({"name": route.repository, **shown})


def delete_tags(context: Context, route: routes.DeleteTags) -> Response:
    """What may not be deleted is told with the reason, and the others go all the same."""
    fields = json_body.read(context, {"tags": tag_list(removal.MOST_TAGS)}, {"dry_run": flag})
    dry_run = fields.get("dry_run", False)
    refused = {tag: _refusal(context, route.repository, tag) for tag in fields["tags"]}
    kept = {tag: reason for tag, reason in refused.items() if reason is not None}
    rank = context.caller.rank(route.repository)
    asked = [tag for tag in fields["tags"] if tag not in kept]
    for tag in asked:
        context.services.imports.fetch_manifest(route.repository, tag)
    done = removal.delete_tags(context.services.database, route.repository, asked, rank, dry_run=dry_run)
    if done is None:
        raise NameUnknown(name=route.repository)
    done += [TagRemoval(tag, "refused", reason) for tag, reason in kept.items()]
    deleted = [each.name for each in done if each.outcome == "deleted"]
    if deleted and not dry_run:
        namespace = namespace_of(route.repository)
        registry_changed(context, "tags.delete", route.repository, namespace, tags=deleted)
    return answer({"tags": [_shown(each) for each in sorted(done, key=lambda each: each.name)], "dry_run": dry_run})


def _refusal(context: Context, repository: RepositoryName, tag: Tag) -> str | None:
    """Returns what the caller's token says against it."""
    try:
        require_deletable(context, repository, tag)
    except Denied as denied:
        return str(denied)
    return None


def _shown(removal: TagRemoval) -> dict[str, Any]:
    [shown] = rows([removal])
    return {name: value for name, value in shown.items() if value is not None}
