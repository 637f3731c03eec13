"""The outbox: events as they were written, fanned out to who wants them, listed for who asks, and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Database, Statement, compose

# An event as the forms read it (functions/registry/events/forms).
EVENT_JSON: Final = """
    json_build_object(
        'id', events.id, 'at', events.at, 'kind', events.kind, 'repository_id', events.repository_id,
        'repository', events.repository, 'former', events.former, 'tag', events.tag,
        'digest', digest_text(events.digest), 'previous', digest_text(events.previous),
        'media_type', events.media_type, 'size', events.size, 'actor', events.actor, 'cause', events.cause,
        'request', events.request, 'position', events.position)
"""

_FAN_OUT: Final = Statement("events_fan_out", int, "SELECT fan_out(CAST(:most AS int))")

_LIST: Final = Statement(
    "events_list",
    dict,
    compose(
        """
        SELECT $event FROM events
         WHERE position > :after AND only_for IS NULL
         ORDER BY position
         LIMIT :size
        """,
        event=EVENT_JSON,
    ),
)

_LIST_OF_NAMESPACE: Final = Statement(
    "events_list_of_namespace",
    dict,
    compose(
        """
        SELECT $event FROM events
         WHERE namespace = :namespace AND position > :after AND only_for IS NULL
         ORDER BY position
         LIMIT :size
        """,
        event=EVENT_JSON,
    ),
)

_LAST: Final = Statement("events_last", int, "SELECT position FROM event_fan_out WHERE is_only")

# The deliveries go first, for lanes know how many of them wait.
_TRIM_DELIVERIES: Final = Statement(
    "events_trim_deliveries",
    int,
    """
    WITH ended AS MATERIALIZED (
        SELECT id FROM events WHERE keep_until < now() ORDER BY keep_until LIMIT :limit
    ), gone AS (
        DELETE FROM deliveries USING ended WHERE deliveries.event_id = ended.id
        RETURNING deliveries.subscription_id, deliveries.repository_id, deliveries.state
    )
    UPDATE lanes SET waiting = lanes.waiting - fewer.count
      FROM (SELECT subscription_id, repository_id, count(*) AS count
              FROM gone WHERE state = 'waiting' GROUP BY 1, 2) AS fewer
     WHERE lanes.subscription_id = fewer.subscription_id AND lanes.repository_id = fewer.repository_id
    """,
)

_TRIM: Final = Statement(
    "events_trim",
    int,
    """
    WITH ended AS MATERIALIZED (
        SELECT id FROM events WHERE keep_until < now() ORDER BY keep_until LIMIT :limit
    )
    DELETE FROM events USING ended WHERE events.id = ended.id
    """,
)

# A receiver that is away for long is sent no more, before what waits for it becomes all that there is.
_PAUSE_OVERFULL: Final = Statement(
    "events_pause_overfull",
    str,
    """
    UPDATE subscriptions SET state = 'paused', reason = :reason
     WHERE state = 'on'
       AND (SELECT sum(waiting) FROM lanes WHERE subscription_id = subscriptions.id)
           >= resumed_with + CAST(:most AS bigint)
    RETURNING name
    """,
)


@dataclass(frozen=True, slots=True)
class Polled:
    """`events` as the forms read them; `last` is the position to ask behind next."""

    events: list[dict[str, Any]]
    last: int


def fan_out(db: Database, most: int) -> int:
    """Gives the oldest new events to who wants them; returns how many there were, 0 while another does the same."""
    return db.one_or_none(_FAN_OUT(most=most)) or 0


def list_page(db: Database, after: int, size: int, namespace: str | None = None) -> Polled:
    """Returns events behind the position `after`, in the order in which they are shown: none comes before one that
    was shown. With a namespace, its own.
    """
    if namespace is None:
        found = db.all(_LIST(after=after, size=size))
    else:
        found = db.all(_LIST_OF_NAMESPACE(namespace=namespace, after=after, size=size))
    return Polled(found, found[-1]["position"] if found else after)


def last_position(db: Database) -> int:
    """Returns the position of the last event that was fanned out."""
    return db.one_or_none(_LAST()) or 0


def trim(db: Database, limit: int) -> int:
    """Ends what is kept no longer, at most `limit` events with their deliveries. Returns how many there were."""
    return db.batch([_TRIM_DELIVERIES(limit=limit), _TRIM(limit=limit)])[-1].count


def pause_overfull(db: Database, most: int) -> list[str]:
    """Pauses subscriptions for which `most` deliveries or more wait, or so many more since they were set on again.
    Returns their names.
    """
    reason = f"{most} deliveries wait: see that the receiver answers, then set the subscription on"
    return db.all(_PAUSE_OVERFULL(most=most, reason=reason))
