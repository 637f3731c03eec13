"""Referrers: what was attached to a manifest (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

import json
from typing import Any, Final

from flask import Response

from functions.api.v2.routes import ListReferrers
from functions.api.web.context import Context
from functions.api.web.pages import link
from functions.registry.metadata.content.referrers import Referrer
from functions.registry.metadata.content.referrers import list_referrers as list_stored
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX

PAGE_SIZE: Final = 500


def list_referrers(context: Context, route: ListReferrers) -> Response:
    """Returns an index, empty if nothing refers to the digest: an unknown digest is no error."""
    last = Digest.parse(route.last) if route.last else None
    if last is None:
        context.services.imports.fetch_referrers(route.repository, route.digest)
    shown, more = list_stored(
        context.services.database, route.repository, route.digest, route.artifact_type, last, PAGE_SIZE
    )
    entries = ",".join(map(_descriptor, shown))
    index = f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{entries}]}}'
    response = Response(index.encode(), content_type=OCI_INDEX)
    query = {"artifactType": route.artifact_type} if route.artifact_type else {}
    if query:
        response.headers["OCI-Filters-Applied"] = "artifactType"
    if more:
        path = f"/v2/{route.repository}/referrers/{route.digest}"
        response.headers.update(link(path, **query, last=str(shown[-1].digest)))
    return response


def _descriptor(referrer: Referrer) -> str:
    """Returns it in JSON, with the annotations as the database has written them."""
    descriptor: dict[str, Any] = {
        "mediaType": referrer.media_type,
        "digest": str(referrer.digest),
        "size": referrer.size,
    }
    if referrer.artifact_type is not None:
        descriptor["artifactType"] = referrer.artifact_type
    text = json.dumps(descriptor, ensure_ascii=False, separators=(",", ":"))
    if referrer.annotations is not None:
        text = f'{text[:-1]},"annotations":{referrer.annotations}}}'
    return text
