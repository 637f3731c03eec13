"""From the paths of the upkeep to its routes (upkeep.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from functions.registry.oci.errors import NameInvalid, ParameterInvalid
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import Page
from functions.registry.oci.route import Query
from functions.registry.oci.upkeep import (
    ChangeRepository,
    DeleteRepository,
    DeleteTags,
    GetQuota,
    ListQuotas,
    MoveRepository,
    RemoveQuota,
    SetQuota,
    Upkeep,
)


def parse_namespace(text: str) -> str:
    """A repository's name of one part. Raises ParameterInvalid."""
    try:
        name = RepositoryName.parse(text)
    except NameInvalid as invalid:
        raise ParameterInvalid(f"namespace takes {invalid.reason}") from invalid
    if name.namespace != name:
        raise ParameterInvalid("namespace takes the first part of a repository's name, without a slash")
    return str(name)


def _namespace(match: re.Match[str]) -> str:
    return parse_namespace(match["namespace"])


def _name(match: re.Match[str]) -> RepositoryName:
    return RepositoryName.parse(match["name"])


Parser = Callable[[re.Match[str], Query], Upkeep]
ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser]]]] = (
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/move"),
        {"POST": lambda match, _: MoveRepository(_name(match))},
    ),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/delete-tags"),
        {"POST": lambda match, _: DeleteTags(_name(match))},
    ),
    (
        re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/quota"),
        {
            "GET": lambda match, _: GetQuota(_namespace(match)),
            "PUT": lambda match, _: SetQuota(_namespace(match)),
            "DELETE": lambda match, _: RemoveQuota(_namespace(match)),
        },
    ),
    (
        re.compile(r"/api/v1/quotas"),
        {"GET": lambda _, query: ListQuotas(Page.parse(query.get("n"), query.get("last")))},
    ),
)
# Of the path that is a repository's own: other routes share it.
OF_REPOSITORY: Final[Mapping[str, Parser]] = {
    "PATCH": lambda match, _: ChangeRepository(_name(match)),
    "DELETE": lambda match, _: DeleteRepository(_name(match)),
}
