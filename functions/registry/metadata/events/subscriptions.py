"""Subscriptions: who is told of which changes, where, and in which form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from functions.registry.metadata.access.patterns import repository_regex
from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose
from functions.registry.metadata.events.vocabulary import TEST, Format, SubscriptionState

# How long a secret is good beside the one that took its place.
BOTH_SECRETS_SECONDS: Final = 86_400
# More than these are not counted.
_MOST_DEAD: Final = 1000


class SubscriptionExists(Exception):
    """Another subscription of the namespace has the name."""


class TooManySubscriptions(Exception):
    """The namespace has its fill. The message says how many there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """`kinds` None are all; `secret` and `header` are sealed."""

    name: str
    repositories: str
    target: str
    created_by: str
    kinds: Sequence[str] | None = None
    tags: str = "*"
    format: Format = "cloudevents"
    secret: str | None = None
    header: str | None = None
    is_ordered: bool = True
    shows_request: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """`waiting` deliveries will be sent; `dead` ones were given up, of which at most a thousand are counted."""

    id: int
    name: str
    repositories: str
    tags: str
    kinds: list[str] | None
    format: Format
    target: str
    is_ordered: bool
    state: SubscriptionState
    reason: str | None
    has_header: bool
    previous_until: datetime | None
    created_by: str
    created_at: datetime
    waiting: int
    dead: int


_COLUMNS: Final = """
    id, name, pattern, tag_pattern, kinds, format, target, is_ordered, state, reason, sealed_header IS NOT NULL,
    CASE WHEN previous_until > now() THEN previous_until END, created_by, created_at,
    (SELECT coalesce(sum(waiting), 0)::bigint FROM lanes WHERE subscription_id = subscriptions.id),
    (SELECT count(*) FROM (SELECT FROM deliveries
                            WHERE subscription_id = subscriptions.id AND deliveries.state = 'dead'
                            LIMIT $most_dead) AS dead)
"""


def _of(sql: str) -> str:
    return compose(sql, columns=compose(_COLUMNS, most_dead=str(_MOST_DEAD)))


_ADD: Final = Statement(
    "subscriptions_add",
    int,
    """
    INSERT INTO subscriptions (name, pattern, pattern_regex, tag_pattern, kinds, format, target, secret,
                               sealed_header, is_ordered, shows_request, created_by)
    SELECT :name, :repositories, :repositories_regex, :tags, CAST(:kinds AS text[]), :format, :target, :secret, :header,
           :is_ordered, :shows_request, :created_by
     WHERE CAST(:most AS bigint) IS NULL OR subscriptions_in(pattern_namespace(:repositories)) < CAST(:most AS bigint)
    RETURNING id
    """,
)

_GET: Final = Statement("subscriptions_get", Subscription, _of("SELECT $columns FROM subscriptions WHERE id = :id"))

_LIST: Final = Statement(
    "subscriptions_list", Subscription, _of("SELECT $columns FROM subscriptions ORDER BY namespace, name")
)

# As with rules: not those for the repository that has the namespace's very name.
_LIST_OF_NAMESPACE: Final = Statement(
    "subscriptions_list_of_namespace",
    Subscription,
    _of(
        """
        SELECT $columns FROM subscriptions
         WHERE namespace = :namespace AND pattern <> :namespace
         ORDER BY name
        """
    ),
)

_CHANGE: Final = Statement(
    "subscriptions_change",
    int,
    """
    UPDATE subscriptions
       SET tag_pattern = coalesce(:tags, tag_pattern),
           kinds = CASE WHEN CAST(:sets_kinds AS boolean) THEN CAST(:kinds AS text[]) ELSE kinds END,
           target = coalesce(:target, target),
           is_ordered = coalesce(CAST(:is_ordered AS boolean), is_ordered),
           sealed_header = CASE WHEN CAST(:sets_header AS boolean) THEN :header ELSE sealed_header END,
           secret = coalesce(secret, :secret),
           state = coalesce(:state, state),
           reason = CASE WHEN CAST(:state AS text) IS NULL THEN reason ELSE CAST(:reason AS text) END,
           dead_in_a_row = CASE WHEN :state = 'on' THEN 0 ELSE dead_in_a_row END,
           resumed_with = CASE WHEN :state = 'on'
                               THEN (SELECT coalesce(sum(waiting), 0) FROM lanes
                                      WHERE subscription_id = subscriptions.id)
                               ELSE resumed_with END
     WHERE id = :id
    RETURNING id
    """,
)

# What waits for a subscription that is on again is sent at once; a lane that a worker has is left to it.
_RESUME: Final = Statement(
    "subscriptions_resume",
    int,
    """
    UPDATE lanes SET next_at = greatest(clock_timestamp(), leased_until), attempts = 0, failing_since = NULL
     WHERE subscription_id = :id AND waiting > 0
    """,
)

_REPLACE_SECRET: Final = Statement(
    "subscriptions_replace_secret",
    datetime,
    """
    UPDATE subscriptions
       SET previous_secret = secret, previous_until = now() + make_interval(secs => :seconds), secret = :secret
     WHERE id = :id AND secret IS NOT NULL
    RETURNING previous_until
    """,
)

_REMOVE: Final = Statement("subscriptions_remove", int, "DELETE FROM subscriptions WHERE id = :id")

_TEST: Final = Statement(
    "subscriptions_test",
    int,
    """
    INSERT INTO events (kind, repository_id, repository, actor, only_for)
    SELECT :kind, 0, '', :actor, id FROM subscriptions WHERE id = :id AND state = 'on'
    RETURNING id
    """,
)

_ANY_ON: Final = Statement("subscriptions_any_on", int, "SELECT 1 FROM subscriptions WHERE state = 'on' LIMIT 1")


def add(db: Database, new: NewSubscription, most: int | None = None) -> int:
    """Returns its id; what changes from now on is told. Raises SubscriptionExists.

    Raises TooManySubscriptions if its namespace has as many as `most`; None for no bound.
    """
    try:
        added = db.all(
            _ADD(
                name=new.name,
                repositories=new.repositories,
                repositories_regex=repository_regex(new.repositories),
                tags=new.tags,
                kinds=None if new.kinds is None else list(new.kinds),
                format=new.format,
                target=new.target,
                secret=new.secret,
                header=new.header,
                is_ordered=new.is_ordered,
                shows_request=new.shows_request,
                created_by=new.created_by,
                most=most,
            )
        )
    except Conflict as conflict:
        if conflict.constraint == "subscriptions_name":
            raise SubscriptionExists(f"there is a subscription {new.name} already") from conflict
        raise
    if not added:
        raise TooManySubscriptions(f"a namespace has at most {most} subscriptions: take some away first")
    return added[0]


def get(db: Database, subscription_id: int) -> Subscription | None:
    return db.one_or_none(reading(subscription_id))


def reading(subscription_id: int) -> Call[Subscription]:
    """Returns what `get` asks, for a batch."""
    return _GET(id=subscription_id)


def list_all(db: Database, namespace: str | None = None) -> list[Subscription]:
    """Returns all by namespace and name; with a namespace, those that say nothing of repositories elsewhere."""
    return db.all(listing(namespace))


def listing(namespace: str | None = None) -> Call[Subscription]:
    """Returns what `list_all` asks, for a batch."""
    return _LIST() if namespace is None else _LIST_OF_NAMESPACE(namespace=namespace)


def change(db: Database, subscription_id: int, changes: dict[str, Any]) -> bool:
    """Sets what `changes` names; a `secret` only where there is none. Returns False if there is no such subscription.

    What was fanned out before is sent by the new settings. One that is set on begins anew with what waits.
    """
    names = ("tags", "target", "is_ordered", "state", "reason", "kinds", "header", "secret")
    values = {name: changes.get(name) for name in names}
    call = _CHANGE(id=subscription_id, sets_kinds="kinds" in changes, sets_header="header" in changes, **values)
    calls = [call, *([_RESUME(id=subscription_id)] if changes.get("state") == "on" else [])]
    return db.batch(calls)[0].count > 0


def replace_secret(db: Database, subscription_id: int, secret: str) -> datetime | None:
    """Returns until when the former secret signs as well; None if there is no such subscription, or it has none."""
    return db.one_or_none(_REPLACE_SECRET(id=subscription_id, secret=secret, seconds=BOTH_SECRETS_SECONDS))


def remove(db: Database, subscription_id: int) -> bool:
    """Takes it away with what waits for it; False if there is none."""
    return db.count(_REMOVE(id=subscription_id)) > 0


def test(db: Database, subscription_id: int, actor: str) -> int | None:
    """Returns the id of an event for this subscription alone; None if it is not on."""
    return db.one_or_none(_TEST(id=subscription_id, actor=actor, kind=TEST))


def is_any_on(db: Database) -> bool:
    """Says whether anybody is to be told of anything."""
    return db.one_or_none(_ANY_ON()) is not None
