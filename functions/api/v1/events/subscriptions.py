"""Subscriptions, for administrators: who is told of which changes, where, in which form."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Response

from functions.api.audit import registry_changed
from functions.api.v1.events import choices, routes
from functions.api.web import json_body
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid, ResourceExists, ResourceUnknown
from functions.api.web.responses import answer, empty
from functions.api.web.rows import plain, rows
from functions.registry.auth import webhook_secrets
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.events import subscriptions
from functions.registry.metadata.events.subscriptions import (
    NewSubscription,
    Subscription,
    SubscriptionExists,
    TooManySubscriptions,
)
from functions.registry.oci.errors import Denied

_NOT_YOURS: Final = "you administer only what begins with your namespace and a slash, such as team/**"


def list_subscriptions(context: Context, route: routes.ListSubscriptions) -> Response:
    return answer({"subscriptions": rows(subscriptions.list_all(context.services.database, route.namespace))})


def add(context: Context, _: routes.AddSubscription) -> Response:
    """Shows the secret that webhooks are signed with, this once."""
    fields = json_body.read(context, choices.REQUIRED, choices.OPTIONAL)
    if not context.caller.authority.over_pattern(fields["repositories"]):
        raise Denied(_NOT_YOURS)
    choices.require_few_stars(context, fields["repositories"], fields.get("tags", ""))
    choices.check_target(context, fields["target"])
    form = fields.get("format", "cloudevents")
    kinds = choices.kinds_of(form, fields.get("kinds"))
    secret = webhook_secrets.make() if choices.is_webhook(fields["target"]) else None
    new = NewSubscription(
        name=fields["name"],
        repositories=fields["repositories"],
        target=fields["target"],
        created_by=context.caller.label,
        kinds=kinds,
        tags=fields.get("tags", "*"),
        format=form,
        secret=None if secret is None else _sealed(context, secret),
        header=choices.sealed_header(context, fields.get("authorization")),
        is_ordered=fields.get("is_ordered", True),
        shows_request=context.caller.authority.over_all,
    )
    try:
        made = subscriptions.add(context.services.database, new, context.services.settings.subscriptions_per_namespace)
    except (SubscriptionExists, TooManySubscriptions) as exists:
        raise ResourceExists(str(exists)) from exists
    context.services.deliver_trigger.forget()
    found = known(context, made)
    _record(context, "subscription.add", found, target=found.target, format=form)
    shown = _shown(found) | ({} if secret is None else {"secret": secret})
    response = answer(shown, HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/v1/subscriptions/{made}"
    return response


def get(context: Context, route: routes.GetSubscription) -> Response:
    return answer(_shown(known(context, route.subscription)))


def change(context: Context, route: routes.ChangeSubscription) -> Response:
    """One that is set on begins anew with what waits for it. Shows a secret where the change makes the first one."""
    found = known(context, route.subscription)
    fields = json_body.read(context, {}, choices.CHANGES)
    if not fields:
        raise ParameterInvalid(f"the body has some of {', '.join(choices.CHANGES)}")
    changes: dict[str, Any] = {name: value for name, value in fields.items() if name != "authorization"}
    secret = None
    if "target" in fields:
        choices.check_target(context, fields["target"])
        if choices.is_webhook(fields["target"]) and not choices.is_webhook(found.target):
            secret = webhook_secrets.make()
            changes["secret"] = _sealed(context, secret)
    if "kinds" in fields:
        changes["kinds"] = choices.kinds_of(found.format, fields["kinds"])
    if "tags" in fields:
        choices.require_few_stars(context, fields["tags"])
    if "authorization" in fields:
        changes["header"] = choices.sealed_header(context, fields["authorization"])
    if fields.get("state") == "paused":
        changes["reason"] = f"{context.caller.label} paused it"
    subscriptions.change(context.services.database, found.id, changes)
    context.services.deliver_trigger.forget()
    told = {name: value for name, value in fields.items() if name != "authorization"}
    _record(context, "subscription.change", found, **told)
    shown = _shown(known(context, found.id))
    return answer(shown | ({} if secret is None else {"secret": secret}))


def remove(context: Context, route: routes.RemoveSubscription) -> Response:
    """What waits for it goes with it."""
    found = known(context, route.subscription)
    if not subscriptions.remove(context.services.database, found.id):
        raise _unknown()
    _record(context, "subscription.remove", found, target=found.target)
    return empty(HTTPStatus.NO_CONTENT, {})


def replace_secret(context: Context, route: routes.ReplaceWebhookSecret) -> Response:
    found = known(context, route.subscription)
    json_body.read(context, {}, {})
    secret = webhook_secrets.make()
    until = subscriptions.replace_secret(context.services.database, found.id, _sealed(context, secret))
    if until is None:
        raise ResourceExists("only webhooks are signed: this subscription has no secret")
    _record(context, "subscription.replace-secret", found)
    return answer({"secret": secret, "previous_until": plain(until)}, HTTPStatus.CREATED)


def known(context: Context, subscription_id: int) -> Subscription:
    """Raises ResourceUnknown, and Denied: a namespace's administrator is told the same of others' and of none."""
    found = subscriptions.get(context.services.database, subscription_id)
    authority = context.caller.authority
    if not authority.over_all and (found is None or not authority.over_pattern(found.repositories)):
        raise Denied(_NOT_YOURS)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> ResourceUnknown:
    return ResourceUnknown("no such subscription")


def _sealed(context: Context, secret: str) -> str:
    return webhook_secrets.sealed(context.services.settings.pepper, secret)


def _record(context: Context, action: str, found: Subscription, **details: Any) -> None:
    registry_changed(context, action, found.name, namespace_of(found.repositories), subscription=found.id, **details)


def _shown(found: Subscription) -> dict[str, Any]:
    [shown] = rows([found])
    return shown
