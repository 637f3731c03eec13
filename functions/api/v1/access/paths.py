"""The paths of access control, and the parsers that make routes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from functions.api.route import Parser, Query, Route, choice_of, page_of, text_of
from functions.api.v1.access.routes import (
    Explain,
    ListAudit,
    ListGrants,
    ListPrincipals,
    ListRules,
    RemoveGrant,
    RemoveRule,
    RemoveTrustedPublisher,
    RevokeSecret,
)
from functions.api.web.errors import ParameterInvalid, ResourceUnknown
from functions.registry.metadata.access.audit import OUTCOMES
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page

PRINCIPALS: Final = r"/api/v1/principals"
PRINCIPAL: Final = r"/api/v1/principals/(?P<principal>[^/]+)"
SECRETS: Final = rf"{PRINCIPAL}/secrets"
SECRET: Final = rf"{PRINCIPAL}/secrets/(?P<secret>[^/]+)"
TRUSTED_PUBLISHERS: Final = rf"{PRINCIPAL}/trusted_publishers"
TRUSTED_PUBLISHER: Final = rf"{PRINCIPAL}/trusted_publishers/(?P<trusted_publisher>[^/]+)"
GRANTS: Final = r"/api/v1/grants"
GRANT: Final = r"/api/v1/grants/(?P<grant>[^/]+)"
RULES: Final = r"/api/v1/rules"
RULE: Final = r"/api/v1/rules/(?P<rule>[^/]+)"
AUDIT: Final = r"/api/v1/audit"
CALLER: Final = r"/api/v1/whoami"
EXPLAIN: Final = r"/api/v1/explain"
CONSOLE_LINKS: Final = r"/api/v1/console/links"

ACTIONS: Final = ("pull", "push", "delete")

# More digits than the database's numbers have, or another character, is nobody's.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_NAME: Final = re.compile(r"[a-z0-9._@+-]{1,128}")
_SECRET: Final = re.compile(r"[a-z0-9]{1,32}")


def _number(match: re.Match[str], name: str) -> int:
    if not _NUMBER.fullmatch(match[name]):
        raise ResourceUnknown(f"no such {name}")
    return int(match[name])


def _principal(match: re.Match[str]) -> str:
    if not _NAME.fullmatch(match["principal"]):
        raise ResourceUnknown("no such principal")
    return match["principal"]


def revoke_secret(match: re.Match[str], _: Query) -> Route:
    if not _SECRET.fullmatch(match["secret"]):
        raise ResourceUnknown("no such secret")
    return RevokeSecret(_principal(match), match["secret"])


def list_audit(_: re.Match[str], query: Query) -> Route:
    before = query.get("before")
    if before is not None and not _NUMBER.fullmatch(before):
        raise ParameterInvalid("before must be the id of an entry")
    return ListAudit(
        size=Page.parse(query.get("n"), None).size,
        principal=text_of(query, "principal"),
        resource=text_of(query, "resource"),
        action=text_of(query, "action"),
        outcome=choice_of(query, "outcome", OUTCOMES),
        namespace=text_of(query, "namespace"),
        before=None if before is None else int(before),
    )


def list_principals(_: re.Match[str], query: Query) -> Route:
    return ListPrincipals(page_of(query), text_of(query, "namespace"))


def of_principal(route: Callable[[str], Route]) -> Parser:
    """Returns the parser of a route that has a principal's name and nothing else."""
    return lambda match, _: route(_principal(match))


def remove_trusted_publisher(match: re.Match[str], _: Query) -> Route:
    return RemoveTrustedPublisher(_principal(match), _number(match, "trusted_publisher"))


def list_grants(_: re.Match[str], query: Query) -> Route:
    return ListGrants(page_of(query), text_of(query, "principal"), text_of(query, "namespace"))


def remove_grant(match: re.Match[str], _: Query) -> Route:
    return RemoveGrant(_number(match, "grant"))


def list_rules(_: re.Match[str], query: Query) -> Route:
    return ListRules(text_of(query, "namespace"))


def remove_rule(match: re.Match[str], _: Query) -> Route:
    return RemoveRule(_number(match, "rule"))


def explain(_: re.Match[str], query: Query) -> Route:
    action, repository = choice_of(query, "action", ACTIONS), query.get("repository")
    principal, tag = text_of(query, "principal"), query.get("tag")
    if action is None:
        raise ParameterInvalid("action is missing")
    if repository is None:
        raise ParameterInvalid("repository is missing")
    return Explain(RepositoryName.parse(repository), action, principal, None if tag is None else Tag.parse(tag))
