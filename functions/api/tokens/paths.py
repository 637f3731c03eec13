"""The paths of the token endpoint, and the parsers that make routes of them."""

from __future__ import annotations

import re
from typing import Final

from functions.api.route import Query, Route
from functions.api.tokens.routes import GetToken

TOKENS: Final = r"/token"
KEY_SET: Final = r"/\.well-known/jwks\.json"


def get_token(_: re.Match[str], query: Query) -> Route:
    return GetToken(
        service=query.get("service") or "",
        scopes=tuple(query.all("scope")),
        account=query.get("account"),
        wants_refresh=query.get("offline_token") == "true" or query.get("access_type") == "offline",
    )
