"""GitLab's API: the tags of a repository, in lists and one by one."""

from __future__ import annotations

from typing import Any, Final

from flask import Response

from functions.api.gitlab import routes
from functions.api.gitlab.paths import marker_text
from functions.api.gitlab.repositories import line, links, moment
from functions.api.web.context import Context
from functions.api.web.gitlab_errors import TagUnknown
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.metadata.content import blobs
from functions.registry.metadata.gitlab import tag_images, tags
from functions.registry.metadata.gitlab.pages import TagPage
from functions.registry.metadata.gitlab.tag_images import Image
from functions.registry.metadata.gitlab.tags import FoundTags, TagDetails
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import NameUnknown
from functions.registry.oci.json_object import read_stored
from functions.registry.oci.media_type import essence, is_index
from functions.registry.oci.platform import LARGEST_CONFIG, is_part
from functions.registry.uploading import lost_objects

_WITH_PLATFORM: Final = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}


def list_tags(context: Context, route: routes.ListTagDetails) -> Response:
    database, page = context.services.database, route.page
    if route.exact:
        alone = tags.find_one(database, route.repository, route.exact, page.referrers)
        found = None if alone is None else FoundTags(alone, has_previous=False, has_next=False)
    else:
        found = tags.find_page(database, route.repository, page)
    if found is None:
        raise NameUnknown(name=route.repository)
    return line([_shown(tag) for tag in found.tags], **_links(route, found))


def _links(route: routes.ListTagDetails, found: FoundTags) -> dict[str, str]:
    page = route.page
    query = {"n": str(page.size)}
    if page.part:
        query["name"] = page.part
    if page.sort:
        query["sort"] = str(page.sort)
    markers = {}
    if found.tags and found.has_previous:
        markers["previous"] = ("before", _marker(page, found.tags[0]))
    if found.tags and found.has_next:
        markers["next"] = ("last", _marker(page, found.tags[-1]))
    return links(f"/gitlab/v1/repositories/{route.repository}/tags/list/", query, markers)


def _marker(page: TagPage, tag: TagDetails) -> str:
    return marker_text(tag.marker) if page.order.by == "published_at" else tag.name


def _shown(tag: TagDetails) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tag.name, "digest": str(tag.digest)}
    if tag.config_digest:
        shown["config_digest"] = str(tag.config_digest)
    shown |= {"media_type": tag.media_type, "size_bytes": tag.size, "created_at": moment(tag.created_at)}
    if tag.has_moved:
        shown["updated_at"] = moment(tag.published_at)
    shown["published_at"] = moment(tag.published_at)
    if tag.referrers:
        shown["referrers"] = [{"artifactType": kind, "digest": str(digest)} for kind, digest in tag.referrers]
    return shown


def get_tag(context: Context, route: routes.GetTagDetails) -> Response:
    times, images = tag_images.images(context.services.database, route.repository, route.tag)
    if times is None:
        raise NameUnknown(name=route.repository)
    if times.created_at is None or times.published_at is None or times.root not in images:
        raise TagUnknown(tagName=route.tag)
    root = images[times.root]
    shown: dict[str, Any] = {
        "repository": route.repository,
        "name": route.tag,
        "image": _image(root, images, _platform(context, route, root), [tag_images.MOST_IMAGES]),
        "created_at": moment(times.created_at),
    }
    if times.published_at != times.created_at:
        shown["updated_at"] = moment(times.published_at)
    return line(shown | {"published_at": moment(times.published_at)})


def _image(
    image: Image, images: dict[Digest, Image], platform: dict[str, str] | None, left: list[int]
) -> dict[str, Any]:
    """Shows an image with all that it lists, in that order. `left` is how many more may be shown: one may be listed
    many times.
    """
    document = _document(image)
    manifest: dict[str, Any] = {"digest": str(image.digest), "media_type": image.media_type}
    if is_index(image.media_type):
        manifest["references"] = []
        for listed in document.get("manifests") or []:
            child = _listed(listed, images)
            if child is None or not left[0]:
                continue
            left[0] -= 1
            manifest["references"].append(_image(child, images, _read_platform(listed.get("platform")), left))
    shown: dict[str, Any] = {"size_bytes": image.size, "manifest": manifest}
    if image.config_digest and not is_index(image.media_type):
        shown["config"] = {"digest": str(image.config_digest), "media_type": _config_type(document)}
        if platform is not None:
            shown["config"]["platform"] = platform
    return shown


def _document(image: Image) -> dict[str, Any]:
    return read_stored(image.payload or b"{}")


def _listed(descriptor: dict[str, Any], images: dict[Digest, Image]) -> Image | None:
    """Returns None if it isn't here: a sparse index lists more than the repository has."""
    return images.get(Digest.parse(descriptor["digest"]))


def _config_type(document: dict[str, Any]) -> str:
    config = document.get("config")
    return str(config.get("mediaType", "")) if isinstance(config, dict) else ""


def _platform(context: Context, route: routes.GetTagDetails, image: Image) -> dict[str, str] | None:
    """Reads the platform out of the image's config, which is in the store. Raises BlobStoreUnavailable."""
    if image.config_digest is None or essence(_config_type(_document(image))) not in _WITH_PLATFORM:
        return None
    blob = blobs.get(context.services.database, route.repository, image.config_digest)
    if blob is None or not 0 < blob.size <= LARGEST_CONFIG:
        return _read_platform({})
    try:
        config = b"".join(context.services.bucket.read(blob.object_name, last=blob.size - 1))
    except ObjectMissing:
        lost_objects.mark(context.services, image.config_digest, blob.object_name)
        config = b"{}"
    return _read_platform(read_stored(config))


def _read_platform(described: Any) -> dict[str, str] | None:
    """Whoever pushes writes what they like: what can't be a part of a platform is left out."""
    if not isinstance(described, dict):
        return None
    parts = {name: str(described.get(name) or "") for name in ("architecture", "os")}
    return {name: part if is_part(part) else "" for name, part in parts.items()}
