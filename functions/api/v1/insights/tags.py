"""Tags and manifests with all that is known of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response

from functions.api.v1.insights import routes
from functions.api.v1.insights.cursor_pages import Listing, asked
from functions.api.web.context import Context
from functions.api.web.responses import json_response
from functions.api.web.rows import rows
from functions.registry.metadata.content import repositories
from functions.registry.metadata.history import bindings
from functions.registry.metadata.lists import tags
from functions.registry.metadata.lists.keyset import Found, Walk
from functions.registry.metadata.lists.tags import ManifestDetails
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import ManifestUnknown, NameUnknown
from functions.registry.oci.json_object import read_stored
from functions.registry.oci.media_type import is_manifest
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.platform import all_written, written


def list_tags(context: Context, route: routes.SearchTags) -> Response:
    part, wanted, database = route.part, route.wanted, context.services.database

    def walker(walk: Walk) -> Found:
        found = tags.page(database, route.repository, part.order, walk, wanted)
        if found is None:
            raise NameUnknown(name=route.repository)
        for item in found.items:
            item["platforms"] = _platforms(item["platforms"])
        return found

    return Listing(f"/api/v1/repositories/{route.repository}/-/tags", part, asked(wanted)).answer(
        context, "tags", walker
    )


def get_tag(context: Context, route: routes.GetTag) -> Response:
    """All that is known of it; or, with a time, what it named then."""
    if route.at is not None:
        return _get_tag_at(context, route, route.at)
    return json_response(details(_stored(context, route.repository, route.tag)))


def _get_tag_at(context: Context, route: routes.GetTag, moment: datetime) -> Response:
    named = bindings.at(context.services.database, route.repository, route.tag, moment)
    if named is None:
        if not repositories.exists(context.services.database, route.repository):
            raise NameUnknown(name=route.repository)
        raise ManifestUnknown("the tag named nothing then, or that is not known any more", reference=str(route.tag))
    return json_response({"name": route.tag, **rows([named])[0]})


def get_manifest(context: Context, route: routes.DescribeManifest) -> Response:
    return json_response(details(_stored(context, route.repository, route.digest)))


def _stored(context: Context, repository: RepositoryName, reference: Tag | Digest) -> ManifestDetails:
    database = context.services.database
    stored = tags.one(database, repository, reference)
    if stored is None:
        if not repositories.exists(database, repository):
            raise NameUnknown(name=repository)
        raise ManifestUnknown(reference=str(reference))
    return stored


def details(stored: ManifestDetails) -> dict[str, Any]:
    """Returns all that is shown of a tag or a manifest."""
    document = read_stored(stored.payload)
    listed = document.get("manifests")
    children = [entry for entry in listed or [] if _is_child(entry, stored)]
    layers = [*(document.get("layers") or []), *(document.get("blobs") or [])]
    layers += [entry for entry in listed or [] if not _is_child(entry, stored)]
    return {
        **stored.shown,
        "platforms": _platforms(
            stored.shown["platforms"] if listed is None else [child.get("platform") for child in children]
        ),
        "config": _descriptor(document["config"]) if document.get("config") else None,
        "layers": [_descriptor(layer) for layer in layers],
        "children": [
            {
                **_descriptor(child),
                "platform": written(child.get("platform")),
                "size": stored.sizes.get(child["digest"]),
            }
            for child in children
        ],
        "referrers": stored.referrers,
    }


def _is_child(entry: dict[str, Any], stored: ManifestDetails) -> bool:
    """Says whether it is a manifest, or else a blob, as the push found it."""
    return entry["digest"] in stored.sizes or is_manifest(entry.get("mediaType", ""))


def _descriptor(descriptor: dict[str, Any]) -> dict[str, Any]:
    """`bytes` are those of the content itself."""
    return {
        "digest": descriptor["digest"],
        "media_type": descriptor.get("mediaType"),
        "bytes": descriptor["size"],
    }


def _platforms(found: list[Any] | None) -> list[str] | None:
    """Returns what it runs on; None if that isn't known, or it runs nowhere."""
    return None if found is None else all_written(found)
