"""What a token is asked for (Docker's token protocol, "Token scope"): `repository:NAME:ACTION,ACTION`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from functions.registry.oci.errors import NameInvalid
from functions.registry.oci.name import RepositoryName

# A token names what it was asked for, and must fit into a header: these two bounds keep it there.
MOST_SCOPES: Final = 32
MOST_CHARACTERS: Final = 1280

# The class, as in `repository(plugin)`, is deprecated and means nothing.
_TYPE: Final = re.compile(r"(repository|registry)(?:\([a-z0-9]+\))?")
_ACTIONS: Final = frozenset({"pull", "push", "delete", "*"})
_CHANGING: Final = _ACTIONS - {"pull"}


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """`registry:catalog:*` is the only one of the type `registry`."""

    type: str
    name: str
    actions: frozenset[str]


# What a token for the catalog is asked for.
CATALOG: Final = Scope("registry", "catalog", frozenset({"*"}))


def parse_scopes(values: Sequence[str]) -> list[Scope]:
    """Returns one scope for each name, in the order of asking. Each value may hold several, divided by spaces.

    Nothing is an error: clients also send what another product's challenge said. What can't be read is dropped, and
    so are names beyond the bounds above: first those that are not pushed to, for what is pushed may be named last.
    """
    found: dict[tuple[str, str], frozenset[str]] = {}
    for scope in _read(values):
        key = (scope.type, scope.name)
        found[key] = found.get(key, frozenset()) | scope.actions
    scopes = [Scope(*key, actions) for key, actions in found.items()]
    kept = set(_within_bounds(sorted(scopes, key=lambda scope: scope.actions.isdisjoint(_CHANGING))))
    return [scope for scope in scopes if scope in kept]


def _within_bounds(scopes: Iterable[Scope]) -> Iterator[Scope]:
    characters = 0
    for number, scope in enumerate(scopes):
        characters += len(scope.name)
        if number == MOST_SCOPES or characters > MOST_CHARACTERS:
            break
        yield scope


def format_scopes(scopes: Iterable[Scope]) -> str:
    """Returns the same text for the same scopes, always: clients keep tokens by it."""
    return " ".join(f"{scope.type}:{scope.name}:{','.join(sorted(scope.actions))}" for scope in sorted(scopes))


def repositories(scopes: Iterable[Scope]) -> list[str]:
    """Returns the repositories that something is asked for in."""
    return [scope.name for scope in scopes if scope.type == "repository"]


def _read(values: Sequence[str]) -> Iterator[Scope]:
    for value in values:
        for text in value.split(" "):
            scope = _parse(text)
            if scope:
                yield scope


def _parse(text: str) -> Scope | None:
    """A name may have a colon, as in `host:5000/name`: the first and the last colon divide."""
    kind, _, rest = text.partition(":")
    name, _, asked = rest.rpartition(":")
    match = _TYPE.fullmatch(kind)
    actions = _ACTIONS.intersection(asked.split(","))
    if not match or not actions:
        return None
    if match[1] == "registry":
        return Scope("registry", "catalog", frozenset({"*"})) if (name, asked) == ("catalog", "*") else None
    try:
        return Scope("repository", RepositoryName.parse(name), actions)
    except NameInvalid:
        return None
