"""From a request to an answer: parse, find the handler, render what it gives or raises, write one log line."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from flask import Request, Response

from functions.api import (
    access,
    access_rules,
    audit,
    base,
    blobs,
    catalog,
    collection,
    days,
    description,
    gitlab,
    gitlab_migrations,
    gitlab_moves,
    gitlab_tags,
    insights,
    insights_tags,
    manifests,
    quotas,
    referrers,
    responses,
    tags,
    token,
    upkeep,
    uploads,
)
from functions.api.address import client_address
from functions.api.body import Body, Pace
from functions.api.context import Context
from functions.api.gate import admit
from functions.api.limit import require_within_limit
from functions.registry import telemetry
from functions.registry.auth.caller import IssuerUnavailable
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.metadata.db import ChangeRefused, MetadataUnavailable
from functions.registry.oci import activity as activity_routes
from functions.registry.oci import administration
from functions.registry.oci import gitlab as gitlab_routes
from functions.registry.oci import insights as insight_routes
from functions.registry.oci import route as routes
from functions.registry.oci import upkeep as upkeep_routes
from functions.registry.oci.errors import Denied, OciError, ParameterInvalid
from functions.registry.oci.routing import parse
from functions.registry.wiring import Services

Handler = Callable[[Context, Any], Response]

ROUTES: Final[dict[type[routes.Route], Handler]] = {
    routes.CheckVersion: base.check,
    routes.GetDescription: description.get,
    routes.GetToken: token.get,
    routes.PostToken: token.post,
    routes.GetKeySet: token.key_set,
    routes.GetCollection: collection.get,
    routes.PreviewCollection: collection.preview,
    routes.ListRepositories: catalog.list_repositories,
    routes.ListTags: tags.list_tags,
    routes.GetManifest: manifests.get,
    routes.PutManifest: manifests.put,
    routes.DeleteManifest: manifests.delete,
    routes.GetBlob: blobs.get,
    routes.HeadBlob: blobs.head,
    routes.DeleteBlob: blobs.delete,
    routes.StartUpload: uploads.start,
    routes.GetUpload: uploads.status,
    routes.PatchUpload: uploads.patch,
    routes.PutUpload: uploads.put,
    routes.DeleteUpload: uploads.cancel,
    routes.ListReferrers: referrers.list_referrers,
    administration.ListPrincipals: access.list_principals,
    administration.AddPrincipal: access.add_principal,
    administration.GetPrincipal: access.get_principal,
    administration.ChangePrincipal: access.change_principal,
    administration.DeletePrincipal: access.delete_principal,
    administration.ListSecrets: access.list_secrets,
    administration.AddSecret: access.add_secret,
    administration.RevokeSecret: access.revoke_secret,
    administration.ListTrusts: access.list_trusts,
    administration.AddTrust: access.add_trust,
    administration.RemoveTrust: access.remove_trust,
    administration.ListGrants: access_rules.list_grants,
    administration.AddGrant: access_rules.add_grant,
    administration.RemoveGrant: access_rules.remove_grant,
    administration.ListRules: access_rules.list_rules,
    administration.AddRule: access_rules.add_rule,
    administration.RemoveRule: access_rules.remove_rule,
    administration.ListAudit: access_rules.list_audit,
    insight_routes.SearchRepositories: insights.list_repositories,
    insight_routes.GetRepository: insights.get_repository,
    insight_routes.SearchTags: insights_tags.list_tags,
    insight_routes.GetTag: insights_tags.get_tag,
    insight_routes.DescribeManifest: insights_tags.get_manifest,
    insight_routes.SearchNamespaces: insights.list_namespaces,
    insight_routes.GetNamespace: insights.get_namespace,
    insight_routes.GetUsage: insights.get_usage,
    insight_routes.GetRanking: insights.get_ranking,
    activity_routes.GetRepositoryDays: days.of_repository,
    activity_routes.GetTagDays: days.of_tag,
    activity_routes.GetManifestDays: days.of_manifest,
    activity_routes.GetNamespaceDays: days.of_namespace,
    activity_routes.GetUsageDays: days.of_registry,
    activity_routes.VerifyUsage: days.verify,
    upkeep_routes.ChangeRepository: upkeep.change,
    upkeep_routes.DeleteRepository: upkeep.delete,
    upkeep_routes.MoveRepository: upkeep.move,
    upkeep_routes.DeleteTags: upkeep.delete_tags,
    upkeep_routes.GetQuota: quotas.get,
    upkeep_routes.SetQuota: quotas.put,
    upkeep_routes.RemoveQuota: quotas.remove,
    upkeep_routes.ListQuotas: quotas.list_quotas,
    routes.ListMethods: base.list_methods,
    gitlab_routes.CheckGitLab: gitlab.check,
    gitlab_routes.AddSlash: gitlab.add_slash,
    gitlab_routes.GetStatistics: gitlab.statistics,
    gitlab_routes.ListMigrations: gitlab_migrations.list_all,
    gitlab_routes.GetMigration: gitlab_migrations.get,
    gitlab_routes.PauseMigrations: gitlab_migrations.pause,
    gitlab_routes.ResumeMigrations: gitlab_migrations.resume,
    gitlab_routes.RestartMigration: gitlab_migrations.restart,
    gitlab_routes.GetDetails: gitlab.get_details,
    gitlab_routes.RenameRepository: gitlab_moves.move,
    gitlab_routes.ListBelow: gitlab.list_below,
    gitlab_routes.ListTagDetails: gitlab_tags.list_tags,
    gitlab_routes.GetTagDetails: gitlab_tags.get_tag,
}

# They answer whatever state the database is in: probes ask them.
_WITHOUT_DATABASE: Final = (
    routes.CheckVersion,
    routes.ListMethods,
    routes.GetDescription,
    routes.GetKeySet,
    gitlab_routes.CheckGitLab,
)
# What GitLab finds out a registry by: taken for one that can't delete tags, it would push an empty image over them.
_NEVER_LIMITED: Final = (
    routes.CheckVersion,
    routes.ListMethods,
    gitlab_routes.CheckGitLab,
    gitlab_routes.GetStatistics,
)

# What they committed may have left something to collect.
_LEAVING_GARBAGE: Final = (
    routes.PutManifest,
    routes.DeleteManifest,
    routes.DeleteBlob,
    routes.PutUpload,
    routes.DeleteUpload,
    upkeep_routes.ChangeRepository,
    upkeep_routes.DeleteRepository,
    upkeep_routes.DeleteTags,
)


def handle(services: Services, request: Request) -> Response:
    """Never raises, and never leaves a body unread in the server's hands."""
    with telemetry.recording() as record:
        settings = services.settings
        address = client_address(request, settings.trusted_proxies)
        body = Body(request, address, Pace.of(settings), settings.request_limit_bytes)
        response = _answer(services, request, body, address)
        if not body.drain():
            # A streamed answer keeps the framework from reading on: into memory, or from a client that is gone.
            response = Response(
                chain(response.iter_encoded(), body.linger(b"")), response.status_code, response.headers
            )
            response.headers["Connection"] = "close"
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        audit.record(services, request, record.fields, response.status_code)
        services.activity.add_if_due()
        _log(request, response, body, record, services.settings.project)
        return response


def _answer(services: Services, request: Request, body: Body, address: str) -> Response:
    try:
        telemetry.note(address=address)
        query = routes.Query(list(request.args.items(multi=True)))
        route = parse(request.method, request.path, query)
        telemetry.note(route=type(route).__name__, repository=getattr(route, "repository", None))
        if reference := getattr(route, "reference", None) or getattr(route, "digest", None):
            telemetry.note(reference=str(reference))
        if type(route) not in _WITHOUT_DATABASE:
            services.schema.require()
        caller = admit(services, request, route)
        if caller.kind != "open" and not isinstance(route, _NEVER_LIMITED):
            services.rate_limit.take(caller.label if caller.name else address)
        require_within_limit(services.settings, body)
        _require_json(request)
        context = Context(services, request, body, caller, address)
        response = ROUTES[type(route)](context, route)
    except OciError as error:
        telemetry.note(code=error.code, reason=error.reason)
        return responses.refused(error)
    except ChangeRefused as error:
        telemetry.note(code=Denied.code, reason=str(error))
        return responses.refused(Denied(str(error)))
    except (MetadataUnavailable, BlobStoreUnavailable, IssuerUnavailable) as error:
        telemetry.note(code="UNAVAILABLE", reason=f"{type(error).__name__}: {error}")
        return responses.unavailable()
    except Exception as error:  # noqa: BLE001  # the last resort: the client sees that something failed, the log sees what
        telemetry.log_exception("unexpected error", error, method=request.method, path=request.path)
        telemetry.note(code="UNKNOWN")
        return responses.failed()
    if isinstance(route, _LEAVING_GARBAGE):
        services.hints.send()
    return response


def _require_json(request: Request) -> None:
    """Another type, or none, is what a foreign page makes a browser send, with the password that it remembers."""
    is_change = request.method in {"POST", "PUT", "PATCH"} and request.path.startswith("/api/v1/")
    if is_change and request.mimetype != "application/json":
        raise ParameterInvalid("the body is JSON, also where there is none: Content-Type: application/json")


def _log(request: Request, response: Response, body: Body, record: telemetry.Record, project: str) -> None:
    telemetry.log(
        "ERROR" if response.status_code >= 500 else "INFO",  # noqa: PLR2004  # the class of server errors
        "request",
        method=request.method,
        status=response.status_code,
        bytes_in=body.received,
        bytes_out=response.content_length,
        ms=record.milliseconds,
        database_ms=round(record.database_seconds * 1000, 1),
        pool_ms=round(record.pool_seconds * 1000, 1),
        statements=len(record.statements),
        client=request.headers.get("User-Agent"),
        **record.fields,
        **telemetry.trace(project, request.headers.get("X-Cloud-Trace-Context", "")),
    )
