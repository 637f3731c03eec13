"""What GitLab asks of a registry beside the distribution specification; the paths lie under `/gitlab/v1/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from functions.api.route import Route
from functions.registry.metadata.gitlab.pages import TagPage
from functions.registry.oci.name import RepositoryName

Extent = Literal["", "self", "self_with_descendants"]


@dataclass(frozen=True, slots=True)
class CheckGitLab(Route):
    """The caller asks whether GitLab's API is here: whatever is answered beside 2xx and 401 means that it isn't."""


@dataclass(frozen=True, slots=True)
class AddSlash(Route):
    """The slash is missing: all paths of this API end in one."""

    path: str


@dataclass(frozen=True, slots=True)
class GetStatistics(Route):
    """The caller asks what the registry is, and what it can do."""


@dataclass(frozen=True, slots=True)
class ListMigrations(Route):
    """The caller asks for the migrations of large tables that run in the background."""


@dataclass(frozen=True, slots=True)
class GetMigration(Route):
    """The caller asks for one of them by its number."""

    id: int


@dataclass(frozen=True, slots=True)
class PauseMigrations(Route):
    """All that are active are paused."""


@dataclass(frozen=True, slots=True)
class ResumeMigrations(Route):
    """All that are paused go on."""


@dataclass(frozen=True, slots=True)
class RestartMigration(Route):
    """The rows that one could not do are tried again."""

    id: int


@dataclass(frozen=True, slots=True)
class GetDetails(Route):
    """`repository` may also be a name that only others begin with."""

    repository: RepositoryName
    extent: Extent = ""


@dataclass(frozen=True, slots=True)
class RenameRepository(Route):
    """The repository gets another name, with all below it. The body has the name; in a dry run nothing is moved."""

    repository: RepositoryName
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class ListBelow(Route):
    """The caller asks for repositories with a tag: this one, and those below it that sort after `last`."""

    repository: RepositoryName
    size: int
    last: str = ""


@dataclass(frozen=True, slots=True)
class ListTagDetails(Route):
    """The caller asks for a page of tags; with a name that is `exact` the page doesn't matter."""

    repository: RepositoryName
    page: TagPage
    exact: str = ""


@dataclass(frozen=True, slots=True)
class GetTagDetails(Route):
    repository: RepositoryName
    tag: str
