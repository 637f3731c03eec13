"""The routes of repository management: settings, moves, deletions, and the quotas of namespaces."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import InNamespace, InRepository, Route
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class ChangeRepository(InRepository):
    """The repository's settings change: the body has those that do, here and wherever something is set."""


@dataclass(frozen=True, slots=True)
class ChangeNamespace(InNamespace):
    """How long what is deleted in its repositories can be put back changes."""


@dataclass(frozen=True, slots=True)
class DeleteRepository(InRepository):
    """The repository goes with all that it holds."""


@dataclass(frozen=True, slots=True)
class MoveRepository(InRepository):
    """The repository gets another name, in its namespace or in another, alone or with everything below it."""


@dataclass(frozen=True, slots=True)
class DeleteTags(InRepository):
    """Many tags go at once."""


@dataclass(frozen=True, slots=True)
class GetQuota(InNamespace):
    pass


@dataclass(frozen=True, slots=True)
class SetQuota(InNamespace):
    """The namespace gets this quota in place of the one that it has."""


@dataclass(frozen=True, slots=True)
class RemoveQuota(InNamespace):
    pass


@dataclass(frozen=True, slots=True)
class ListQuotas(Route):
    page: Page
