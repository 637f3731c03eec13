"""What an endpoint asks of its caller: each row of the endpoints' table has one of these, and gate.py asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from functions.registry.auth.scopes import Scope


@dataclass(frozen=True, slots=True)
class Anybody:
    """No token is asked for."""


@dataclass(frozen=True, slots=True)
class AnyToken:
    """A valid token is asked for, which may be an anonymous one unless it has to be somebody's.

    `scopes` are what a client is told to ask for.
    """

    scopes: tuple[Scope, ...] = ()
    is_of_somebody: bool = False


@dataclass(frozen=True, slots=True)
class Administrator:
    """A registry administrator is asked for."""


@dataclass(frozen=True, slots=True)
class SomeAdministrator:
    """An administrator of the registry or of any namespace is asked for.

    What is touched is known from the body or the database alone, so the handler asks the caller's authority over it.
    """


def _namespace(route: Any) -> str | None:
    namespace: str | None = route.namespace
    return namespace


@dataclass(frozen=True, slots=True)
class AdministratorOf:
    """An administrator of the route's namespace is asked for; where that is None, one of the whole registry."""

    namespace: Callable[[Any], str | None] = _namespace


@dataclass(frozen=True, slots=True)
class RightTo:
    """The right to do `action` in the route's repository is asked for.

    `source` gives a repository that the route reads from as well. A token that doesn't mention it has to be replaced by
    a larger one; whether one that does mention it may pull there is the handler's question.
    """

    action: Literal["pull", "push", "delete"]
    source: Callable[[Any], str | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Scopes:
    """A token with these scopes is asked for; one of our own issuer can't have them all: then a role decides."""

    of: Callable[[Any], list[Scope]]


Permission = Anybody | AnyToken | Administrator | SomeAdministrator | AdministratorOf | RightTo | Scopes
