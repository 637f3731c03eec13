"""Which scopes a token needs for GitLab's API. `NAME/*` is a resource of that very name, not a pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from functions.registry.auth.caller import Caller
from functions.registry.auth.scopes import Scope
from functions.registry.oci import gitlab
from functions.registry.oci.name import RepositoryName

_PULL: Final = frozenset({"pull"})
_PUSH: Final = frozenset({"push"})


def _in(repository: RepositoryName) -> Scope:
    return Scope("repository", repository, _PULL)


def _below(repository: RepositoryName) -> Scope:
    return Scope("repository", f"{repository}/*", _PULL)


def _of_details(route: gitlab.GetDetails) -> list[Scope]:
    with_below = route.extent == "self_with_descendants"
    return [_in(route.repository), *([_below(route.repository)] if with_below else [])]


def of_parent(namespace: RepositoryName) -> Scope:
    """To move something there; the namespace is in the body, so that the handler has to ask."""
    return Scope("repository", f"{namespace}/*", _PUSH)


SCOPES: Final[Mapping[type[Any], Callable[[Any], list[Scope]]]] = {
    gitlab.GetStatistics: lambda _: [Scope("registry", "statistics", frozenset({"*"}))],
    **dict.fromkeys(
        (
            gitlab.ListMigrations,
            gitlab.GetMigration,
            gitlab.PauseMigrations,
            gitlab.ResumeMigrations,
            gitlab.RestartMigration,
        ),
        lambda _: [Scope("registry", "background-migrations", frozenset({"*"}))],
    ),
    gitlab.GetDetails: _of_details,
    gitlab.RenameRepository: lambda route: [
        Scope("repository", route.repository, _PULL | _PUSH),
        _below(route.repository),
    ],
    gitlab.ListBelow: lambda route: [_in(route.repository), _below(route.repository)],
    gitlab.ListTagDetails: lambda route: [_in(route.repository)],
    gitlab.GetTagDetails: lambda route: [_in(route.repository)],
}


def holds(caller: Caller, scope: Scope) -> bool:
    if scope.type == "registry":
        return caller.kind == "open" or scope.name in caller.registry
    return all(caller.may(scope.name, action) for action in scope.actions)


def takes_administrator(scopes: list[Scope]) -> bool:
    """Whether our own tokens can't name it: then their holder's role decides."""
    return any(scope.type == "registry" or scope.name.endswith("/*") for scope in scopes)
