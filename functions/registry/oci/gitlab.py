"""What GitLab asks of a registry beside the distribution specification; the paths lie under `/gitlab/v1/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.registry.oci.name import RepositoryName

Extent = Literal["", "self", "self_with_descendants"]


@dataclass(frozen=True, slots=True)
class CheckGitLab:
    """Is GitLab's API here? Whatever is answered beside 2xx and 401 means that it isn't."""


@dataclass(frozen=True, slots=True)
class AddSlash:
    """All paths of this API end in one."""

    path: str


@dataclass(frozen=True, slots=True)
class GetStatistics:
    """What the registry is, and what it can do."""


@dataclass(frozen=True, slots=True)
class ListMigrations:
    """Those that a deployment leaves for later: the post line of the schema."""


@dataclass(frozen=True, slots=True)
class GetMigration:
    """By its number in the line, from 1."""

    id: int


@dataclass(frozen=True, slots=True)
class PauseMigrations:
    """None runs beside the registry's work, so there is never one to pause."""


@dataclass(frozen=True, slots=True)
class ResumeMigrations:
    """None is ever paused."""


@dataclass(frozen=True, slots=True)
class RestartMigration:
    """None is ever left to be: the deployment runs one that failed again."""

    id: int


@dataclass(frozen=True, slots=True)
class GetDetails:
    """`repository` may also be a name that only others begin with."""

    repository: RepositoryName
    extent: Extent = ""


@dataclass(frozen=True, slots=True)
class RenameRepository:
    """With all below it. The body has the new name; nothing is moved in a dry run."""

    repository: RepositoryName
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class ListBelow:
    """Repositories with a tag: this one, and those below it that sort after `last`."""

    repository: RepositoryName
    size: int
    last: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """A place in a list of tags: a tag's name, and when it was published if the list is in that order."""

    name: str
    published_at: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    by: Literal["name", "published_at"] = "name"
    is_descending: bool = False

    def __str__(self) -> str:
        return f"-{self.by}" if self.is_descending else self.by


@dataclass(frozen=True, slots=True)
class TagPage:
    """`size` tags whose name has `part` in it: those after `last`, or those right before `before`.

    `sort` is what was asked for, None if nothing was. `referrers` are the types to show, none for all of them; None
    shows none.
    """

    size: int
    last: Marker | None = None
    before: Marker | None = None
    part: str = ""
    sort: Order | None = None
    referrers: tuple[str, ...] | None = None

    @property
    def order(self) -> Order:
        return self.sort or Order()


@dataclass(frozen=True, slots=True)
class ListTagDetails:
    """With a name that is `exact` the page doesn't matter."""

    repository: RepositoryName
    page: TagPage
    exact: str = ""


@dataclass(frozen=True, slots=True)
class GetTagDetails:
    repository: RepositoryName
    tag: str


GitLab = (
    CheckGitLab
    | AddSlash
    | GetStatistics
    | ListMigrations
    | GetMigration
    | PauseMigrations
    | ResumeMigrations
    | RestartMigration
    | GetDetails
    | RenameRepository
    | ListBelow
    | ListTagDetails
    | GetTagDetails
)
