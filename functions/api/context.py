"""What a handler is given beside its route."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request

from functions.api.body import Body
from functions.registry.wiring import Services


@dataclass(frozen=True, slots=True)
class Context:
    services: Services
    request: Request
    body: Body
