"""The endpoints of the OCI Distribution API, and OPTIONS of any path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Anybody, AnyToken, RightTo
from functions.api.route import ListMethods, plain
from functions.api.v2 import base, blobs, manifests, paths, routes, uploads
from functions.registry.auth.scopes import CATALOG

if TYPE_CHECKING:
    from functions.api.v2 import catalog, referrers, tags
else:
    catalog = Later("functions.api.v2.catalog")
    referrers = Later("functions.api.v2.referrers")
    tags = Later("functions.api.v2.tags")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.VERSION,
        route=routes.CheckVersion,
        parse=plain(routes.CheckVersion),
        handler=base.check,
        permission=AnyToken(),
        action="registry.check",
        needs_schema=False,
        is_rate_limited=False,
    ),
    Endpoint(
        method="OPTIONS",
        path=None,
        route=ListMethods,
        parse=None,
        handler=base.list_methods,
        # A browser asks before it lets a page send a token.
        permission=Anybody(),
        action="methods.list",
        needs_schema=False,
        is_rate_limited=False,
    ),
    Endpoint(
        method="GET",
        path=paths.CATALOG,
        route=routes.ListRepositories,
        parse=paths.list_repositories,
        handler=catalog.list_repositories,
        permission=AnyToken((CATALOG,)),
        action="catalog.list",
    ),
    Endpoint(
        method="GET",
        path=paths.TAGS,
        route=routes.ListTags,
        parse=paths.list_tags,
        handler=tags.list_tags,
        permission=RightTo("pull"),
        action="tag.list",
    ),
    Endpoint(
        method="GET",
        path=paths.MANIFEST,
        route=routes.GetManifest,
        parse=paths.get_manifest,
        handler=manifests.get,
        permission=RightTo("pull"),
        action="manifest.pull",
    ),
    Endpoint(
        method="PUT",
        path=paths.MANIFEST,
        route=routes.PutManifest,
        parse=paths.put_manifest,
        handler=manifests.put,
        permission=RightTo("push"),
        action="manifest.push",
        makes_events=True,
        is_audited=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="DELETE",
        path=paths.MANIFEST,
        route=routes.DeleteManifest,
        parse=paths.delete_manifest,
        handler=manifests.delete,
        permission=RightTo("delete"),
        action="manifest.delete",
        makes_events=True,
        is_audited=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="POST",
        path=paths.UPLOADS,
        route=routes.StartUpload,
        parse=paths.start_upload,
        handler=uploads.start,
        permission=RightTo("push", source=uploads.source_of),
        action="upload.start",
    ),
    Endpoint(
        method="GET",
        path=paths.UPLOAD,
        route=routes.GetUpload,
        parse=paths.get_upload,
        handler=uploads.status,
        permission=RightTo("push"),
        action="upload.get",
    ),
    Endpoint(
        method="PATCH",
        path=paths.UPLOAD,
        route=routes.PatchUpload,
        parse=paths.patch_upload,
        handler=uploads.patch,
        permission=RightTo("push"),
        action="upload.continue",
    ),
    Endpoint(
        method="PUT",
        path=paths.UPLOAD,
        route=routes.PutUpload,
        parse=paths.put_upload,
        handler=uploads.put,
        permission=RightTo("push"),
        action="upload.finish",
        leaves_garbage=True,
    ),
    Endpoint(
        method="DELETE",
        path=paths.UPLOAD,
        route=routes.DeleteUpload,
        parse=paths.delete_upload,
        handler=uploads.cancel,
        permission=RightTo("push"),
        action="upload.cancel",
        leaves_garbage=True,
    ),
    Endpoint(
        method="GET",
        path=paths.BLOB,
        route=routes.GetBlob,
        parse=paths.get_blob,
        handler=blobs.get,
        permission=RightTo("pull"),
        action="blob.pull",
    ),
    Endpoint(
        method="HEAD",
        path=paths.BLOB,
        route=routes.HeadBlob,
        parse=paths.head_blob,
        handler=blobs.head,
        permission=RightTo("pull"),
        action="blob.check",
    ),
    Endpoint(
        method="DELETE",
        path=paths.BLOB,
        route=routes.DeleteBlob,
        parse=paths.delete_blob,
        handler=blobs.delete,
        permission=RightTo("delete"),
        action="blob.delete",
        is_audited=True,
        leaves_garbage=True,
    ),
    Endpoint(
        method="GET",
        path=paths.REFERRERS,
        route=routes.ListReferrers,
        parse=paths.list_referrers,
        handler=referrers.list_referrers,
        permission=RightTo("pull"),
        action="referrer.list",
    ),
)
