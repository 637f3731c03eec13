"""The endpoints of imports. All of them take an administrator of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator
from functions.api.route import plain
from functions.api.v1.imports import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.imports import sources
else:
    sources = Later("functions.api.v1.imports.sources")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.IMPORTS,
        route=routes.ListImports,
        parse=plain(routes.ListImports),
        handler=sources.list_imports,
        permission=Administrator(),
        action="import.list",
    ),
    Endpoint(
        method="POST",
        path=paths.IMPORTS,
        route=routes.AddImport,
        parse=plain(routes.AddImport),
        handler=sources.add,
        permission=Administrator(),
        action="import.add",
    ),
    Endpoint(
        method="GET",
        path=paths.IMPORT,
        route=routes.GetImport,
        parse=paths.of_import(routes.GetImport),
        handler=sources.get,
        permission=Administrator(),
        action="import.get",
    ),
    Endpoint(
        method="PATCH",
        path=paths.IMPORT,
        route=routes.ChangeImport,
        parse=paths.of_import(routes.ChangeImport),
        handler=sources.change,
        permission=Administrator(),
        action="import.change",
    ),
    Endpoint(
        method="DELETE",
        path=paths.IMPORT,
        route=routes.RemoveImport,
        parse=paths.of_import(routes.RemoveImport),
        handler=sources.remove,
        permission=Administrator(),
        action="import.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.REPOSITORIES,
        route=routes.ListImportedRepositories,
        parse=paths.list_repositories,
        handler=sources.list_repositories,
        permission=Administrator(),
        action="import.repositories",
    ),
    Endpoint(
        method="GET",
        path=paths.PROBLEMS,
        route=routes.ListImportProblems,
        parse=paths.list_problems,
        handler=sources.list_problems,
        permission=Administrator(),
        action="import.problems",
    ),
    Endpoint(
        method="POST",
        path=paths.EVENTS,
        route=routes.TellOfChanges,
        parse=paths.of_import(routes.TellOfChanges),
        handler=sources.tell_of_changes,
        permission=Administrator(),
        action="import.events",
    ),
    Endpoint(
        method="POST",
        path=paths.ACT,
        route=routes.ActOnImport,
        parse=paths.act,
        handler=sources.act,
        permission=Administrator(),
        action="import.act",
    ),
)
