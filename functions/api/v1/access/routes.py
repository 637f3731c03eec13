"""The routes of access control: principals, secrets, trusted publishers, grants, rules, the trail; who may what."""

from __future__ import annotations

from dataclasses import dataclass

from functions.api.route import InRepository, Route
from functions.registry.metadata.access.audit import Outcome
from functions.registry.oci.name import Tag
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class ListPrincipals(Route):
    page: Page
    namespace: str | None


@dataclass(frozen=True, slots=True)
class AddPrincipal(Route):
    """The body has the rest, here and wherever something is added or changed."""


@dataclass(frozen=True, slots=True)
class OfPrincipal(Route):
    """What the routes below share: a user's or a robot's name."""

    principal: str


@dataclass(frozen=True, slots=True)
class GetPrincipal(OfPrincipal):
    pass


@dataclass(frozen=True, slots=True)
class ChangePrincipal(OfPrincipal):
    """To disable it, to enable it, to set a user's password."""


@dataclass(frozen=True, slots=True)
class DeletePrincipal(OfPrincipal):
    """With all that it has."""


@dataclass(frozen=True, slots=True)
class ListSecrets(OfPrincipal):
    pass


@dataclass(frozen=True, slots=True)
class AddSecret(OfPrincipal):
    pass


@dataclass(frozen=True, slots=True)
class RevokeSecret(OfPrincipal):
    secret: str


@dataclass(frozen=True, slots=True)
class ListTrustedPublishers(OfPrincipal):
    pass


@dataclass(frozen=True, slots=True)
class AddTrustedPublisher(OfPrincipal):
    pass


@dataclass(frozen=True, slots=True)
class RemoveTrustedPublisher(OfPrincipal):
    trusted_publisher: int


@dataclass(frozen=True, slots=True)
class ListGrants(Route):
    page: Page
    principal: str | None
    namespace: str | None


@dataclass(frozen=True, slots=True)
class AddGrant(Route):
    pass


@dataclass(frozen=True, slots=True)
class RemoveGrant(Route):
    grant: int


@dataclass(frozen=True, slots=True)
class ListRules(Route):
    namespace: str | None


@dataclass(frozen=True, slots=True)
class AddRule(Route):
    pass


@dataclass(frozen=True, slots=True)
class RemoveRule(Route):
    rule: int


@dataclass(frozen=True, slots=True)
class ListAudit(Route):
    """The latest first; what is None is not asked for. `before` is an entry's id."""

    size: int
    principal: str | None = None
    resource: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    namespace: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class AddConsoleLink(Route):
    """To sign in to the console, in a browser, as who asks."""


@dataclass(frozen=True, slots=True)
class GetCaller(Route):
    """Who asks."""


@dataclass(frozen=True, slots=True)
class Explain(InRepository):
    """Whether somebody may do something. `principal` is None for anyone, `tag` for the repository as a whole."""

    action: str
    principal: str | None
    tag: Tag | None
