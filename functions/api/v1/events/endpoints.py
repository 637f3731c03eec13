"""The endpoints of events. Each takes an administrator: of the registry, or of the namespace that is subscribed to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from functions.api.endpoint import Endpoint, Later
from functions.api.permission import AdministratorOf, SomeAdministrator
from functions.api.route import plain
from functions.api.v1.events import paths, routes

if TYPE_CHECKING:
    from functions.api.v1.events import deliveries, polling, subscriptions
else:
    deliveries = Later("functions.api.v1.events.deliveries")
    polling = Later("functions.api.v1.events.polling")
    subscriptions = Later("functions.api.v1.events.subscriptions")

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=paths.EVENTS,
        route=routes.ListEvents,
        parse=paths.list_events,
        handler=polling.list_events,
        permission=AdministratorOf(),
        action="event.list",
    ),
    Endpoint(
        method="GET",
        path=paths.SUBSCRIPTIONS,
        route=routes.ListSubscriptions,
        parse=paths.list_subscriptions,
        handler=subscriptions.list_subscriptions,
        permission=AdministratorOf(),
        action="subscription.list",
    ),
    Endpoint(
        method="POST",
        path=paths.SUBSCRIPTIONS,
        route=routes.AddSubscription,
        parse=plain(routes.AddSubscription),
        handler=subscriptions.add,
        permission=SomeAdministrator(),
        action="subscription.add",
    ),
    Endpoint(
        method="GET",
        path=paths.SUBSCRIPTION,
        route=routes.GetSubscription,
        parse=paths.of_subscription(routes.GetSubscription),
        handler=subscriptions.get,
        permission=SomeAdministrator(),
        action="subscription.get",
    ),
    Endpoint(
        method="PATCH",
        path=paths.SUBSCRIPTION,
        route=routes.ChangeSubscription,
        parse=paths.of_subscription(routes.ChangeSubscription),
        handler=subscriptions.change,
        permission=SomeAdministrator(),
        action="subscription.change",
    ),
    Endpoint(
        method="DELETE",
        path=paths.SUBSCRIPTION,
        route=routes.RemoveSubscription,
        parse=paths.of_subscription(routes.RemoveSubscription),
        handler=subscriptions.remove,
        permission=SomeAdministrator(),
        action="subscription.remove",
    ),
    Endpoint(
        method="POST",
        path=paths.SECRET,
        route=routes.ReplaceWebhookSecret,
        parse=paths.of_subscription(routes.ReplaceWebhookSecret),
        handler=subscriptions.replace_secret,
        permission=SomeAdministrator(),
        action="subscription.replace-secret",
    ),
    Endpoint(
        method="POST",
        path=paths.TEST,
        route=routes.TestSubscription,
        parse=paths.of_subscription(routes.TestSubscription),
        handler=deliveries.test,
        permission=SomeAdministrator(),
        action="subscription.test",
    ),
    Endpoint(
        method="POST",
        path=paths.REDELIVER,
        route=routes.Redeliver,
        parse=paths.of_subscription(routes.Redeliver),
        handler=deliveries.redeliver,
        permission=SomeAdministrator(),
        action="subscription.redeliver",
    ),
    Endpoint(
        method="GET",
        path=paths.DELIVERIES,
        route=routes.ListDeliveries,
        parse=paths.list_deliveries,
        handler=deliveries.list_deliveries,
        permission=SomeAdministrator(),
        action="delivery.list",
    ),
)
