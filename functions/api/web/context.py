"""What a handler is given beside its route: who asks, and from which address."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from functions.api.web.body import Body
from functions.registry.auth.caller import Caller
from functions.registry.metadata.content.uploads import NOBODY, Owner
from functions.registry.wiring import Services


@dataclass(frozen=True, slots=True)
class Context:
    """`via` is what the audit trail says of the way, where it is not the API itself."""

    services: Services
    request: Request
    body: Body
    caller: Caller
    address: str
    via: str = ""

    @property
    def owner(self) -> Owner:
        """Returns whose the uploads are that this request may start or go on with."""
        if self.caller.kind == "open":
            return NOBODY
        return Owner(self.caller.label, self.services.settings.uploads_per_principal)
