"""When things go wrong: killed functions, receivers that are away, slow or full, and settings that change meanwhile."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from functions.deliver import run as running
from functions.deliver.sending import GIVEN_UP_AFTER_SECONDS, Sender
from functions.registry.events.publishing import Publisher
from functions.registry.metadata.db import MetadataUnavailable
from functions.registry.metadata.events import deliveries, lanes, outbox, subscriptions
from functions.registry.metadata.events.lanes import Bounds
from tests.events.conftest import deliver, pass_time, states, subscribe
from tests.events.receiver import Answer, Receiver, receiving
from tests.metadata.build import query, value
from tests.support import Registry

DAY = GIVEN_UP_AFTER_SECONDS
BOUNDS = Bounds(lanes=10, lanes_each=10, events=100, seconds=60)


def tag_events(receiver: Receiver) -> list[str]:
    return [each["subject"] for each in receiver.documents if ".tag." in each["type"]]


def test_an_api_that_was_killed_after_its_commit_delays_and_loses_nothing(
    registry: Registry, receiver: Receiver
) -> None:
    """Its message was never sent: the next run finds what was committed."""
    subscribe(registry.services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    assert deliver(registry.services) == 1


def test_a_deliver_that_was_killed_after_sending_sends_again_with_the_same_id(
    registry: Registry, receiver: Receiver
) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    outbox.fan_out(services.database, 10)
    [lane] = lanes.claim(services.database, BOUNDS, {})
    Sender(services.settings, Publisher()).send(lane)  # and then it is gone
    assert deliver(services) == 0, "another has the lane"
    pass_time(services, 61)
    assert deliver(services) == 1
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_a_worker_whose_lease_was_over_writes_nothing_any_more(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    outbox.fan_out(services.database, 10)
    [lane] = lanes.claim(services.database, BOUNDS, {})
    late = Sender(services.settings, Publisher()).send(lane)
    pass_time(services, 61)
    [again] = lanes.claim(services.database, BOUNDS, {})
    lanes.settle(services.database, [late.result])
    assert states(registry) == [("waiting", 1)]
    lanes.settle(services.database, [replace(late.result, lease=again.lease)])
    assert states(registry) == [("sent", 1)]


def test_a_receiver_that_is_down_for_a_day_gets_dead_letters_and_then_all_of_them(
    registry: Registry, receiver: Receiver
) -> None:
    services = registry.services
    with receiving() as other:
        down = subscribe(services, receiver.address, "down", kinds=["tag.created"])
        subscribe(services, other.address, "up", kinds=["tag.created"])
        receiver.mood = lambda _: Answer(500, text="out of order\x00")
        registry.push_image("team/app", "1")
        registry.push_image("team/app", "2")
        assert deliver(services) == 2
        assert tag_events(other) == ["team/app:1", "team/app:2"], "nobody else is held up"
        assert tag_events(receiver) == ["team/app:1"], "the second waits for the first"
        for _ in range(10):
            pass_time(services, 3700)
            deliver(services)
        assert set(tag_events(receiver)) == {"team/app:1"}
        assert states(registry) == [("sent", 2), ("waiting", 2)]
        pass_time(services, DAY)
        deliver(services)
        dead = deliveries.list_page(services.database, down, 10, "dead")
        assert [(each.tag, each.status, each.answer) for each in dead] == [
            ("2", 500, "out of order"),
            ("1", 500, "out of order"),
        ]
        receiver.mood = lambda _: Answer()
        receiver.received.clear()
        registry.push_image("team/app", "3")
        assert deliver(services) == 2
        assert deliveries.redeliver_dead(services.database, down) == 2
        assert deliver(services) == 2
    assert tag_events(receiver) == ["team/app:3", "team/app:1", "team/app:2"]
    assert states(registry) == [("sent", 6)]


def test_waits_grow_and_are_what_the_receiver_asks_for(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    receiver.mood = lambda _: Answer(500)
    for seconds in (5.0, 30.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 3600.0):
        deliver(services)
        left = value(services.database, "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM lanes")
        assert left == pytest.approx(seconds, abs=2)
        pass_time(services, seconds)
    for answer, seconds in (("7", 7.0), ("86400", 3600.0), ("tomorrow", 3600.0)):
        receiver.mood = lambda _, answer=answer: Answer(429, {"Retry-After": answer})  # type: ignore[misc]
        deliver(services)
        left = value(services.database, "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM lanes")
        assert left == pytest.approx(seconds, abs=2)
        pass_time(services, seconds)


def test_a_slow_receiver_gets_four_at_once_and_holds_up_nobody(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    with receiving() as other:
        subscribe(services, receiver.address, "slow", kinds=["tag.created"])
        subscribe(services, receiver.address, "slow as well", kinds=["tag.created"])
        subscribe(services, other.address, "quick", kinds=["tag.created"])
        receiver.mood = lambda _: Answer(wait_seconds=0.2)
        for number in range(8):
            registry.push_image(f"team/app{number}", "1")
        started = time.monotonic()
        seen: list[float] = []

        def note(_: object) -> Answer:
            seen.append(time.monotonic() - started)
            return Answer()

        other.mood = note
        assert deliver(services) == 24
    assert receiver.busiest == 4
    assert len(other.received) == 8
    assert time.monotonic() - started >= 16 / 4 * 0.2
    assert max(seen) < 16 / 4 * 0.2, "the quick one did not wait for the slow one"


def test_a_subscription_for_which_too_much_waits_is_paused_and_told_why(
    registry: Registry, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = registry.services
    monkeypatch.setattr(running, "MOST_WAITING", 3)
    made = subscribe(services, receiver.address, kinds=["tag.created"])
    receiver.mood = lambda _: Answer(500)
    for number in range(3):
        registry.push_image("team/app", str(number))
    deliver(services)
    deliver(services)
    found = subscriptions.get(services.database, made)
    assert found is not None
    assert (found.state, found.waiting) == ("paused", 3)
    assert "3 deliveries wait" in str(found.reason)
    registry.push_image("team/app", "more")
    assert deliver(services) == 0
    assert value(services.database, "SELECT count(*) FROM events WHERE tag = 'more'") == 0, "nobody wants it now"
    receiver.mood = lambda _: Answer()
    subscriptions.change(services.database, made, {"state": "on"})
    assert deliver(services) == 3


def test_a_subscription_whose_deliveries_die_one_after_the_other_is_off(
    registry: Registry, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = registry.services
    monkeypatch.setattr(running, "MOST_DEAD_IN_A_ROW", 3)
    made = subscribe(services, receiver.address, kinds=["tag.created"])
    receiver.mood = lambda _: Answer(500)
    for number in range(3):
        registry.push_image("team/app", str(number))
    deliver(services)
    pass_time(services, DAY + 10)
    deliver(services)
    found = subscriptions.get(services.database, made)
    assert found is not None
    assert (found.state, found.reason, found.dead) == ("off", "3 deliveries in a row were given up", 3)


def test_a_receiver_that_is_gone_is_asked_no_more(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    made = subscribe(services, receiver.address, kinds=["tag.created"])
    receiver.mood = lambda _: Answer(410)
    registry.push_image("team/app", "1")
    registry.push_image("team/app", "2")
    deliver(services)
    found = subscriptions.get(services.database, made)
    assert found is not None
    assert (found.state, len(receiver.received)) == ("off", 1)
    assert "410" in str(found.reason)


def test_what_waits_is_sent_by_the_settings_of_then(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    with receiving() as old:
        made = subscribe(services, old.address, kinds=["tag.created"])
        registry.push_image("team/app", "1")
        outbox.fan_out(services.database, 10)
        subscriptions.change(services.database, made, {"target": receiver.address})
        assert deliver(services) == 1
        assert not old.received
    assert tag_events(receiver) == ["team/app:1"]


def test_one_that_is_taken_away_while_events_wait_gets_none(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    made = subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    outbox.fan_out(services.database, 10)
    assert subscriptions.remove(services.database, made)
    assert deliver(services) == 0
    assert states(registry) == []
    assert value(services.database, "SELECT count(*) FROM lanes") == 0


def test_a_moved_repository_is_told_with_both_names_in_the_lane_of_its_id(
    registry: Registry, receiver: Receiver
) -> None:
    services = registry.services
    subscribe(services, receiver.address, repositories="team/**", kinds=["tag.created", "repository.moved"])
    with receiving() as other:
        subscribe(services, other.address, repositories="other/**", kinds=["tag.created", "repository.moved"])
        registry.push_image("team/app", "1")
        registry.request("POST", "/api/v1/repositories/team/app/-/move", json={"to": "other/app"})
        registry.push_image("other/app", "2")
        assert deliver(services) == 4
        assert [each["data"]["repository"] for each in other.documents] == ["other/app", "other/app"]
    told, moved = receiver.documents
    assert (told["data"]["repository"], moved["type"]) == ("team/app", "dev.slipway.repository.moved.v1")
    assert moved["data"]["repository"] == "team/app"
    assert "former" not in moved["data"], "of another namespace nothing is told"
    assert told["partitionkey"] == moved["partitionkey"]
    assert value(services.database, "SELECT count(DISTINCT repository_id) FROM lanes") == 1


def test_an_event_waits_for_the_one_before_unless_the_subscription_wants_otherwise(
    registry: Registry, receiver: Receiver
) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"], is_ordered=False)
    receiver.mood = lambda received: Answer(500 if received.document["subject"].endswith(":1") else 204)
    for tag in "123":
        registry.push_image("team/app", tag)
    assert deliver(services) == 2
    assert tag_events(receiver) == ["team/app:1", "team/app:2", "team/app:3"]
    assert states(registry) == [("sent", 2), ("waiting", 1)]
    receiver.mood = lambda _: Answer()
    pass_time(services, 6)
    assert deliver(services) == 1


def test_a_receiver_that_ends_the_connection_it_kept_is_asked_once_more(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    for tag in "12":
        registry.push_image("team/app", tag)
    seen: list[int] = []

    def mood(_: object) -> Answer:
        seen.append(1)
        return Answer(is_silent=len(seen) == 2)

    receiver.mood = mood
    assert deliver(services) == 2
    assert tag_events(receiver) == ["team/app:1", "team/app:2", "team/app:2"]


def test_what_is_old_is_ended_and_what_is_dead_stays_for_longer(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    deliver(services)
    receiver.mood = lambda _: Answer(500)
    registry.push_image("team/app", "2")
    registry.push_image("team/app", "3")
    deliver(services)
    pass_time(services, DAY + 10)
    deliver(services)
    query(services.database, "UPDATE deliveries SET state = 'waiting' WHERE event_id = (SELECT max(id) FROM events)")
    query(services.database, "UPDATE lanes SET waiting = 1, next_at = now() + interval '1 hour'")
    query(services.database, "UPDATE events SET keep_until = keep_until - interval '8 days'")
    query(services.database, "UPDATE events SET keep_until = now() - interval '1 s' WHERE tag = '3'")
    deliver(services)
    assert states(registry) == [("dead", 1)]
    assert value(services.database, "SELECT sum(waiting) FROM lanes") == 0
    assert value(services.database, "SELECT count(*) FROM events") == 1


def test_a_database_that_is_away_is_told_to_whoever_sent_the_message(
    registry: Registry, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = registry.services
    subscribe(services, receiver.address)
    registry.push_image("team/app", "1")

    def away(*_: object) -> None:
        raise MetadataUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(lanes, "settle", away)
        with pytest.raises(MetadataUnavailable):
            deliver(services)
    pass_time(services, 61)
    assert deliver(services) == 3


def test_a_second_run_in_a_process_leaves_its_work_to_the_first(registry: Registry, receiver: Receiver) -> None:
    services = registry.services
    subscribe(services, receiver.address, kinds=["tag.created"])
    registry.push_image("team/app", "1")
    entered, leave = threading.Event(), threading.Event()

    def mood(_: object) -> Answer:
        entered.set()
        leave.wait(10)
        return Answer()

    receiver.mood = mood
    counts: list[int] = []
    first = threading.Thread(target=lambda: counts.append(deliver(services)))
    first.start()
    assert entered.wait(10)
    registry.push_image("team/app", "2")
    assert deliver(services) == 0
    leave.set()
    first.join()
    assert counts == [2]
