"""Deliveries as people look at them: the log of a subscription, and sending again what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.events.vocabulary import DeliveryState

MOST_AT_ONCE: Final = 10_000
_NEWEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """`answer` is what the receiver said last, or why it could not be asked."""

    event: int
    kind: str
    repository: str
    tag: str | None
    at: datetime
    state: DeliveryState
    attempts: int
    attempted_at: datetime | None
    status: int | None
    ms: int | None
    answer: str | None


_LIST_SQL: Final = """
    SELECT deliveries.event_id, events.kind, events.repository, events.tag, events.at, deliveries.state,
           deliveries.attempts, deliveries.attempted_at, deliveries.status, deliveries.ms, deliveries.answer
      FROM deliveries JOIN events ON events.id = deliveries.event_id
     WHERE deliveries.subscription_id = :subscription AND deliveries.event_id < :before $of_state
     ORDER BY deliveries.event_id DESC
     LIMIT :size
"""
_LIST: Final = Statement("deliveries_list", Delivery, compose(_LIST_SQL, of_state=""))
_LIST_OF_STATE: Final = Statement(
    "deliveries_list_of_state", Delivery, compose(_LIST_SQL, of_state="AND deliveries.state = :state")
)

# A lane that a worker has is due once it gives it back.
_REDELIVER_SQL: Final = """
    WITH chosen AS MATERIALIZED (
        SELECT event_id FROM deliveries
         WHERE subscription_id = :subscription AND $which
         ORDER BY event_id
         LIMIT :limit
    ), again AS (
        UPDATE deliveries SET state = 'waiting', attempts = 0
          FROM chosen
         WHERE deliveries.subscription_id = :subscription AND deliveries.event_id = chosen.event_id
           AND deliveries.state <> 'waiting'
        RETURNING deliveries.subscription_id, deliveries.repository_id
    ), due AS (
        INSERT INTO lanes (subscription_id, repository_id, waiting)
        SELECT subscription_id, repository_id, count(*) FROM again GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (subscription_id, repository_id) DO UPDATE
           SET waiting = lanes.waiting + excluded.waiting, attempts = 0, failing_since = NULL,
               next_at = greatest(clock_timestamp(), lanes.leased_until)
    )
    SELECT count(*) FROM again
"""
_REDELIVER: Final = Statement(
    "deliveries_redeliver",
    int,
    compose(_REDELIVER_SQL, which="event_id = ANY (CAST(:events AS bigint[]))"),
)
_REDELIVER_DEAD: Final = Statement("deliveries_redeliver_dead", int, compose(_REDELIVER_SQL, which="state = 'dead'"))


def list_page(
    db: Database, subscription_id: int, size: int, state: DeliveryState | None = None, before: int | None = None
) -> list[Delivery]:
    """Returns the latest events first, those before the event `before`; one more than `size`, if there are more."""
    return db.all(listing(subscription_id, size, state, before))


def listing(
    subscription_id: int, size: int, state: DeliveryState | None = None, before: int | None = None
) -> Call[Delivery]:
    """Returns what `list_page` asks, for a batch."""
    values = {"subscription": subscription_id, "before": _NEWEST if before is None else before, "size": size + 1}
    return _LIST(**values) if state is None else _LIST_OF_STATE(**values, state=state)


def redeliver(db: Database, subscription_id: int, events: Sequence[int]) -> int:
    """Sends these again, whatever became of them. Returns how many of them do not wait already."""
    call = _REDELIVER(subscription=subscription_id, events=list(events), limit=MOST_AT_ONCE)
    return db.one_or_none(call) or 0


def redeliver_dead(db: Database, subscription_id: int) -> int:
    """Sends again what was given up, the oldest first. Returns how many, MOST_AT_ONCE if there may be more."""
    return db.one_or_none(_REDELIVER_DEAD(subscription=subscription_id, limit=MOST_AT_ONCE)) or 0
