"""The base of all routes, and the readers that the parsers of paths and queries share.

A route is a request as a type: it is parsed whole, and checked, before anything is touched. Every API has its own
routes in its folder's `routes.py`, and their parsers in `paths.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from functions.api.web.errors import ParameterInvalid
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page

Choice = TypeVar("Choice", bound=str)

# A repository's name in a path. It may itself contain `manifests`, `blobs`, … as parts: the last one divides, since
# this takes all that it can.
NAME: Final = r"(?P<name>.+)"


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked of the registry."""


@dataclass(frozen=True, slots=True)
class InRepository(Route):
    """A route within one repository."""

    repository: RepositoryName


@dataclass(frozen=True, slots=True)
class InNamespace(Route):
    """A route within one namespace, which need not hold a repository yet."""

    namespace: str


@dataclass(frozen=True, slots=True)
class ListMethods(Route):
    """OPTIONS of any path: what else may be asked of it."""

    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """The values of a query string, by name, in order."""

    pairs: Sequence[tuple[str, str]] = field(default=())

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


Parser = Callable[[re.Match[str], Query], Route]


def plain(route: Callable[[], Route]) -> Parser:
    """Returns the parser of a route without parameters."""
    return lambda _, __: route()


def in_repository(route: Callable[[RepositoryName], Route]) -> Parser:
    """Returns the parser of a route that has a repository's name and nothing else."""
    return lambda match, _: route(name_in(match))


def name_in(match: re.Match[str]) -> RepositoryName:
    """Reads the repository's name of a path. Raises NameInvalid."""
    return RepositoryName.parse(match["name"])


def page_of(query: Query) -> Page:
    """Reads `n` and `last`. Raises PageInvalid."""
    return Page.parse(query.get("n"), query.get("last"))


def choice_of(query: Query, name: str, choices: Sequence[Choice]) -> Choice | None:
    """Returns one of the choices, or None if the parameter isn't given. Raises ParameterInvalid."""
    text = query.get(name)
    for choice in choices:
        if text == choice:
            return choice
    if text is not None:
        raise ParameterInvalid(f"{name} must be one of {', '.join(choices)}")
    return None


def text_of(query: Query, name: str) -> str | None:
    """Reads a text to compare with: no text of ours has a NUL, and a database can't be asked for one."""
    value = query.get(name)
    return value if value is None else value.replace("\0", "\ufffd")
