"""Tags, manifests and whole repositories put back; and a deleted repository purged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.tag_protection import require_deletable, require_pushable
from functions.api.v1.history import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import NameConflict, NotRestorable, ParameterInvalid, ResourceUnknown
from functions.api.web.json_body import digest, flag, moment, number, repository, tag, tags
from functions.api.web.responses import answer
from functions.api.web.rows import rows
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.content import removal, repositories
from functions.registry.metadata.db import ChangeRefused
from functions.registry.metadata.history import deleted, restoring
from functions.registry.metadata.history.deleted import NameTaken, NotDeleted
from functions.registry.metadata.history.restoring import Difference, NothingToRestore, Restored, Then, Wanted
from functions.registry.oci.errors import Denied, NameUnknown
from functions.registry.oci.name import RepositoryName, Tag

# Each is a transaction of its own: a request has time for so many.
MOST: Final = 500
_LARGEST_ID: Final = 2**63 - 1
_ONE: Final = {"tag": tag, "digest": digest, "as": tag, "dry_run": flag}
_MANY: Final = {"tags": tags, "exact": flag, "dry_run": flag, "last": tag}


def restore(context: Context, route: routes.RestoreTags) -> Response:
    """One, by its name or its digest, or with `at` all that tags were at that time."""
    fields = json_body.read(context, {}, {**_ONE, **_MANY, "at": moment})
    allowed = {"at", *_MANY} if "at" in fields else set(_ONE)
    if fields.keys() - allowed or not fields.keys() & {"at", "tag", "digest"} or ("as" in fields) > ("tag" in fields):
        raise ParameterInvalid(
            "the body has tag or digest or both, with as and dry_run; or at, with tags, exact, last and dry_run"
        )
    if "at" in fields:
        return _restore_all(context, route, fields)
    return _restore_one(context, route, fields)


def _restore_one(context: Context, route: routes.RestoreTags, fields: dict[str, Any]) -> Response:
    dry_run = fields.get("dry_run", False)
    target = fields.get("as") or fields.get("tag")
    try:
        done = _restored(context, route.repository, fields.get("tag"), fields.get("digest"), target, dry_run=dry_run)
    except NothingToRestore as nothing:
        if not repositories.exists(context.services.database, route.repository):
            raise NameUnknown(name=route.repository) from nothing
        raise NotRestorable(str(nothing)) from nothing
    if not dry_run:
        _told(context, route.repository, [str(each) for each in done.tags], str(done.digest))
    [shown] = rows([done])
    return answer({**shown, "dry_run": dry_run})


def _restored(
    context: Context, name: RepositoryName, of: Tag | None, named: Any, target: Tag | None, *, dry_run: bool
) -> Restored:
    """Raises NothingToRestore, ChangeRefused and Denied."""
    new = require_pushable(context, name, [] if target is None else [target])
    rank = context.caller.rank(name)
    wanted = Wanted(name, of, named, target, rank, new)
    done = restoring.restore(context.services.database, wanted, dry_run=True)
    require_pushable(context, name, done.tags)
    return done if dry_run else restoring.restore(context.services.database, wanted)


def _restore_all(context: Context, route: routes.RestoreTags, fields: dict[str, Any]) -> Response:
    """What can't be put back is told with the reason, and the others are all the same."""
    database = context.services.database
    if not repositories.exists(database, route.repository):
        raise NameUnknown(name=route.repository)
    dry_run = fields.get("dry_run", False)
    then = Then(fields["at"], fields.get("tags", "*"), fields.get("exact", False))
    found = restoring.differences(database, route.repository, then, fields.get("last", ""), MOST + 1)
    done = [_outcome(context, route.repository, each, dry_run=dry_run) for each in found[:MOST]]
    changed = [each["tag"] for each in done if each["outcome"] != "refused"]
    if changed and not dry_run:
        _told(context, route.repository, changed, at=then.moment.isoformat())
    last = done[-1]["tag"] if len(found) > MOST else None
    return answer({"tags": done, "last": last, "dry_run": dry_run})


def _outcome(context: Context, name: RepositoryName, wanted: Difference, *, dry_run: bool) -> dict[str, Any]:
    shown = {
        "tag": wanted.tag,
        "digest": None if wanted.digest is None else str(wanted.digest),
        "previous": None if wanted.present is None else str(wanted.present),
    }
    try:
        if wanted.digest is None:
            require_deletable(context, name, wanted.tag)
            reason = _remove(context, name, wanted.tag, dry_run=dry_run)
        elif (reason := wanted.refusal) is None:
            _restored(context, name, wanted.tag, wanted.digest, wanted.tag, dry_run=dry_run)
    except (NothingToRestore, ChangeRefused, Denied) as refused:
        reason = str(refused)
    if reason is not None:
        return {**shown, "outcome": "refused", "reason": reason}
    return {**shown, "outcome": "deleted" if wanted.digest is None else "restored"}


def _remove(context: Context, name: RepositoryName, made: Tag, *, dry_run: bool) -> str | None:
    """Returns why it was refused."""
    if not context.caller.may(name, "delete"):
        raise Denied("tags that were made since are taken away: that takes the right to delete")
    rank = context.caller.rank(name)
    done = removal.delete_tags(context.services.database, name, [made], rank, dry_run=dry_run) or []
    return next((each.reason for each in done), None)


def restore_repository(context: Context, route: routes.RestoreRepository) -> Response:
    fields = json_body.read(context, {}, {"as": repository, "id": number(1, _LARGEST_ID)})
    new = fields.get("as")
    if new is not None and not context.caller.is_admin:
        raise Denied("another name takes an administrator of the registry")
    done = _found(
        lambda: deleted.put_back(context.services.database, route.repository, new, fields.get("id")), route.repository
    )
    registry_changed(
        context, "repository.restore", route.repository, namespace_of(route.repository), to=done.name, tags=done.tags
    )
    return answer(rows([done])[0])


def purge_repository(context: Context, route: routes.PurgeRepository) -> Response:
    fields = json_body.read(context, {}, {"id": number(1, _LARGEST_ID)})
    done = _found(
        lambda: deleted.purge(context.services.database, route.repository, fields.get("id")), route.repository
    )
    shown = {"tags": done.tags, "manifests": done.manifests, "blobs": done.blobs, "uploads": done.uploads}
    registry_changed(context, "repository.purge", route.repository, namespace_of(route.repository), **shown)
    return answer({"name": route.repository, **shown})


def _found(work: Callable[[], Any], name: RepositoryName) -> Any:
    try:
        return work()
    except NotDeleted as nothing:
        raise ResourceUnknown(f"no deleted repository {name} can be put back") from nothing
    except NameTaken as taken:
        reason = f"a repository has the name {name} by now: put the deleted one back under another"
        raise NameConflict(reason, name=name) from taken


def _told(context: Context, name: RepositoryName, changed: list[str], named: str | None = None, **more: Any) -> None:
    details = {**({} if named is None else {"digest": named}), **more}
    registry_changed(context, "tags.restore", name, namespace_of(name), tags=changed, **details)
