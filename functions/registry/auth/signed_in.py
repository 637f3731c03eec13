"""How a sign-in ends. Needs no library: the api knows it from the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.registry.metadata.principals import Principal


class SignInRefused(Exception):
    """args[0] is for the client."""


class SignInThrottled(Exception):
    """Too many failures from there: again in `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token_seconds` is how long a token may live, None for the setting; `is_read_only` rights end at pull."""

    principal: Principal
    via: str
    token_seconds: int | None = None
    is_read_only: bool = False
    claims: Mapping[str, str] = field(default_factory=dict)
    secret_id: str | None = None
    trust_id: int | None = None
