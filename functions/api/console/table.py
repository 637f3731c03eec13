"""Every page of the console: where it is, who shows it, and who does what its forms ask for."""

from __future__ import annotations

from typing import Final

from functions.api.console.pages import (
    access,
    events,
    finding,
    image,
    imports,
    issuer,
    lifecycle,
    new_person,
    operations,
    person,
    repository,
    retention,
    safety,
    signing_in,
    start,
    trail,
    usage,
)
from functions.api.console.route import Row
from functions.api.route import NAME
from functions.registry.auth.attempt import BACK

_REPOSITORY: Final = rf"/console/r/{NAME}"

# In this order: a name may have parts that look like the end of a longer path, and the longer path is meant.
ROWS: Final = (
    Row("/console/", start.show),
    Row("/console/search", finding.search),
    Row("/console/repositories", finding.show),
    Row(rf"{_REPOSITORY}/-/tags/(?P<tag>[^/]+)", image.show_tag, image.delete_tag),
    Row(rf"{_REPOSITORY}/-/manifests/(?P<digest>[^/]+)", image.show_manifest),
    Row(rf"{_REPOSITORY}/-/history", lifecycle.show_history, lifecycle.put_back),
    Row(rf"{_REPOSITORY}/-/usage", repository.show_usage),
    Row(_REPOSITORY, repository.show),
    Row("/console/usage", usage.show),
    Row("/console/lifecycle", lifecycle.show_deleted, lifecycle.put_back_deleted),
    Row("/console/lifecycle/policies", retention.show),
    Row("/console/lifecycle/policies/(?P<policy>[^/]+)", retention.show_policy, retention.plan),
    Row("/console/lifecycle/runs/(?P<run>[^/]+)", retention.show_run, retention.decide),
    Row("/console/events", events.show),
    Row("/console/events/(?P<subscription>[^/]+)", events.show_subscription, events.change),
    Row("/console/access", access.show_principals),
    Row("/console/access/grants", access.show_grants, access.change_grants),
    Row("/console/access/rules", access.show_rules, access.change_rules),
    Row("/console/access/may", access.show_may),
    Row("/console/access/new", new_person.show, new_person.make),
    Row("/console/access/principals/(?P<principal>[^/]+)", person.show, person.change),
    Row("/console/trail", trail.show),
    Row("/console/operations", operations.show, operations.run),
    Row("/console/operations/safety", safety.show, safety.act),
    Row("/console/operations/imports", imports.show),
    Row("/console/operations/imports/(?P<import>[0-9]{1,18})", imports.show_one, imports.act),
    Row("/console/sign-in", signing_in.show_sign_in, signing_in.sign_in, has_session=False),
    Row("/console/oidc", issuer.show_way, has_session=False),
    Row(BACK, issuer.show_back, has_session=False),
    Row("/console/link", signing_in.show_link, signing_in.use_link, has_session=False),
    Row("/console/sessions", signing_in.show_sessions, signing_in.end_session),
    Row("/console/sign-out", signing_in.show_nothing, signing_in.sign_out),
    Row("/console/theme", signing_in.show_nothing, signing_in.set_theme, has_session=False),
)
