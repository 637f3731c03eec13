"""Users, robots and what they sign in with, for administrators. No hash is ever shown, a secret once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import access_changed
from functions.api.v1.access import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import choice, flag, nullable, number, text, texts
from functions.api.web.pages import cut, link
from functions.api.web.responses import answer, empty
from functions.api.web.rows import plain, rows
from functions.registry.auth import accounts
from functions.registry.auth.accounts import AccountRefused, NewAccount
from functions.registry.auth.secrets import LONGEST_PASSWORD
from functions.registry.metadata.access import credentials, principals, trusted_publishers
from functions.registry.metadata.access.identities import IdentityTaken
from functions.registry.metadata.access.principals import LastAdministrator, Principal, PrincipalExists
from functions.registry.metadata.access.trusted_publishers import TooManyTrustedPublishers
from functions.registry.metadata.db import Database
from functions.registry.oci.errors import Denied

_LONGEST_NAME: Final = 128
_LONGEST_URL: Final = 255
_LONGEST_SUBJECT: Final = 255
_CHANGES: Final[Mapping[str, json_body.Reader]] = {
    "disabled": flag,
    "password": nullable(text(LONGEST_PASSWORD)),
    "subject": nullable(text(_LONGEST_SUBJECT)),
}


def known(context: Context, name: str) -> Principal:
    """Raises ResourceUnknown."""
    principal = principals.get(context.services.database, name)
    if principal is None:
        raise ResourceUnknown(f"there is no user and no robot called {name}")
    return principal


def administered(context: Context, name: str) -> Principal:
    """Returns the principal, if the caller may see and change it. Raises ResourceUnknown and Denied.

    A namespace's administrator is told the same of others and of who isn't there.
    """
    if context.caller.authority.over_all:
        return known(context, name)
    principal = principals.get(context.services.database, name)
    if principal is None or not context.caller.authority.over(principal.namespace):
        raise Denied(f"you administer no robot called {name}")
    return principal


def list_principals(context: Context, route: routes.ListPrincipals) -> Response:
    found = principals.list_page(context.services.database, route.page, route.namespace)
    shown, more = cut(found, route.page.size)
    query = {"n": str(route.page.size), **({"namespace": route.namespace} if route.namespace else {})}
    headers = link("/api/v1/principals", **query, last=shown[-1].name) if more and shown else {}
    return answer({"principals": [_principal(each) for each in shown]}, headers=headers)


def add_principal(context: Context, _: routes.AddPrincipal) -> Response:
    fields = json_body.read(
        context,
        {"kind": choice(*accounts.KINDS), "name": text(_LONGEST_NAME)},
        {
            "namespace": nullable(text(_LONGEST_NAME)),
            "is_admin": flag,
            "password": nullable(text(LONGEST_PASSWORD)),
        },
    )
    account = NewAccount(**fields)
    if not context.caller.authority.over(account.namespace):
        raise Denied("an administrator of a namespace makes robots, and says of which: namespace")
    if not context.caller.authority.over_all:
        _require_own_name(account)
    try:
        made = accounts.create(context.services.database, account)
    except AccountRefused as refused:
        raise ParameterInvalid(str(refused)) from refused
    except PrincipalExists as exists:
        raise ResourceExists(str(exists)) from exists
    access_changed(context, "principal.add", made.label, made.namespace, is_admin=made.is_admin)
    return answer(_principal(made), HTTPStatus.CREATED)


def get_principal(context: Context, route: routes.GetPrincipal) -> Response:
    return answer(_principal(administered(context, route.principal)))


def change_principal(context: Context, route: routes.ChangePrincipal) -> Response:
    fields = json_body.read(context, {}, _CHANGES)
    if not fields:
        raise ParameterInvalid(f"the body has one or several of {', '.join(_CHANGES)}")
    database, principal = context.services.database, administered(context, route.principal)
    if fields.get("disabled"):
        _require_another(context, principal, "disable")
    if "password" in fields:
        try:
            accounts.set_password(database, principal, fields["password"])
        except AccountRefused as refused:
            raise ParameterInvalid(str(refused)) from refused
        access_changed(
            context, "principal.password", principal.label, principal.namespace, removed=fields["password"] is None
        )
    if "subject" in fields:
        _change_identity(context, principal, fields["subject"])
    if fields.get("disabled") is True:
        _unless_last(principals.disable, context, principal)
        access_changed(context, "principal.disable", principal.label, principal.namespace)
    elif fields.get("disabled") is False:
        principals.enable(database, principal.id)
        access_changed(context, "principal.enable", principal.label, principal.namespace)
    return answer(_principal(administered(context, route.principal)))


def delete_principal(context: Context, route: routes.DeletePrincipal) -> Response:
    principal = administered(context, route.principal)
    _require_another(context, principal, "delete")
    _unless_last(principals.delete, context, principal)
    access_changed(context, "principal.remove", principal.label, principal.namespace)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_secrets(context: Context, route: routes.ListSecrets) -> Response:
    found = credentials.list_secrets(context.services.database, administered(context, route.principal).id)
    return answer({"secrets": rows(found)})


def add_secret(context: Context, route: routes.AddSecret) -> Response:
    """Makes a secret, which is shown this once."""
    life = nullable(number(1, accounts.MOST_DAYS))
    fields = json_body.read(context, {"name": text(_LONGEST_NAME)}, {"expires_in_days": life})
    principal = administered(context, route.principal)
    services = context.services
    try:
        made = accounts.add_secret(services.database, principal, pepper=services.settings.pepper, **fields)
    except AccountRefused as refused:
        raise ResourceExists(str(refused)) from refused
    access_changed(
        context,
        "secret.add",
        principal.label,
        principal.namespace,
        id=made.id,
        name=made.name,
        expires_at=plain(made.expires_at),
    )
    shown = {"id": made.id, "name": made.name, "secret": made.text, "expires_at": plain(made.expires_at)}
    return answer(shown, HTTPStatus.CREATED)


def revoke_secret(context: Context, route: routes.RevokeSecret) -> Response:
    principal = administered(context, route.principal)
    if not credentials.revoke_secret(context.services.database, principal.id, route.secret):
        raise ResourceUnknown(f"{principal.name} has no such secret, or it is revoked already")
    access_changed(context, "secret.revoke", principal.label, principal.namespace, id=route.secret)
    return empty(HTTPStatus.NO_CONTENT, {})


def list_trusted_publishers(context: Context, route: routes.ListTrustedPublishers) -> Response:
    found = trusted_publishers.list_of(context.services.database, administered(context, route.principal).id)
    return answer(
        {"trusted_publishers": [{"id": each.id, "issuer": each.issuer, "claims": each.claims} for each in found]}
    )


def add_trusted_publisher(context: Context, route: routes.AddTrustedPublisher) -> Response:
    fields = json_body.read(context, {"issuer": text(_LONGEST_URL), "claims": texts}, {})
    principal = administered(context, route.principal)
    services = context.services
    try:
        made = accounts.add_trusted_publisher(services.database, principal, settings=services.settings, **fields)
    except AccountRefused as refused:
        raise ParameterInvalid(str(refused)) from refused
    except TooManyTrustedPublishers as many:
        raise ResourceExists(str(many)) from many
    access_changed(context, "trusted-publisher.add", principal.label, principal.namespace, id=made, **fields)
    return answer({"id": made, **fields}, HTTPStatus.CREATED)


def remove_trusted_publisher(context: Context, route: routes.RemoveTrustedPublisher) -> Response:
    principal = administered(context, route.principal)
    if not trusted_publishers.remove(context.services.database, principal.id, route.trusted_publisher):
        raise ResourceUnknown(f"{principal.name} has no such trusted publisher")
    access_changed(
        context, "trusted-publisher.remove", principal.label, principal.namespace, id=route.trusted_publisher
    )
    return empty(HTTPStatus.NO_CONTENT, {})


def _change_identity(context: Context, principal: Principal, subject: str | None) -> None:
    """Says who a user is for the console's issuer; None takes it away."""
    database = context.services.database
    try:
        accounts.set_identity(database, principal, subject, context.services.settings)
    except AccountRefused as refused:
        raise ParameterInvalid(str(refused)) from refused
    except IdentityTaken as taken:
        raise ResourceExists(str(taken)) from taken
    access_changed(context, "principal.identity", principal.label, principal.namespace, subject=subject)


def _require_own_name(account: NewAccount) -> None:
    """Robots' names are the registry's: a namespace's begin with it, so that nobody takes another one's before it."""
    if not account.name.startswith(f"{account.namespace}+"):
        raise ParameterInvalid(f"name begins with the namespace and a plus, such as {account.namespace}+ci")


def _require_another(context: Context, principal: Principal, what: str) -> None:
    """Who takes away their own rights may find nobody to give them back."""
    if principal.id == context.caller.principal_id:
        raise ResourceExists(f"nobody can {what} themselves: another administrator can")


def _unless_last(take_away: Callable[[Database, int], bool], context: Context, principal: Principal) -> None:
    try:
        take_away(context.services.database, principal.id)
    except LastAdministrator as last:
        raise ResourceExists(str(last)) from last


def _principal(principal: Principal) -> dict[str, Any]:
    [shown] = rows([principal])
    del shown["id"]
    return shown
