"""The config of an image: what it runs as, with what, and how it was built."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from flask import Response

from functions.api.v1.insights.routes import GetConfig
from functions.api.web.context import Context
from functions.api.web.errors import ResourceUnknown
from functions.api.web.responses import json_response
from functions.registry.blobs.errors import ObjectMissing
from functions.registry.blobs.gcs import Bucket
from functions.registry.metadata.content import repositories
from functions.registry.metadata.lists import configs
from functions.registry.metadata.lists.configs import Inside
from functions.registry.oci.errors import ManifestUnknown, NameUnknown
from functions.registry.oci.json_object import Unreadable, read_object
from functions.registry.oci.platform import LARGEST_CONFIG

# An object never changes: no name is used twice. Four MiB at most are kept.
_MOST_KEPT: Final = 64
_LARGEST_KEPT: Final = 64 << 10
_kept: OrderedDict[str, bytes] = OrderedDict()
_keeping: Final = threading.Lock()


def get(context: Context, route: GetConfig) -> Response:
    """Answers for an index with the config of its image for amd64, or of the first that it lists."""
    services = context.services
    inside = services.database.one_or_none(configs.reading(route.repository, route.digest))
    if inside is None:
        if not repositories.exists(services.database, route.repository):
            raise NameUnknown(name=route.repository)
        raise ManifestUnknown(reference=str(route.digest))
    try:
        document = read_object(content_of(services.bucket, inside), may_have_doubles=True)
    except Unreadable as unreadable:
        reason = f"the manifest has no config of at most {LARGEST_CONFIG} bytes that is a JSON object"
        raise ResourceUnknown(reason) from unreadable
    return json_response({"digest": str(inside.digest), "config": document})


def content_of(bucket: Bucket, inside: Inside) -> bytes:
    """Returns nothing where there is no config, or a larger one than is looked into. Raises BlobStoreUnavailable."""
    name, size = inside.object_name, inside.size
    if name is None or size is None or not 0 < size <= LARGEST_CONFIG:
        return b""
    with _keeping:
        content = _kept.get(name)
    if content is None:
        try:
            content = bucket.read_once(name, size)
        except ObjectMissing:
            return b""
        _keep(name, content)
    return content


def _keep(name: str, content: bytes) -> None:
    if len(content) > _LARGEST_KEPT:
        return
    with _keeping:
        _kept[name] = content
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
