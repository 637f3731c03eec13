"""The routes of repository management: settings, moves, deletions, and the quotas of namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import InNamespace, InRepository, Route
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
class GetQuota(InNamespace):
    pass


@dataclass(frozen=True, slots=True)
class SetQuota(InNamespace):
    """In place of the one that there is."""


@dataclass(frozen=True, slots=True)
class RemoveQuota(InNamespace):
    pass


@dataclass(frozen=True, slots=True)
class ListQuotas(Route):
    page: Page
