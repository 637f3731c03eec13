"""Retention policies, for administrators of the registry and of namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.retention import routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.json_body import Reader, choice, flag, number, repositories
from functions.api.web.responses import answer, empty
from functions.api.web.rows import plain
from functions.registry.metadata.access.patterns import namespace_of, stars
from functions.registry.metadata.retention import policies
from functions.registry.metadata.retention.policies import NewPolicy, PolicyChanged, StoredPolicy, TooManyPolicies
from functions.registry.oci.errors import Denied
from functions.registry.retention import spans
from functions.registry.retention.policies import LEAST_NEW_FOR, MODES, read_rules, written_rules

MOST_POLICIES: Final = 200
_LAST_POSITION: Final = 2**31 - 1
_MODE: Final = "preview"
_NEW_FOR: Final = 86_400
_BRAKE: Final = (30, 5000)


def _new_for(value: Any) -> int:
    return spans.parse(value, LEAST_NEW_FOR)


def _rules(value: Any) -> list[dict[str, Any]]:
    return written_rules(read_rules(value))


def _brake(value: Any) -> tuple[int, int]:
    """Reads `{share, tags}`; a share is a number of per cent, or such a text as 30%."""
    if not isinstance(value, dict) or not value.keys() <= {"share", "tags"}:
        raise ValueError("must be an object with share, tags or both")
    share, tags = value.get("share", _BRAKE[0]), value.get("tags", _BRAKE[1])
    if isinstance(share, str) and share.endswith("%") and share[:-1].isascii() and share[:-1].isdigit():
        share = int(share[:-1])
    try:
        return number(1, 100)(share), number(1, _LAST_POSITION)(tags)
    except ValueError as error:
        raise ValueError("has a share of 1 to 100 per cent, and a number of tags") from error


# Of a policy, saved or only planned.
REQUIRED: Final[Mapping[str, Reader]] = {"repositories": repositories, "rules": _rules}
OPTIONAL: Final[Mapping[str, Reader]] = {
    "mode": choice(*MODES),
    "new_for": _new_for,
    "brake": _brake,
    "position": number(0, _LAST_POSITION),
}


def list_policies(context: Context, route: routes.ListPolicies) -> Response:
    """Lists them in the order in which they are asked, namespace by namespace; not those for a repository that has
    the very name of the namespace, which lies in none.
    """
    found = policies.list_all(context.services.database, route.namespace)
    return answer({"policies": [shown(each) for each in found if each.repositories != route.namespace]})


def get(context: Context, route: routes.GetPolicy) -> Response:
    return answer(shown(known(context, route.policy)))


def put(context: Context, route: routes.PutPolicy) -> Response:
    fields = json_body.read(context, REQUIRED, {**OPTIONAL, "revision": number(0, 2**62), "confirmed": flag})
    database = context.services.database
    before = policies.get(database, route.policy)
    if before is not None:
        _require_authority(context, before.repositories, before.position)
    new = new_policy(context, route.policy, fields)
    revision = fields.get("revision", 0 if before is None else before.revision)
    try:
        is_new = policies.put(
            database, new, context.caller.label, MOST_POLICIES, revision, is_seen=fields.get("confirmed", False)
        )
    except (PolicyChanged, TooManyPolicies) as conflict:
        raise ResourceExists(_reason(conflict)) from conflict
    details = {name: value for name, value in shown_new(new).items() if name != "name"}
    registry_changed(context, "retention.set-policy", new.name, namespace_of(new.repositories), **details)
    context.services.gc_trigger.send()
    return answer(shown(known(context, new.name)), HTTPStatus.CREATED if is_new else HTTPStatus.OK)


def remove(context: Context, route: routes.RemovePolicy) -> Response:
    before = known(context, route.policy)
    _require_authority(context, before.repositories, before.position)
    try:
        removed = policies.remove(context.services.database, before.name, route.revision)
    except PolicyChanged as conflict:
        raise ResourceExists(_reason(conflict)) from conflict
    if removed is None:
        raise ResourceUnknown("no such policy")
    namespace = namespace_of(removed.repositories)
    registry_changed(context, "retention.remove-policy", removed.name, namespace, repositories=removed.repositories)
    return empty(HTTPStatus.NO_CONTENT, {})


def known(context: Context, name: str) -> StoredPolicy:
    """Raises ResourceUnknown; and Denied, which a namespace's administrator is told of others' and of none alike."""
    found = policies.get(context.services.database, name)
    require_authority_over(context, None if found is None else found.repositories)
    if found is None:
        raise ResourceUnknown("no such policy")
    return found


def require_authority_over(context: Context, repositories: str | None) -> None:
    """Passes None where there is nothing of that name. Raises Denied."""
    authority = context.caller.authority
    if not authority.over_all and (repositories is None or not authority.over_pattern(repositories)):
        raise Denied("you administer only what begins with your namespace and a slash, such as team/**")


def new_policy(context: Context, name: str, fields: Mapping[str, Any]) -> NewPolicy:
    """Makes a policy of a body's fields. Raises Denied and ParameterInvalid."""
    position = fields.get("position", 0 if context.caller.authority.over_all else 1)
    _require_authority(context, fields["repositories"], position)
    if stars(fields["repositories"]) > context.services.settings.stars_per_pattern:
        raise ParameterInvalid(f"a pattern has at most {context.services.settings.stars_per_pattern} stars")
    share, tags = fields.get("brake", _BRAKE)
    return NewPolicy(
        name=name,
        position=position,
        repositories=fields["repositories"],
        mode=fields.get("mode", _MODE),
        rules=fields["rules"],
        new_for=fields.get("new_for", _NEW_FOR),
        brake_share=share,
        brake_tags=tags,
    )


def shown_new(policy: NewPolicy | StoredPolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "position": policy.position,
        "repositories": policy.repositories,
        "mode": policy.mode,
        "rules": policy.rules,
        "new_for": spans.written(policy.new_for),
        "brake": {"share": policy.brake_share, "tags": policy.brake_tags},
    }


def shown(policy: StoredPolicy) -> dict[str, Any]:
    return {
        **shown_new(policy),
        "held_because": policy.held_because,
        "revision": policy.revision,
        "changed_at": plain(policy.changed_at),
        "changed_by": policy.changed_by,
    }


def _require_authority(context: Context, pattern: str, position: int) -> None:
    require_authority_over(context, pattern)
    if position < 1 and not context.caller.authority.over_all:
        raise Denied("the policies in position 0 are those of the registry's administrators")


def _reason(conflict: PolicyChanged | TooManyPolicies) -> str:
    if isinstance(conflict, TooManyPolicies):
        return str(conflict)
    if conflict.revision is None:
        return "there is no such policy any more"
    return f"somebody changed the policy: it is at revision {conflict.revision}, look at it again"
