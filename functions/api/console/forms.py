"""Forms that come from a browser: from a page of ours, shown to the same session, or not at all."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from flask import Request

from functions.api.console.visitor import Visit
from functions.api.web.body import Body
from functions.api.web.errors import ParameterInvalid
from functions.registry.oci.errors import Denied

LARGEST: Final = 16 * 1024
_MOST_FIELDS: Final = 50

Form = dict[str, str]


def read(request: Request, body: Body) -> Form:
    """Returns the first value of each field, without what no text of ours has. Raises ParameterInvalid and Denied."""
    _require_own_origin(request)
    if request.mimetype != "application/x-www-form-urlencoded":
        raise ParameterInvalid("a form comes as application/x-www-form-urlencoded")
    content = body.read(LARGEST)
    if content is None or body.is_cut:
        raise ParameterInvalid(f"a form has at most {LARGEST} bytes, and comes whole")
    try:
        fields = parse_qs(content.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise ParameterInvalid("the form can't be read") from error
    return {name: values[0].replace("\0", "\ufffd").strip() for name, values in fields.items()}


def require_token(visit: Visit, form: Form, path: str) -> None:
    """Raises Denied for a form that no page of this session had."""
    if not visit.is_form_token(form.get("token", ""), path):
        raise Denied("This form is from another session: open the page again, and send it from there.")


def _require_own_origin(request: Request) -> None:
    """Refuses what another site makes a browser send: it says so (Fetch Metadata); older browsers tell the origin."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    is_own = site == "same-origin" if site is not None else origin.partition("://")[2] == request.host
    if not is_own:
        raise Denied("This form comes from another site, or from no browser: the console takes its own alone.")


def next_path(text: str | None) -> str:
    """Returns where to go on: a path of the console, whatever was asked for."""
    text = text or ""
    is_ours = text.startswith("/console/") and text.isascii() and text.isprintable()
    return text if is_ours and not set(text) & set("\\\"'<> ") and "//" not in text.partition("?")[0] else "/console/"
