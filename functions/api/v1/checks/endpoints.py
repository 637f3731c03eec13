"""The endpoints of checks. All of them take an administrator of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator
from functions.api.route import plain
from functions.api.v1.checks import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.checks import checks
else:
    checks = Later("functions.api.v1.checks.checks")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.CHECKS,
        route=routes.ListChecks,
        parse=paths.list_checks,
        handler=checks.list_checks,
        permission=Administrator(),
        action="check.list",
    ),
    Endpoint(
        method="POST",
        path=paths.CHECKS,
        route=routes.StartCheck,
        parse=plain(routes.StartCheck),
        handler=checks.start,
        permission=Administrator(),
        action="check.start",
    ),
    Endpoint(
        method="GET",
        path=paths.CHECK,
        route=routes.GetCheck,
        parse=paths.of_check(routes.GetCheck),
        handler=checks.get,
        permission=Administrator(),
        action="check.get",
    ),
    Endpoint(
        method="POST",
        path=paths.STOP,
        route=routes.StopCheck,
        parse=paths.of_check(routes.StopCheck),
        handler=checks.stop,
        permission=Administrator(),
        action="check.stop",
    ),
    Endpoint(
        method="POST",
        path=paths.UNDO,
        route=routes.UndoCheck,
        parse=paths.of_check(routes.UndoCheck),
        handler=checks.undo,
        permission=Administrator(),
        action="check.undo",
    ),
    Endpoint(
        method="GET",
        path=paths.FINDINGS,
        route=routes.ListFindings,
        parse=paths.list_findings,
        handler=checks.list_findings,
        permission=Administrator(),
        action="check.findings",
    ),
)
