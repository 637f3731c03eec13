"""The endpoints of access control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import AdministratorOf, AnyToken, SomeAdministrator
from functions.api.route import plain
from functions.api.v1.access import paths, routes
from functions.registry.auth.scopes import CATALOG

if TYPE_CHECKING:
    from functions.api.v1.access import console_links, explaining, grants_and_rules, principals
else:
    console_links = Later("functions.api.v1.access.console_links")
    explaining = Later("functions.api.v1.access.explaining")
    grants_and_rules = Later("functions.api.v1.access.grants_and_rules")
    principals = Later("functions.api.v1.access.principals")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.PRINCIPALS,
        route=routes.ListPrincipals,
        parse=paths.list_principals,
        handler=principals.list_principals,
        permission=AdministratorOf(),
        action="principal.list",
    ),
    Endpoint(
        method="POST",
        path=paths.PRINCIPALS,
        route=routes.AddPrincipal,
        parse=plain(routes.AddPrincipal),
        handler=principals.add_principal,
        permission=SomeAdministrator(),
        action="principal.add",
    ),
    Endpoint(
        method="GET",
        path=paths.PRINCIPAL,
        route=routes.GetPrincipal,
        parse=paths.of_principal(routes.GetPrincipal),
        handler=principals.get_principal,
        permission=SomeAdministrator(),
        action="principal.get",
    ),
    Endpoint(
        method="PATCH",
        path=paths.PRINCIPAL,
        route=routes.ChangePrincipal,
        parse=paths.of_principal(routes.ChangePrincipal),
        handler=principals.change_principal,
        permission=SomeAdministrator(),
        action="principal.change",
    ),
    Endpoint(
        method="DELETE",
        path=paths.PRINCIPAL,
        route=routes.DeletePrincipal,
        parse=paths.of_principal(routes.DeletePrincipal),
        handler=principals.delete_principal,
        permission=SomeAdministrator(),
        action="principal.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.SECRETS,
        route=routes.ListSecrets,
        parse=paths.of_principal(routes.ListSecrets),
        handler=principals.list_secrets,
        permission=SomeAdministrator(),
        action="secret.list",
    ),
    Endpoint(
        method="POST",
        path=paths.SECRETS,
        route=routes.AddSecret,
        parse=paths.of_principal(routes.AddSecret),
        handler=principals.add_secret,
        permission=SomeAdministrator(),
        action="secret.add",
    ),
    Endpoint(
        method="DELETE",
        path=paths.SECRET,
        route=routes.RevokeSecret,
        parse=paths.revoke_secret,
        handler=principals.revoke_secret,
        permission=SomeAdministrator(),
        action="secret.revoke",
    ),
    Endpoint(
        method="GET",
        path=paths.TRUSTED_PUBLISHERS,
        route=routes.ListTrustedPublishers,
        parse=paths.of_principal(routes.ListTrustedPublishers),
        handler=principals.list_trusted_publishers,
        permission=SomeAdministrator(),
        action="trusted-publisher.list",
    ),
    Endpoint(
        method="POST",
        path=paths.TRUSTED_PUBLISHERS,
        route=routes.AddTrustedPublisher,
        parse=paths.of_principal(routes.AddTrustedPublisher),
        handler=principals.add_trusted_publisher,
        permission=SomeAdministrator(),
        action="trusted-publisher.add",
    ),
    Endpoint(
        method="DELETE",
        path=paths.TRUSTED_PUBLISHER,
        route=routes.RemoveTrustedPublisher,
        parse=paths.remove_trusted_publisher,
        handler=principals.remove_trusted_publisher,
        permission=SomeAdministrator(),
        action="trusted-publisher.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.GRANTS,
        route=routes.ListGrants,
        parse=paths.list_grants,
        handler=grants_and_rules.list_grants,
        permission=AdministratorOf(),
        action="grant.list",
    ),
    Endpoint(
        method="POST",
        path=paths.GRANTS,
        route=routes.AddGrant,
        parse=plain(routes.AddGrant),
        handler=grants_and_rules.add_grant,
        permission=SomeAdministrator(),
        action="grant.add",
    ),
    Endpoint(
        method="DELETE",
        path=paths.GRANT,
        route=routes.RemoveGrant,
        parse=paths.remove_grant,
        handler=grants_and_rules.remove_grant,
        permission=SomeAdministrator(),
        action="grant.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.RULES,
        route=routes.ListRules,
        parse=paths.list_rules,
        handler=grants_and_rules.list_rules,
        permission=AdministratorOf(),
        action="rule.list",
    ),
    Endpoint(
        method="POST",
        path=paths.RULES,
        route=routes.AddRule,
        parse=plain(routes.AddRule),
        handler=grants_and_rules.add_rule,
        permission=SomeAdministrator(),
        action="rule.add",
    ),
    Endpoint(
        method="DELETE",
        path=paths.RULE,
        route=routes.RemoveRule,
        parse=paths.remove_rule,
        handler=grants_and_rules.remove_rule,
        permission=SomeAdministrator(),
        action="rule.remove",
    ),
    Endpoint(
        method="GET",
        path=paths.AUDIT,
        route=routes.ListAudit,
        parse=paths.list_audit,
        handler=grants_and_rules.list_audit,
        permission=AdministratorOf(),
        action="audit.list",
    ),
    Endpoint(
        method="GET",
        path=paths.CALLER,
        route=routes.GetCaller,
        parse=plain(routes.GetCaller),
        handler=explaining.get_caller,
        permission=AnyToken(),
        action="caller.get",
    ),
    Endpoint(
        method="GET",
        path=paths.EXPLAIN,
        route=routes.Explain,
        parse=paths.explain,
        handler=explaining.explain,
        permission=SomeAdministrator(),
        action="access.explain",
    ),
    Endpoint(
        method="POST",
        path=paths.CONSOLE_LINKS,
        route=routes.AddConsoleLink,
        parse=plain(routes.AddConsoleLink),
        handler=console_links.add,
        permission=AnyToken((CATALOG,), is_of_somebody=True),
        action="console.link",
    ),
)
