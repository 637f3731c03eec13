"""What browsers are told with every answer: pages may read them where a setting says so, and no content is ever a page.

A registry holds what strangers push. Shown by a browser as a page of the registry's own, such content would act as it.
"""

from __future__ import annotations

from typing import Final

from flask import Request, Response

PROTECTION: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What a client needs of an answer, and a page is not shown by itself (Fetch standard, "CORS-safelisted").
EXPOSED: Final = "Docker-Content-Digest, Link, Location, WWW-Authenticate, OCI-Subject, OCI-Filters-Applied"
_TAKEN: Final = "Accept, Authorization, Content-Range, Content-Type, If-None-Match, If-Range, Range"
_PREFLIGHT_SECONDS: Final = "3600"


def is_for_console(request: Request) -> bool:
    """Says whether a page for people is asked for: one of the console's, or the registry's address by a browser."""
    if request.path == "/":
        wanted = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
        return request.method in {"GET", "HEAD"} and wanted == "text/html"
    return request.path == "/console" or request.path.startswith("/console/")


def protect(response: Response) -> None:
    """Tells a browser that content is data, or a file to save. Only JSON may be looked at: none of it is run.

    The console's own pages say what a browser may do with them.
    """
    if "Content-Security-Policy" in response.headers:
        return
    response.headers.extend(PROTECTION)
    media_type = response.mimetype
    if media_type and not _is_json(media_type):
        response.headers["Content-Disposition"] = "attachment"


def share(request: Request, response: Response, origins: frozenset[str]) -> None:
    """Pages of these origins may read the answer, errors too. Never with credentials that the browser keeps."""
    if not origins:
        return
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if origin not in origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        response.headers["Access-Control-Allow-Headers"] = _TAKEN
        response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
