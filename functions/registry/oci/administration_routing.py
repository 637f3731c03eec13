"""From the paths of the administration to its routes (administration.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from functions.registry.oci.administration import (
    AddGrant,
    AddPrincipal,
    AddRule,
    AddSecret,
    AddTrust,
    Administration,
    ChangePrincipal,
    DeletePrincipal,
    GetPrincipal,
    ListAudit,
    ListGrants,
    ListPrincipals,
    ListRules,
    ListSecrets,
    ListTrusts,
    RemoveGrant,
    RemoveRule,
    RemoveTrust,
    RevokeSecret,
)
from functions.registry.oci.errors import ParameterInvalid, ResourceUnknown
from functions.registry.oci.page import Page
from functions.registry.oci.route import Query

OUTCOMES: Final = ("success", "denied", "error")

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


def _revoke_secret(match: re.Match[str], _: Query) -> Administration:
    if not _SECRET.fullmatch(match["secret"]):
        raise ResourceUnknown("no such secret")
    return RevokeSecret(_principal(match), match["secret"])


def _text(query: Query, name: str) -> str | None:
    """As in a page's `last`: no text of ours has a NUL, and a database can't be asked for one."""
    value = query.get(name)
    return value if value is None else value.replace("\0", "\ufffd")


def _page(query: Query) -> Page:
    return Page.parse(query.get("n"), query.get("last"))


def _list_audit(_: re.Match[str], query: Query) -> Administration:
    before, outcome = query.get("before"), query.get("outcome")
    if before is not None and not _NUMBER.fullmatch(before):
        raise ParameterInvalid("before takes the id of an entry")
    if outcome not in {None, *OUTCOMES}:
        raise ParameterInvalid(f"outcome takes one of {', '.join(OUTCOMES)}")
    return ListAudit(
        size=Page.parse(query.get("n"), None).size,
        principal=_text(query, "principal"),
        resource=_text(query, "resource"),
        action=_text(query, "action"),
        outcome=outcome,
        namespace=_text(query, "namespace"),
        before=None if before is None else int(before),
    )


Parser = Callable[[re.Match[str], Query], Administration]
ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser]]]] = (
    (
        re.compile(r"/api/v1/principals"),
        {
            "GET": lambda _, query: ListPrincipals(_page(query), _text(query, "namespace")),
            "POST": lambda _, __: AddPrincipal(),
        },
    ),
    (
        re.compile(r"/api/v1/principals/(?P<principal>[^/]+)"),
        {
            "GET": lambda match, _: GetPrincipal(_principal(match)),
            "PATCH": lambda match, _: ChangePrincipal(_principal(match)),
            "DELETE": lambda match, _: DeletePrincipal(_principal(match)),
        },
    ),
    (
        re.compile(r"/api/v1/principals/(?P<principal>[^/]+)/secrets"),
        {
            "GET": lambda match, _: ListSecrets(_principal(match)),
            "POST": lambda match, _: AddSecret(_principal(match)),
        },
    ),
    (re.compile(r"/api/v1/principals/(?P<principal>[^/]+)/secrets/(?P<secret>[^/]+)"), {"DELETE": _revoke_secret}),
    (
        re.compile(r"/api/v1/principals/(?P<principal>[^/]+)/trusts"),
        {
            "GET": lambda match, _: ListTrusts(_principal(match)),
            "POST": lambda match, _: AddTrust(_principal(match)),
        },
    ),
    (
        re.compile(r"/api/v1/principals/(?P<principal>[^/]+)/trusts/(?P<trust>[^/]+)"),
        {"DELETE": lambda match, _: RemoveTrust(_principal(match), _number(match, "trust"))},
    ),
    (
        re.compile(r"/api/v1/grants"),
        {
            "GET": lambda _, query: ListGrants(_page(query), _text(query, "principal"), _text(query, "namespace")),
            "POST": lambda _, __: AddGrant(),
        },
    ),
    (
        re.compile(r"/api/v1/grants/(?P<grant>[^/]+)"),
        {"DELETE": lambda match, _: RemoveGrant(_number(match, "grant"))},
    ),
    (
        re.compile(r"/api/v1/rules"),
        {"GET": lambda _, query: ListRules(_text(query, "namespace")), "POST": lambda _, __: AddRule()},
    ),
    (
        re.compile(r"/api/v1/rules/(?P<rule>[^/]+)"),
        {"DELETE": lambda match, _: RemoveRule(_number(match, "rule"))},
    ),
    (re.compile(r"/api/v1/audit"), {"GET": _list_audit}),
)
