"""The endpoints that issue tokens, and publish the keys that these are signed with."""

from __future__ import annotations

from typing import Final

from functions.api.endpoint import Endpoint
from functions.api.permission import Anybody
from functions.api.route import plain
from functions.api.tokens import paths, routes, token

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.TOKENS,
        route=routes.GetToken,
        parse=paths.get_token,
        handler=token.get,
        permission=Anybody(),
        action="token.issue",
    ),
    Endpoint(
        method="POST",
        path=paths.TOKENS,
        route=routes.PostToken,
        parse=plain(routes.PostToken),
        handler=token.post,
        permission=Anybody(),
        action="token.exchange",
    ),
    Endpoint(
        method="GET",
        path=paths.KEY_SET,
        route=routes.GetKeySet,
        parse=plain(routes.GetKeySet),
        handler=token.key_set,
        permission=Anybody(),
        action="key-set.get",
        needs_schema=False,
    ),
)
