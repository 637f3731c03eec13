"""What keeps a registry tidy: a repository's settings, moves, deletions, and the quotas of namespaces.

Not of the distribution specification; the paths lie under `/api/v1/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from functions.registry.oci.in_repository import InRepository
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class ChangeRepository(InRepository):
    """Its settings: the body has those that change, here and wherever something is set."""


@dataclass(frozen=True, slots=True)
class DeleteRepository(InRepository):
    """With all that it holds."""


@dataclass(frozen=True, slots=True)
class MoveRepository(InRepository):
    """Under another name, in its namespace or in another, alone or with everything below it."""


@dataclass(frozen=True, slots=True)
class DeleteTags(InRepository):
    """Many at once."""


@dataclass(frozen=True, slots=True)
class OfNamespace:
    """What the routes below share: its name. No repository need be in it yet."""

    namespace: str


@dataclass(frozen=True, slots=True)
class GetQuota(OfNamespace):
    pass


@dataclass(frozen=True, slots=True)
class SetQuota(OfNamespace):
    """In place of the one that there is."""


@dataclass(frozen=True, slots=True)
class RemoveQuota(OfNamespace):
    pass


@dataclass(frozen=True, slots=True)
class ListQuotas:
    page: Page


Upkeep = (
    ChangeRepository | DeleteRepository | MoveRepository | DeleteTags | GetQuota | SetQuota | RemoveQuota | ListQuotas
)
