"""Manifests: pull, push, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final, TypeVar

from flask import Response

from functions.api.tag_protection import require_deletable, require_pushable
from functions.api.v2 import manifest_body
from functions.api.v2.routes import DeleteManifest, GetManifest, PutManifest, manifest_path
from functions.api.web.conditions import has_same_etag, not_modified
from functions.api.web.context import Context
from functions.api.web.responses import empty
from functions.registry import telemetry
from functions.registry.metadata.content import manifests, pushes, repositories, tags
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import (
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestReferenced,
    ManifestUnknown,
    NameUnknown,
    OciError,
)
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import Reference, RepositoryName, Tag

# Some clients refuse an answer that has a hundred lines of headers.
_MOST_TAG_LINES: Final = 50
# Of those that went along with a manifest, in the audit trail and the log.
_MOST_TAGS_TOLD: Final = 20

Found = TypeVar("Found")


def get(context: Context, route: GetManifest) -> Response:
    """Takes one statement. HEAD does not read the payload."""
    # Where another registry still decides, a tag may name something else there by now.
    reference = context.services.imports.decided(route.repository, route.reference)
    if context.request.method == "HEAD":
        head = _found(context, manifests.confirm, route.repository, reference)
        if head is None:
            raise _unknown(context, route)
        return _described(context, head.digest, head.media_type, b"", head.size)
    stored = _found(context, manifests.get, route.repository, reference)
    if stored is None:
        raise _unknown(context, route)
    response = _described(context, stored.digest, stored.media_type, stored.payload, len(stored.payload))
    if response.status_code == HTTPStatus.OK:
        tag = route.reference if isinstance(route.reference, Tag) else None
        context.services.pulls_and_pushes.pulled(route.repository, tag, stored.digest)
    return response


def _found(
    context: Context,
    find: Callable[[Database, RepositoryName, Reference], Found | None],
    repository: RepositoryName,
    reference: Reference | None,
) -> Found | None:
    """Returns what is here, or can be fetched from a registry that is being moved in."""
    if reference is None:
        return None
    database = context.services.database
    found = find(database, repository, reference)
    if found is None and context.services.imports.fetch_manifest(repository, reference):
        found = find(database, repository, reference)
    return found


def _described(context: Context, digest: Digest, media_type: str, payload: bytes, size: int) -> Response:
    if has_same_etag(context, digest):
        return not_modified(digest)
    response = Response(payload, content_type=media_type)
    response.headers["Content-Length"] = str(size)
    response.headers.extend({"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'})
    return response


def put(context: Context, route: PutManifest) -> Response:
    """The manifest, its references and its tags become visible together, or not at all."""
    with manifest_body.payload(context, route) as payload:
        return _put(context, route, payload)


def _put(context: Context, route: PutManifest, payload: bytes) -> Response:
    reference = route.reference
    digest = Digest.of(payload) if isinstance(reference, Tag) else Digest.of(payload, reference.algorithm)
    if not isinstance(reference, Tag) and digest != reference:
        raise DigestInvalid(expected=str(reference), actual=str(digest))
    manifest = parse_manifest(payload, context.request.content_type)
    names = [*route.tags, *([reference] if isinstance(reference, Tag) else [])]
    settings = context.services.settings
    if manifest.annotation_bytes > settings.largest_annotations_bytes:
        raise ManifestInvalid(f"a manifest's own annotations have at most {settings.largest_annotations_bytes} bytes")
    accepts_missing = settings.sparse_manifests == "accept"
    new_tags = require_pushable(context, route.repository, names)
    rank = context.caller.rank(route.repository)
    push = Push(route.repository, digest, manifest, payload, names, accepts_missing, rank, new_tags)
    try:
        pushed = _pushed(context, push)
    except pushes.TypeDiffers as differs:
        reason = "these bytes are here under another media type: delete them first, or push them under that one"
        raise ManifestInvalid(reason, media_type=differs.stored, content_type=manifest.media_type) from differs
    except pushes.ReferenceMissing as missing:
        raise ManifestBlobUnknown(missing=[str(digest) for digest in missing.digests]) from missing
    context.services.pulls_and_pushes.pushed(route.repository, sorted(set(names)), digest)
    headers = {"Location": manifest_path(route.repository, digest), "Docker-Content-Digest": str(digest)}
    if manifest.subject is not None:
        headers["OCI-Subject"] = str(manifest.subject.digest)
    response = empty(HTTPStatus.CREATED, headers)
    for warning in _warnings(pushed):
        response.headers.add("Warning", f'299 - "{warning}"')
    in_a_line = -(-len(route.tags) // _MOST_TAG_LINES) or 1
    for first in range(0, len(route.tags), in_a_line):
        response.headers.add("OCI-Tag", ", ".join(route.tags[first : first + in_a_line]))
    return response


def _pushed(context: Context, push: Push) -> pushes.Pushed:
    """Pushes once more for as long as what is missing can be fetched from a registry that is being moved in."""
    fetched: set[Digest] = set()
    while True:
        try:
            return pushes.put(context.services.database, push)
        except pushes.ReferenceMissing as missing:
            new = set(missing.digests) - fetched
            if not new or not context.services.imports.fetch_references(push.repository, sorted(new)):
                raise
            fetched |= new


def _warnings(pushed: pushes.Pushed) -> Iterator[str]:
    """Returns what clients show beside their success (distribution-spec, "Warnings")."""
    if pushed.missing_references:
        yield f"{pushed.missing_references} references of this manifest are not in the repository"
    if (quota := pushed.quota) is not None:
        yield f"namespace {quota.namespace} has {quota.used} of {quota.most} bytes in use"


def delete(context: Context, route: DeleteManifest) -> Response:
    """A tag goes alone; a digest takes all its tags with it."""
    database, reference = context.services.database, route.reference
    require_deletable(context, route.repository, reference)
    rank = context.caller.rank(route.repository)
    try:
        is_deleted = _deleted(database, route, rank)
        if not is_deleted and context.services.imports.fetch_manifest(route.repository, reference):
            is_deleted = _deleted(database, route, rank)
    except manifests.ListedByIndex as listed:
        raise ManifestReferenced([str(digest) for digest in listed.holders]) from listed
    if not is_deleted:
        raise _unknown(context, route)
    return empty(HTTPStatus.ACCEPTED, {"Content-Length": "0"})


def _deleted(database: Database, route: DeleteManifest, rank: int) -> bool:
    if isinstance(route.reference, Tag):
        return tags.delete(database, route.repository, route.reference, rank)
    gone = manifests.delete(database, route.repository, route.reference, rank)
    if gone is not None and gone.tags:
        telemetry.note(tags=gone.tags[:_MOST_TAGS_TOLD], tags_deleted=len(gone.tags))
    return gone is not None


def _unknown(context: Context, route: GetManifest | DeleteManifest) -> OciError:
    if not repositories.exists(context.services.database, route.repository):
        return NameUnknown(name=route.repository)
    return ManifestUnknown(reference=str(route.reference))
