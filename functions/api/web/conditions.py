"""Conditional requests: an ETag is the digest in quotes, for what has a digest never changes (RFC 9110, section 13)."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response

from functions.api.web.context import Context
from functions.api.web.responses import empty
from functions.registry.oci.digest import Digest


def has_same_etag(context: Context, digest: Digest) -> bool:
    """Compares weakly: a proxy that compresses on its way marks an ETag as weak."""
    return context.request.if_none_match.contains_weak(str(digest))


def not_modified(digest: Digest) -> Response:
    return empty(HTTPStatus.NOT_MODIFIED, {"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'})
