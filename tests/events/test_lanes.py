"""Lanes: what it costs to find the next one, and whose it is."""

from __future__ import annotations

from functions.registry.metadata.db import Database
from functions.registry.metadata.events import lanes
from functions.registry.metadata.events.lanes import Bounds, Lane, Result, Sent
from tests.metadata.build import OpenTransaction, query
from tests.statements import of_tests

# A hundred lanes in which a hundred events wait each, and nothing is due but in the last.
_FILL = (
    """
    INSERT INTO subscriptions (name, pattern, pattern_regex, target, created_by)
    VALUES ('all', '**', '^.*$', 'https://hooks.example.com', 'user:admin')
    """,
    """
    INSERT INTO events (kind, repository_id, repository, position)
    SELECT 'tag.moved', n % 100 + 1, 'team/r' || n % 100, n FROM generate_series(1, 10000) AS n
    """,
    """
    INSERT INTO deliveries (subscription_id, event_id, repository_id)
    SELECT subscriptions.id, events.id, repository_id FROM events, subscriptions
    """,
    """
    INSERT INTO lanes (subscription_id, repository_id, waiting, next_at)
    SELECT subscription_id, repository_id, count(*),
           now() + CASE WHEN repository_id = 100 THEN interval '-1 minute' ELSE interval '1 hour' END
      FROM deliveries GROUP BY 1, 2
    """,
    "ANALYZE deliveries",
    "ANALYZE events",
    "ANALYZE lanes",
)
# Of this transaction.
_READ = of_tests(
    "tests_rows_read_of_lanes",
    int,
    """
    SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_xact_user_tables
     WHERE relname IN ('deliveries', 'events', 'lanes')
    """,
)


def test_a_claim_reads_the_lanes_that_are_due_and_no_others(database: Database, database_url: str) -> None:
    """The oldest of what waits in each lane is asked for only once the lane is taken."""
    for sql in _FILL:
        query(database, sql)
    with OpenTransaction(database_url) as transaction:
        [lane] = lanes.claim(transaction, Bounds(lanes=10, lanes_each=10, events=5, seconds=60), {})
        assert (lane.repository_id, len(lane.events)) == (100, 5)
        read = transaction.one_or_none(_READ())
    assert read is not None
    assert read < 1000


def test_a_worker_whose_lease_is_over_says_nothing_of_its_lane(database: Database) -> None:
    """Another one has it, and sends the same again: what that one says holds."""
    for sql in _FILL:
        query(database, sql)
    late = _claim(database)
    query(database, "UPDATE lanes SET next_at = now() - interval '1 second' WHERE repository_id = 100")
    taken_over = _claim(database)
    assert (taken_over.repository_id, taken_over.lease) == (late.repository_id, late.lease + 1)
    for lane, waiting in ((late, 100), (taken_over, 99)):
        sent = [Sent(lane.events[0]["id"], "sent", 200, 1, "")]
        lanes.settle(database, [Result(lane.subscription_id, lane.repository_id, lane.lease, sent, 0.0, 0, True)])
        assert query(database, "SELECT waiting FROM lanes WHERE repository_id = 100") == [[waiting]]


def _claim(database: Database) -> Lane:
    [lane] = lanes.claim(database, Bounds(lanes=10, lanes_each=10, events=5, seconds=60), {})
    return lane
