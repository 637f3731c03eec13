"""The scopes that a token needs for GitLab's API. `NAME/*` is a resource of that very name, not a pattern."""

from __future__ import annotations

from typing import Final

from functions.api.gitlab.routes import GetDetails, GetTagDetails, ListBelow, ListTagDetails, RenameRepository
from functions.api.route import Route
from functions.registry.auth.scopes import Scope
from functions.registry.oci.name import RepositoryName

_PULL: Final = frozenset({"pull"})
_PUSH: Final = frozenset({"push"})
_ALL: Final = frozenset({"*"})


def of_statistics(_: Route) -> list[Scope]:
    return [Scope("registry", "statistics", _ALL)]


def of_migrations(_: Route) -> list[Scope]:
    return [Scope("registry", "background-migrations", _ALL)]


def of_details(route: GetDetails) -> list[Scope]:
    with_below = route.extent == "self_with_descendants"
    return [_in(route.repository), *([_below(route.repository)] if with_below else [])]


def of_rename(route: RenameRepository) -> list[Scope]:
    return [Scope("repository", route.repository, _PULL | _PUSH), _below(route.repository)]


def of_list_below(route: ListBelow) -> list[Scope]:
    return [_in(route.repository), _below(route.repository)]


def of_tags(route: ListTagDetails | GetTagDetails) -> list[Scope]:
    return [_in(route.repository)]


def of_parent(namespace: RepositoryName) -> Scope:
    """Returns what it takes to move something there; the namespace is in the body, so that the handler has to ask."""
    return Scope("repository", f"{namespace}/*", _PUSH)


def _in(repository: RepositoryName) -> Scope:
    return Scope("repository", repository, _PULL)


def _below(repository: RepositoryName) -> Scope:
    return Scope("repository", f"{repository}/*", _PULL)
