"""Whether a caller may use an endpoint: one gate, passed before any handler runs. It asks each row's permission."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from flask import Request

from functions.api.basic_auth import with_basic
from functions.api.endpoint import Endpoint
from functions.api.permission import (
    Administrator,
    AdministratorOf,
    Anybody,
    AnyToken,
    Permission,
    RightTo,
    Scopes,
    SomeAdministrator,
)
from functions.api.route import InRepository, Route
from functions.api.web.address import client_address
from functions.registry import telemetry
from functions.registry.auth.caller import Caller, TokenRefused
from functions.registry.auth.credentials_header import is_basic
from functions.registry.auth.scopes import Scope, format_scopes, repositories
from functions.registry.metadata.access.grants import NOBODY
from functions.registry.oci.errors import Denied, Unauthorized
from functions.registry.wiring import Services

# What a client is told to ask for: whoever pushes also looks at what is there.
_ASKED: Final = {"pull": {"pull"}, "push": {"pull", "push"}, "delete": {"delete"}}


def admit(services: Services, request: Request, endpoint: Endpoint, route: Route) -> Caller:
    """Raises Unauthorized if a token, or a larger one, could open; Denied if none would; TooManyRequests."""
    try:
        return _admitted(services, request, endpoint.permission, route)
    except (Unauthorized, Denied):
        # Who is let in is counted by name; the others by where they are.
        services.rate_limit.take(client_address(request, services.settings.trusted_proxies))
        raise


def _admitted(services: Services, request: Request, permission: Permission, route: Route) -> Caller:
    if isinstance(permission, Anybody):
        return services.guard.nobody
    scopes = asked_by(permission, route)
    try:
        caller = _caller(services, request, scopes)
    except TokenRefused as refused:
        raise Unauthorized(str(refused), _challenge(services, scopes, "invalid_token")) from refused
    if caller is None:
        raise Unauthorized("sign in first: this registry asks for a token", _challenge(services, scopes))
    telemetry.note(principal=caller.label)
    return permitted(services, caller, permission, route)


def permitted(services: Services, caller: Caller, permission: Permission, route: Route) -> Caller:
    """Returns the caller, with what it may administer where that is asked. Raises Unauthorized and Denied."""
    scopes = asked_by(permission, route)
    match permission:
        case Administrator() | SomeAdministrator() | AdministratorOf():
            return _administrator(services, caller, permission, route)
        case AnyToken() if permission.is_of_somebody and caller.kind == "anonymous":
            raise Unauthorized("sign in first: nobody in particular asks", _challenge(services, scopes))
        case RightTo() if isinstance(route, InRepository):
            _require(services, caller, route.repository, permission.action, scopes)
            _require_mentioned(services, caller, permission.source(route), scopes)
        case Scopes():
            return require_scopes(services, caller, scopes)
    return caller


def require_scopes(services: Services, caller: Caller, scopes: list[Scope]) -> Caller:
    """Raises Unauthorized and Denied."""
    if caller.kind not in {"external", "open"} and _takes_administrator(scopes):
        return _with_authority(services, caller, over_all=True)
    for scope in scopes:
        if _holds(caller, scope):
            continue
        if caller.kind != "external":
            _require(services, caller, scope.name, "pull", scopes)
        raise Unauthorized("a larger token is needed", _challenge(services, scopes, "insufficient_scope"))
    return caller


def _caller(services: Services, request: Request, scopes: list[Scope]) -> Caller | None:
    """Says who a token is; what is ours alone takes Basic credentials as well, for scripts. Raises TokenRefused."""
    # Of several the server makes one.
    header = request.headers.get("Authorization")
    headers = [] if header is None else [header]
    is_ours = services.settings.access == "token" and request.path.startswith("/api/v1/")
    if is_ours and is_basic(headers):
        return services.guard.grant(with_basic(services, request, repositories(scopes)), scopes)
    return services.guard.caller(headers)


def _administrator(services: Services, caller: Caller, permission: Permission, route: Route) -> Caller:
    """Raises Unauthorized for nobody, and Denied for who is no administrator, or not of the route's namespace."""
    caller = _with_authority(services, caller, over_all=isinstance(permission, Administrator))
    if isinstance(permission, AdministratorOf) and not caller.authority.over(permission.namespace(route)):
        raise Denied("name a namespace that you administer: ?namespace=NAME")
    return caller


def _with_authority(services: Services, caller: Caller, *, over_all: bool) -> Caller:
    """Adds what the caller may administer now, whatever the token says. It takes one statement."""
    if caller.kind == "anonymous":
        raise Unauthorized("an administrator is needed", _challenge(services, []))
    authority = services.guard.authority(caller)
    if over_all and not authority.over_all:
        raise Denied("an administrator of the registry is needed")
    if not authority.is_some:
        raise Denied("an administrator of the registry or of a namespace is needed")
    return replace(caller, authority=authority)


def _require(services: Services, caller: Caller, repository: str, action: str, scopes: list[Scope]) -> None:
    if caller.may(repository, action):
        return
    # A repository that is not there and one that may not be seen are answered alike.
    if caller.kind != "anonymous" and action in caller.refused.get(repository, ()):
        raise Denied(f"{caller.label} has no right to {action} in {repository}")
    raise Unauthorized(f"the right to {action} is needed", _challenge(services, scopes, "insufficient_scope"))


def _require_mentioned(services: Services, caller: Caller, source: str | None, scopes: list[Scope]) -> None:
    """A mount's source that the token doesn't name can be asked for; one that it refuses makes the mount an upload."""
    if source is not None and not caller.may(source, "pull") and "pull" not in caller.refused.get(source, ()):
        reason = f"mounting from {source} needs the right to pull there"
        raise Unauthorized(reason, _challenge(services, scopes, "insufficient_scope"))


def asked_by(permission: Permission, route: Route) -> list[Scope]:
    """Returns what a token has to grant."""
    match permission:
        case AnyToken(scopes=scopes):
            return list(scopes)
        case Scopes(of=of):
            return of(route)
        case RightTo() if isinstance(route, InRepository):
            scope = Scope("repository", route.repository, frozenset(_ASKED[permission.action]))
            source = permission.source(route)
            return [scope, *([Scope("repository", source, frozenset({"pull"}))] if source else [])]
    return []


def visible_to(caller: Caller) -> int | None:
    """Returns the principal whose grants decide which repositories a list shows; None where all may be seen."""
    if caller.is_admin:
        return None
    if caller.kind == "external":
        # Another issuer knows no grants of ours: it gives the catalog as a whole, or not at all.
        if not caller.catalog:
            raise Denied("the token has no right to the catalog")
        return None
    return caller.principal_id or NOBODY


def _holds(caller: Caller, scope: Scope) -> bool:
    if scope.type == "registry":
        return caller.kind == "open" or scope.name in caller.registry
    return all(caller.may(scope.name, action) for action in scope.actions)


def _takes_administrator(scopes: list[Scope]) -> bool:
    """Says whether our own tokens can't name the permission: then the role of who holds them decides."""
    return any(scope.type == "registry" or scope.name.endswith("/*") for scope in scopes)


def _challenge(services: Services, scopes: list[Scope], error: str | None = None) -> str:
    """Returns the challenge of Docker's token protocol, "How to authenticate". The realm comes from the settings alone,
    never from a header.
    """
    settings = services.settings
    parts = {"realm": settings.token_realm, "service": settings.service}
    if scopes:
        parts["scope"] = format_scopes(scopes)
    if error:
        parts["error"] = error
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items())
