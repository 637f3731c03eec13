"""The endpoints of the insights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import Administrator, AdministratorOf, AnyToken, RightTo
from functions.api.route import in_repository, plain
from functions.api.v1.insights import paths, routes
from functions.registry.auth.scopes import CATALOG

if TYPE_CHECKING:
    from functions.api.v1.insights import configs, daily, repositories, search, tags
else:
    configs = Later("functions.api.v1.insights.configs")
    daily = Later("functions.api.v1.insights.daily")
    repositories = Later("functions.api.v1.insights.repositories")
    search = Later("functions.api.v1.insights.search")
    tags = Later("functions.api.v1.insights.tags")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.SEARCH,
        route=routes.Search,
        parse=paths.search,
        handler=search.search,
        permission=AnyToken((CATALOG,)),
        action="search.get",
    ),
    Endpoint(
        method="GET",
        path=paths.REPOSITORIES,
        route=routes.SearchRepositories,
        parse=paths.search_repositories,
        handler=repositories.list_repositories,
        permission=AnyToken((CATALOG,)),
        action="repository.list",
    ),
    Endpoint(
        method="GET",
        path=paths.REPOSITORY,
        route=routes.GetRepository,
        parse=in_repository(routes.GetRepository),
        handler=repositories.get_repository,
        permission=RightTo("pull"),
        action="repository.get",
    ),
    Endpoint(
        method="GET",
        path=paths.TAGS,
        route=routes.SearchTags,
        parse=paths.search_tags,
        handler=tags.list_tags,
        permission=RightTo("pull"),
        action="tag.search",
    ),
    Endpoint(
        method="GET",
        path=paths.TAG,
        route=routes.GetTag,
        parse=paths.get_tag,
        handler=tags.get_tag,
        permission=RightTo("pull"),
        action="tag.get",
    ),
    Endpoint(
        method="GET",
        path=paths.MANIFEST,
        route=routes.DescribeManifest,
        parse=paths.describe_manifest,
        handler=tags.get_manifest,
        permission=RightTo("pull"),
        action="manifest.get",
    ),
    Endpoint(
        method="GET",
        path=paths.CONFIG,
        route=routes.GetConfig,
        parse=paths.get_config,
        handler=configs.get,
        permission=RightTo("pull"),
        action="manifest.config",
    ),
    Endpoint(
        method="GET",
        path=paths.NAMESPACES,
        route=routes.SearchNamespaces,
        parse=paths.search_namespaces,
        handler=repositories.list_namespaces,
        permission=Administrator(),
        action="namespace.list",
    ),
    Endpoint(
        method="GET",
        path=paths.NAMESPACE,
        route=routes.GetNamespace,
        parse=paths.get_namespace,
        handler=repositories.get_namespace,
        permission=AdministratorOf(),
        action="namespace.get",
    ),
    Endpoint(
        method="GET",
        path=paths.USAGE,
        route=routes.GetUsage,
        parse=plain(routes.GetUsage),
        handler=repositories.get_usage,
        permission=Administrator(),
        action="usage.get",
    ),
    Endpoint(
        method="GET",
        path=paths.RANKING,
        route=routes.GetRanking,
        parse=paths.get_ranking,
        handler=repositories.get_ranking,
        permission=AdministratorOf(),
        action="ranking.get",
    ),
    Endpoint(
        method="GET",
        path=paths.REPOSITORY_DAILY,
        route=routes.GetRepositoryDaily,
        parse=paths.get_repository_days,
        handler=daily.of_repository,
        permission=RightTo("pull"),
        action="repository.get-daily",
    ),
    Endpoint(
        method="GET",
        path=paths.TAG_DAILY,
        route=routes.GetTagDaily,
        parse=paths.get_tag_days,
        handler=daily.of_tag,
        permission=RightTo("pull"),
        action="tag.get-daily",
    ),
    Endpoint(
        method="GET",
        path=paths.MANIFEST_DAILY,
        route=routes.GetManifestDaily,
        parse=paths.get_manifest_days,
        handler=daily.of_manifest,
        permission=RightTo("pull"),
        action="manifest.get-daily",
    ),
    Endpoint(
        method="GET",
        path=paths.NAMESPACE_DAILY,
        route=routes.GetNamespaceDaily,
        parse=paths.get_namespace_days,
        handler=daily.of_namespace,
        permission=AdministratorOf(),
        action="namespace.get-daily",
    ),
    Endpoint(
        method="GET",
        path=paths.USAGE_DAILY,
        route=routes.GetUsageDaily,
        parse=paths.get_usage_days,
        handler=daily.of_registry,
        permission=Administrator(),
        action="usage.get-daily",
    ),
    Endpoint(
        method="POST",
        path=paths.RECOUNT,
        route=routes.RecountUsage,
        parse=plain(routes.RecountUsage),
        handler=daily.recount_usage,
        permission=Administrator(),
        action="usage.recount",
    ),
)
