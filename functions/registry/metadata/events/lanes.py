"""Lanes: what waits for one subscription from one repository, sent in order by one worker at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.metadata.events.outbox import EVENT_JSON
from functions.registry.metadata.events.vocabulary import DeliveryState, Format


@dataclass(frozen=True, slots=True)
class Lane:
    """A claimed lane, with its oldest `events` as the forms read them, and what they are sent by.

    `lease` tells this claim from those before and after it. `failing_seconds` is for how long nothing got through.
    """

    subscription_id: int
    repository_id: int
    lease: int
    attempts: int
    failing_seconds: float
    dead_in_a_row: int
    name: str
    namespace: str
    target: str
    format: Format
    secrets: list[str]
    sealed_header: str | None
    is_ordered: bool
    shows_request: bool
    events: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """At most so many lanes are claimed, of each subscription `lanes_each`, for so many seconds; each with at most so
    many events.
    """

    lanes: int
    lanes_each: int
    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of an event. `status` is the receiver's, None if it gave none; `answer` is what it said."""

    event_id: int
    state: DeliveryState
    status: int | None
    ms: int
    answer: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a lane: it is due again in `wait_seconds`, after `attempts` that failed one after the other.

    `got_through` tells that something was taken before those.
    """

    subscription_id: int
    repository_id: int
    lease: int
    sent: Sequence[Sent]
    wait_seconds: float
    attempts: int
    got_through: bool


# Of each subscription a few lanes: none that has thousands keeps others from their turn. The lease is the moment at
# which the lane is due again, should its worker be gone.
_CLAIM: Final = Statement(
    "lanes_claim",
    Lane,
    compose(
        """
        WITH due AS MATERIALIZED (
            SELECT lane.subscription_id, lane.repository_id
              FROM subscriptions
             CROSS JOIN LATERAL (
                   SELECT lanes.subscription_id, lanes.repository_id
                     FROM lanes
                    WHERE lanes.subscription_id = subscriptions.id AND waiting > 0 AND next_at <= clock_timestamp()
                    ORDER BY next_at
                    LIMIT coalesce((SELECT busy.room
                                      FROM unnest(CAST(:busy AS bigint[]), CAST(:rooms AS int[])) AS busy (id, room)
                                     WHERE busy.id = subscriptions.id), CAST(:most_each AS int))
                      FOR UPDATE SKIP LOCKED) AS lane
             WHERE subscriptions.state = 'on'
             LIMIT :most
        ), claimed AS (
            UPDATE lanes
               SET next_at = clock_timestamp() + make_interval(secs => :seconds),
                   leased_until = clock_timestamp() + make_interval(secs => :seconds), lease = lease + 1
              FROM due
             WHERE lanes.subscription_id = due.subscription_id AND lanes.repository_id = due.repository_id
            RETURNING lanes.subscription_id, lanes.repository_id, lanes.lease, lanes.attempts, lanes.failing_since
        )
        SELECT claimed.subscription_id, claimed.repository_id, claimed.lease, claimed.attempts,
               coalesce(extract(epoch FROM clock_timestamp() - claimed.failing_since)::float8, 0),
               subscriptions.dead_in_a_row, subscriptions.name, subscriptions.namespace, subscriptions.target,
               subscriptions.format,
               array_remove(ARRAY[secret, CASE WHEN previous_until > now() THEN previous_secret END], NULL),
               sealed_header, is_ordered, shows_request,
               (SELECT coalesce(json_agg(waiting.event ORDER BY waiting.id), '[]')
                  FROM (SELECT events.id, $event AS event
                          FROM deliveries JOIN events ON events.id = deliveries.event_id
                         WHERE deliveries.state = 'waiting' AND deliveries.subscription_id = claimed.subscription_id
                           AND deliveries.repository_id = claimed.repository_id
                         ORDER BY deliveries.event_id
                         LIMIT :most_events) AS waiting)
          FROM claimed
          JOIN subscriptions ON subscriptions.id = claimed.subscription_id
        """,
        event=EVENT_JSON,
    ),
)

# Nothing of a worker whose lease is over is written: another has the lane, and sends the same again.
_SETTLE: Final = Statement(
    "lanes_settle",
    int,
    """
    WITH held AS MATERIALIZED (
        SELECT lanes.subscription_id, lanes.repository_id, result.wait_seconds, result.attempts,
               result.got_through
          FROM json_to_recordset(CAST(:lanes AS json)) AS result (
               subscription_id bigint, repository_id bigint, lease bigint, wait_seconds float8, attempts int,
               got_through boolean)
          JOIN lanes ON lanes.subscription_id = result.subscription_id
                    AND lanes.repository_id = result.repository_id AND lanes.lease = result.lease
         ORDER BY lanes.subscription_id, lanes.repository_id
           FOR UPDATE OF lanes
    ), told AS MATERIALIZED (
        SELECT held.subscription_id, held.repository_id, sent.event_id, sent.state, sent.status, sent.ms, sent.answer
          FROM json_to_recordset(CAST(:sent AS json)) AS sent (
               subscription_id bigint, repository_id bigint, event_id bigint, state text, status int, ms int,
               answer text)
          JOIN held ON held.subscription_id = sent.subscription_id AND held.repository_id = sent.repository_id
    ), marked AS (
        UPDATE deliveries
           SET state = told.state, attempts = deliveries.attempts + 1, attempted_at = clock_timestamp(),
               status = told.status, ms = told.ms, answer = told.answer
          FROM told
         WHERE deliveries.subscription_id = told.subscription_id AND deliveries.event_id = told.event_id
           AND deliveries.state = 'waiting'
        RETURNING deliveries.subscription_id, deliveries.repository_id, deliveries.event_id, deliveries.state
    ), kept AS (
        UPDATE events SET keep_until = greatest(keep_until, now() + interval '30 days')
          FROM marked WHERE marked.state = 'dead' AND events.id = marked.event_id
    )
    UPDATE lanes
       SET waiting = lanes.waiting - coalesce(settled.count, 0), attempts = held.attempts,
           leased_until = '-infinity', next_at = clock_timestamp() + make_interval(secs => held.wait_seconds),
           failing_since = CASE WHEN held.attempts = 0 THEN NULL
                                WHEN held.got_through THEN clock_timestamp()
                                ELSE coalesce(lanes.failing_since, clock_timestamp()) END
      FROM held
      LEFT JOIN (SELECT subscription_id, repository_id, count(*) AS count
                   FROM marked WHERE state <> 'waiting' GROUP BY 1, 2) AS settled
        ON settled.subscription_id = held.subscription_id AND settled.repository_id = held.repository_id
     WHERE lanes.subscription_id = held.subscription_id AND lanes.repository_id = held.repository_id
    """,
)

_SWITCH_OFF: Final = Statement(
    "lanes_switch_off",
    str,
    """
    UPDATE subscriptions SET state = 'off', reason = :reason
     WHERE id = :id AND state = 'on'
    RETURNING name
    """,
)

_COUNT_DEAD: Final = Statement(
    "lanes_count_dead",
    int,
    """
    UPDATE subscriptions
       SET dead_in_a_row = CASE WHEN CAST(:got_through AS boolean) THEN 0 ELSE dead_in_a_row END + :dead
     WHERE id = :id
    RETURNING dead_in_a_row
    """,
)

_NEXT: Final = Statement(
    "lanes_next",
    float,
    """
    SELECT extract(epoch FROM min(lane.next_at) - clock_timestamp())::float8
      FROM subscriptions
     CROSS JOIN LATERAL (SELECT next_at FROM lanes
                          WHERE lanes.subscription_id = subscriptions.id AND waiting > 0
                          ORDER BY next_at LIMIT 1) AS lane
     WHERE subscriptions.state = 'on'
    """,
)


def claim(db: Database, bounds: Bounds, rooms: Mapping[int, int]) -> list[Lane]:
    """Takes lanes that are due. `rooms` say of subscriptions, by their id, how many may be taken if those are fewer."""
    if bounds.lanes <= 0:
        return []
    call = _CLAIM(
        most=bounds.lanes,
        most_each=bounds.lanes_each,
        most_events=bounds.events,
        seconds=bounds.seconds,
        busy=list(rooms),
        rooms=list(rooms.values()),
    )
    return db.all(call)


def settle(db: Database, results: Sequence[Result]) -> None:
    """Writes what became of lanes, and gives them back."""
    if results:
        db.batch([_settling(results)])


def _settling(results: Sequence[Result]) -> Call[int]:
    lanes, sent = [], []
    for result in results:
        key = {"subscription_id": result.subscription_id, "repository_id": result.repository_id}
        outcome = ("lease", "wait_seconds", "attempts", "got_through")
        lanes.append({**key, **{name: getattr(result, name) for name in outcome}})
        sent += [{**key, **asdict(each)} for each in result.sent]
    return _SETTLE(lanes=json.dumps(lanes), sent=json.dumps(sent))


def count_dead(db: Database, subscription_id: int, dead: int, *, got_through: bool) -> int:
    """Adds to the deliveries that were given up one after the other, of which a success begins anew. Returns them."""
    return db.one_or_none(_COUNT_DEAD(id=subscription_id, dead=dead, got_through=got_through)) or 0


def switch_off(db: Database, subscription_id: int, reason: str) -> bool:
    """Sends no more to this subscription; False if it was on no longer."""
    return bool(db.all(_SWITCH_OFF(id=subscription_id, reason=reason)))


def seconds_to_next(db: Database) -> float | None:
    """Returns in how many seconds the next lane is due; None if nothing waits."""
    return db.one_or_none(_NEXT())
