"""Cross-origin sharing by a bucket's own rules, which hold for signed URLs. The first that fits is taken.

Cloud Storage, "Cross-origin resource sharing (CORS)". Where no rule fits, the answer is as it is without any.
"""

from typing import Final

from werkzeug.wrappers import Response

from local.storage.calls import Call, Document
from local.storage.store import Store

_PREFLIGHT_METHOD: Final = "Access-Control-Request-Method"


def share(store: Store, call: Call, response: Response) -> None:
    """Adds what a browser asks for before it lets a page read the answer."""
    origin = call.headers.get("Origin")
    bucket = store.catalog.bucket(call.segments[0])
    if origin is None or bucket is None:
        return
    is_preflight = call.method == "OPTIONS"
    rule = _rule(bucket, origin, call.headers.get(_PREFLIGHT_METHOD, "") if is_preflight else call.method)
    if rule is None:
        return
    response.headers["Access-Control-Allow-Origin"] = "*" if "*" in rule["origin"] else origin
    named = ", ".join(rule.get("responseHeader", ()))
    if is_preflight:
        response.headers["Access-Control-Allow-Methods"] = ", ".join(rule["method"])
        response.headers["Access-Control-Allow-Headers"] = named
        response.headers["Access-Control-Max-Age"] = str(rule.get("maxAgeSeconds", 3600))
    else:
        response.headers["Access-Control-Expose-Headers"] = named


def _rule(bucket: Document, origin: str, method: str) -> Document | None:
    for rule in bucket.get("cors", ()):
        if not {origin, "*"}.isdisjoint(rule["origin"]) and not {method, "*"}.isdisjoint(rule["method"]):
            found: Document = rule
            return found
    return None
