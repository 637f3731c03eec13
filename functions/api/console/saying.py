"""What a page says after a form: it travels in the address that the browser is sent to, with a proof that the console
wrote it for this visitor. Without one, a link from anywhere could have the console say anything.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response

from functions.api.console.rendering import redirect
from functions.api.console.visitor import Visit
from functions.api.route import Query


def redirect_saying(visit: Visit, path: str, text: str) -> Response:
    """Sends the browser to `path`, whose page says the text."""
    query = urlencode({"said": text, "proof": visit.form_token(f"said {text}")})
    return redirect(f"{path}{'&' if '?' in path else '?'}{query}")


def said_in(visit: Visit, query: Query) -> str:
    """Returns what the console itself has to say; "" for nothing, or where the proof is not of this visitor."""
    text = query.get("said") or ""
    return text if visit.is_form_token(query.get("proof") or "", f"said {text}") else ""
