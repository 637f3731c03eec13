"""The endpoints of GitLab's API. A path without the slash at its end is redirected to the one with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.gitlab import paths, routes, scopes
from functions.api.gitlab.paths import slashed
from functions.api.permission import Anybody, AnyToken, Scopes
from functions.api.route import plain

if TYPE_CHECKING:
    from functions.api.gitlab import migrations, moves, repositories, tags
else:
    migrations = Later("functions.api.gitlab.migrations")
    moves = Later("functions.api.gitlab.moves")
    repositories = Later("functions.api.gitlab.repositories")
    tags = Later("functions.api.gitlab.tags")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.CHECK,
        route=routes.CheckGitLab,
        parse=slashed(plain(routes.CheckGitLab)),
        handler=repositories.check,
        permission=AnyToken(),
        action="registry.check-gitlab",
        needs_schema=False,
        is_rate_limited=False,
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=None,
        route=routes.AddSlash,
        parse=None,
        handler=repositories.add_slash,
        permission=Anybody(),
        action="registry.redirect",
    ),
    Endpoint(
        method="GET",
        path=paths.STATISTICS,
        route=routes.GetStatistics,
        parse=slashed(plain(routes.GetStatistics)),
        handler=repositories.statistics,
        permission=Scopes(scopes.of_statistics),
        action="statistics.get",
        is_rate_limited=False,
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.MIGRATIONS,
        route=routes.ListMigrations,
        parse=slashed(plain(routes.ListMigrations)),
        handler=migrations.list_all,
        permission=Scopes(scopes.of_migrations),
        action="migration.list",
        answers_head=False,
    ),
    Endpoint(
        method="POST",
        path=paths.PAUSE,
        route=routes.PauseMigrations,
        parse=slashed(plain(routes.PauseMigrations)),
        handler=migrations.pause,
        permission=Scopes(scopes.of_migrations),
        action="migration.pause",
        answers_head=False,
    ),
    Endpoint(
        method="POST",
        path=paths.RESUME,
        route=routes.ResumeMigrations,
        parse=slashed(plain(routes.ResumeMigrations)),
        handler=migrations.resume,
        permission=Scopes(scopes.of_migrations),
        action="migration.resume",
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.MIGRATION,
        route=routes.GetMigration,
        parse=slashed(paths.get_migration),
        handler=migrations.get,
        permission=Scopes(scopes.of_migrations),
        action="migration.get",
        answers_head=False,
    ),
    Endpoint(
        method="POST",
        path=paths.RESTART,
        route=routes.RestartMigration,
        parse=slashed(paths.restart_migration),
        handler=migrations.restart,
        permission=Scopes(scopes.of_migrations),
        action="migration.restart",
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.BELOW,
        route=routes.ListBelow,
        parse=slashed(paths.list_below),
        handler=repositories.list_below,
        permission=Scopes(scopes.of_list_below),
        action="repository.list-below",
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.TAGS,
        route=routes.ListTagDetails,
        parse=slashed(paths.list_tags),
        handler=tags.list_tags,
        permission=Scopes(scopes.of_tags),
        action="tag.list-details",
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.TAG,
        route=routes.GetTagDetails,
        parse=slashed(paths.get_tag),
        handler=tags.get_tag,
        permission=Scopes(scopes.of_tags),
        action="tag.get-details",
        answers_head=False,
    ),
    Endpoint(
        method="GET",
        path=paths.REPOSITORY,
        route=routes.GetDetails,
        parse=slashed(paths.get_details),
        handler=repositories.get_details,
        permission=Scopes(scopes.of_details),
        action="repository.get-details",
        answers_head=False,
    ),
    Endpoint(
        method="PATCH",
        path=paths.REPOSITORY,
        route=routes.RenameRepository,
        parse=slashed(paths.move),
        handler=moves.move,
        permission=Scopes(scopes.of_rename),
        action="repository.rename",
        makes_events=True,
        answers_head=False,
    ),
)
