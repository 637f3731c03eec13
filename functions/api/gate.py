"""Who may do what: one table, one gate, passed before any handler runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, get_args

from flask import Request

from functions.api import gitlab_access
from functions.api.address import client_address
from functions.api.signing_in import with_basic
from functions.registry import telemetry
from functions.registry.auth.caller import Caller, TokenRefused
from functions.registry.auth.credentials_header import is_basic
from functions.registry.auth.scopes import Scope, format_scopes, repositories
from functions.registry.oci import activity, gitlab, insights, upkeep
from functions.registry.oci import route as routes
from functions.registry.oci.administration import Administration
from functions.registry.oci.errors import Denied, Unauthorized
from functions.registry.oci.in_repository import InRepository
from functions.registry.wiring import Services


@dataclass(frozen=True, slots=True)
class Anybody:
    """No token is asked for."""


@dataclass(frozen=True, slots=True)
class AnyToken:
    """A good token, an anonymous one too."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """A registry administrator."""


@dataclass(frozen=True, slots=True)
class NamespaceAdministrator:
    """One of the registry, or of a namespace: the handler asks the caller's authority about what it touches."""


@dataclass(frozen=True, slots=True)
class RightTo:
    """The right to do `action` in the repository that the route names."""

    action: str


@dataclass(frozen=True, slots=True)
class Scopes:
    """All that gitlab_access.py says of the route. What our own tokens can't name takes an administrator."""


Permission = Anybody | AnyToken | Administrator | NamespaceAdministrator | RightTo | Scopes

PERMISSIONS: Final[dict[type[routes.Route], Permission]] = {
    routes.CheckVersion: AnyToken(),
    routes.GetDescription: Anybody(),
    routes.GetToken: Anybody(),
    routes.PostToken: Anybody(),
    routes.GetKeySet: Anybody(),
    routes.GetCollection: Administrator(),
    routes.PreviewCollection: RightTo("pull"),
    routes.ListRepositories: AnyToken(),
    routes.ListTags: RightTo("pull"),
    routes.GetManifest: RightTo("pull"),
    routes.PutManifest: RightTo("push"),
    routes.DeleteManifest: RightTo("delete"),
    routes.GetBlob: RightTo("pull"),
    routes.HeadBlob: RightTo("pull"),
    routes.DeleteBlob: RightTo("delete"),
    routes.StartUpload: RightTo("push"),
    routes.GetUpload: RightTo("push"),
    routes.PatchUpload: RightTo("push"),
    routes.PutUpload: RightTo("push"),
    routes.DeleteUpload: RightTo("push"),
    routes.ListReferrers: RightTo("pull"),
    **dict.fromkeys(get_args(Administration), NamespaceAdministrator()),
    # A browser asks before it lets a page send a token.
    routes.ListMethods: Anybody(),
    gitlab.CheckGitLab: AnyToken(),
    gitlab.AddSlash: Anybody(),
    **dict.fromkeys(gitlab_access.SCOPES, Scopes()),
    upkeep.ChangeRepository: Administrator(),
    upkeep.MoveRepository: Administrator(),
    upkeep.DeleteRepository: RightTo("delete"),
    upkeep.DeleteTags: RightTo("delete"),
    upkeep.GetQuota: Administrator(),
    upkeep.SetQuota: Administrator(),
    upkeep.RemoveQuota: Administrator(),
    upkeep.ListQuotas: Administrator(),
    insights.SearchRepositories: AnyToken(),
    insights.GetRepository: RightTo("pull"),
    insights.SearchTags: RightTo("pull"),
    insights.GetTag: RightTo("pull"),
    insights.DescribeManifest: RightTo("pull"),
    insights.SearchNamespaces: Administrator(),
    insights.GetNamespace: NamespaceAdministrator(),
    insights.GetUsage: Administrator(),
    insights.GetRanking: NamespaceAdministrator(),
    activity.GetRepositoryDays: RightTo("pull"),
    activity.GetTagDays: RightTo("pull"),
    activity.GetManifestDays: RightTo("pull"),
    activity.GetNamespaceDays: NamespaceAdministrator(),
    activity.GetUsageDays: Administrator(),
    activity.VerifyUsage: Administrator(),
}

# What a client is told to ask for: whoever pushes also looks at what is there.
_ASKED: Final = {"pull": {"pull"}, "push": {"pull", "push"}, "delete": {"delete"}}


def admit(services: Services, request: Request, route: routes.Route) -> Caller:
    """Raises Unauthorized if a token, or a larger one, could open; Denied if none would; TooManyRequests."""
    try:
        return _admitted(services, request, route)
    except (Unauthorized, Denied):
        # Who is let in is counted by name; the others by where they are.
        services.rate_limit.take(client_address(request, services.settings.trusted_proxies))
        raise


def _admitted(services: Services, request: Request, route: routes.Route) -> Caller:
    permission = PERMISSIONS[type(route)]
    if isinstance(permission, Anybody):
        return services.guard.nobody
    scopes = _scopes(permission, route)
    try:
        caller = _caller(services, request, scopes)
    except TokenRefused as refused:
        raise Unauthorized(str(refused), _challenge(services, scopes, "invalid_token")) from refused
    if caller is None:
        raise Unauthorized("sign in first: this registry asks for a token", _challenge(services, scopes))
    telemetry.note(principal=caller.label)
    match permission:
        case Administrator() | NamespaceAdministrator():
            return _administrator(services, caller, permission)
        case RightTo(action) if isinstance(route, InRepository):
            _require(services, caller, route.repository, action, scopes)
            _require_asked(services, caller, route, scopes)
        case Scopes():
            return require_scopes(services, caller, scopes)
    return caller


def require_scopes(services: Services, caller: Caller, scopes: list[Scope]) -> Caller:
    """Raises Unauthorized and Denied."""
    if caller.kind not in {"external", "open"} and gitlab_access.takes_administrator(scopes):
        return _administrator(services, caller, Administrator())
    for scope in scopes:
        if gitlab_access.holds(caller, scope):
            continue
        if caller.kind != "external":
            _require(services, caller, scope.name, "pull", scopes)
        raise Unauthorized("this takes a larger token", _challenge(services, scopes, "insufficient_scope"))
    return caller


def _caller(services: Services, request: Request, scopes: list[Scope]) -> Caller | None:
    """By a token; what is ours alone takes Basic credentials as well, for scripts. Raises TokenRefused."""
    headers = request.headers.getlist("Authorization")
    is_ours = services.settings.access == "token" and request.path.startswith("/api/v1/")
    if is_ours and is_basic(headers):
        return services.guard.grant(with_basic(services, request, repositories(scopes)), scopes)
    return services.guard.caller(headers)


def _administrator(services: Services, caller: Caller, permission: Administrator | NamespaceAdministrator) -> Caller:
    """With what they may administer now, whatever their token says. One statement."""
    if caller.kind == "anonymous":
        raise Unauthorized("this takes an administrator", _challenge(services, []))
    authority = services.guard.authority(caller)
    if isinstance(permission, Administrator) and not authority.over_all:
        raise Denied("this takes an administrator of the registry")
    if not authority.is_some:
        raise Denied("this takes an administrator of the registry, or of a namespace")
    return replace(caller, authority=authority)


def _require(services: Services, caller: Caller, repository: str, action: str, scopes: list[Scope]) -> None:
    if caller.may(repository, action):
        return
    # A repository that is not there and one that may not be seen are answered alike.
    if caller.kind != "anonymous" and action in caller.refused.get(repository, ()):
        raise Denied(f"{caller.label} has no right to {action} in {repository}")
    raise Unauthorized(f"this takes the right to {action}", _challenge(services, scopes, "insufficient_scope"))


def _require_asked(services: Services, caller: Caller, route: InRepository, scopes: list[Scope]) -> None:
    """A mount's source that the token doesn't name can be asked for; one that it refuses makes the mount an upload."""
    if not isinstance(route, routes.StartUpload) or route.mount is None or route.source is None:
        return
    if not caller.may(route.source, "pull") and "pull" not in caller.refused.get(route.source, ()):
        reason = f"to mount from {route.source} takes the right to pull there"
        raise Unauthorized(reason, _challenge(services, scopes, "insufficient_scope"))


def _scopes(permission: Permission, route: routes.Route) -> list[Scope]:
    if isinstance(route, routes.ListRepositories | insights.SearchRepositories):
        return [Scope("registry", "catalog", frozenset({"*"}))]
    if isinstance(permission, Scopes):
        return gitlab_access.SCOPES[type(route)](route)
    if not isinstance(permission, RightTo) or not isinstance(route, InRepository):
        return []
    scopes = [Scope("repository", route.repository, frozenset(_ASKED[permission.action]))]
    if isinstance(route, routes.StartUpload) and route.source not in {None, route.repository}:
        scopes.append(Scope("repository", str(route.source), frozenset({"pull"})))
    return scopes


def _challenge(services: Services, scopes: list[Scope], error: str | None = None) -> str:
    """Docker's token protocol, "How to authenticate". The realm comes from the settings alone, never from a header."""
    settings = services.settings
    parts = {"realm": settings.token_realm, "service": settings.service}
    if scopes:
        parts["scope"] = format_scopes(scopes)
    if error:
        parts["error"] = error
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items())


if undeclared := {route for route in routes.Route.__args__ if route not in PERMISSIONS}:
    raise NotImplementedError(f"routes without a permission: {undeclared}")
