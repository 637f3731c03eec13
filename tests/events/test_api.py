"""Subscriptions over the API: secrets that are shown once, what is refused, the log, redelivery, and asking."""

from __future__ import annotations

from typing import Any

import pytest

from functions.registry.metadata.events import outbox, subscriptions
from tests.events.conftest import deliver
from tests.events.receiver import Answer, Receiver
from tests.events.test_forms import is_signed_by
from tests.metadata.build import query
from tests.support import Registry

SUBSCRIPTIONS = "/api/v1/subscriptions"


def add(registry: Registry, target: str, **more: Any) -> dict[str, Any]:
    body = {"name": "deploys", "repositories": "team/**", "target": target, **more}
    answer = registry.request("POST", SUBSCRIPTIONS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


def test_a_secret_is_shown_once_and_signs(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, receiver.address, kinds=["tag.*"])
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    assert "secret" not in registry.get(path).get_json()
    assert made["secret"] not in registry.get(SUBSCRIPTIONS).text
    [[stored]] = query(registry.services.database, "SELECT secret FROM subscriptions")
    assert made["secret"] not in stored
    registry.push_image("team/app", "1")
    deliver(registry.services)
    [received] = receiver.received
    assert is_signed_by(made["secret"], received.headers, received.body)
    second = registry.request("POST", f"{path}/secret", json={}).get_json()["secret"]
    registry.push_image("team/app", "2")
    deliver(registry.services)
    assert all(is_signed_by(each, received.headers, received.body) for each in (made["secret"],))
    last = receiver.received[-1]
    assert all(is_signed_by(each, last.headers, last.body) for each in (made["secret"], second))


def test_kinds_are_those_that_the_form_can_say(registry: Registry) -> None:
    assert add(registry, "poll")["kinds"] is None
    assert add(registry, "poll", name="tags", kinds=["tag.*"])["kinds"] == [
        "tag.created",
        "tag.moved",
        "tag.pushed",
        "tag.deleted",
        "tag.restored",
    ]
    assert "repository.created" not in add(registry, "poll", name="gar", format="gar")["kinds"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"kinds": ["tag.renamed"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["repository.moved"], "format": "gar"}, "no words"),
        ({"format": "xml"}, "format"),
        ({"target": "http://hooks.example.com"}, "https"),
        ({"target": "https://hooks.example.com:25/"}, "port"),
        ({"repositories": "Team/**"}, "repositories"),
        ({"repositories": "t*/*/*/*/*/x"}, "stars"),
        ({"authorization": "a\r\nb: c"}, "authorization"),
        ({"authorization": ""}, "authorization"),
        ({"name": ""}, "name"),
        ({"is_ordered": "yes"}, "is_ordered"),
        ({"state": "off"}, "unknown field"),
    ],
)
def test_what_is_odd_is_refused_by_its_name(registry: Registry, more: dict[str, Any], word: str) -> None:
    body = {"name": "odd", "repositories": "team/**", "target": "https://hooks.example.com", **more}
    answer = registry.request("POST", SUBSCRIPTIONS, json=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.text
    assert registry.get(SUBSCRIPTIONS).get_json() == {"subscriptions": []}


def test_a_name_is_a_namespaces_own(registry: Registry) -> None:
    add(registry, "poll")
    again = {"name": "deploys", "repositories": "team/app", "target": "poll"}
    assert registry.request("POST", SUBSCRIPTIONS, json=again).status_code == 409
    add(registry, "poll", repositories="other/**")


def test_a_namespace_has_so_many(registry: Registry) -> None:
    most = registry.services.settings.subscriptions_per_namespace
    for number in range(most):
        add(registry, "poll", name=str(number))
    body = {"name": "one more", "repositories": "team/**", "target": "poll"}
    answer = registry.request("POST", SUBSCRIPTIONS, json=body)
    assert answer.status_code == 409
    assert str(most) in answer.text


def test_a_subscription_is_paused_and_set_on_again(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, receiver.address, kinds=["tag.created"])
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    registry.push_image("team/app", "1")
    outbox.fan_out(registry.services.database, 10)
    paused = registry.request("PATCH", path, json={"state": "paused"}).get_json()
    assert (paused["state"], paused["reason"], paused["waiting"]) == ("paused", "open paused it", 1)
    registry.push_image("team/app", "2")
    assert deliver(registry.services) == 0
    assert registry.request("POST", f"{path}/test", json={}).status_code == 409
    resumed = registry.request("PATCH", path, json={"state": "on"}).get_json()
    assert (resumed["state"], resumed["reason"]) == ("on", None)
    assert deliver(registry.services) == 1


def test_a_poller_that_becomes_a_webhook_gets_a_secret(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, "poll")
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    assert registry.request("POST", f"{path}/secret", json={}).status_code == 409
    assert registry.request("POST", f"{path}/test", json={}).status_code == 409
    changed = registry.request("PATCH", path, json={"target": receiver.address}).get_json()
    registry.push_image("team/app", "1")
    deliver(registry.services)
    assert all(is_signed_by(changed["secret"], each.headers, each.body) for each in receiver.received)
    assert "secret" not in registry.request("PATCH", path, json={"target": receiver.address}).get_json()


def test_a_test_is_sent_to_this_one_alone_and_shown_in_its_log(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, receiver.address)
    add(registry, receiver.address, name="other")
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    receiver.mood = lambda _: Answer(202, text="thanks")
    answer = registry.request("POST", f"{path}/test", json={})
    assert answer.status_code == 202
    assert deliver(registry.services) == 1
    assert receiver.documents[0]["type"] == "dev.slipway.test.v1"
    [delivery] = registry.get(f"{path}/deliveries").get_json()["deliveries"]
    assert delivery["event"] == answer.get_json()["event"]
    assert (delivery["kind"], delivery["state"], delivery["status"], delivery["answer"], delivery["attempts"]) == (
        "test",
        "sent",
        202,
        "thanks",
        1,
    )


def test_the_log_comes_in_pages_and_by_state(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, receiver.address, kinds=["tag.created"], is_ordered=False)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    receiver.mood = lambda received: Answer(500 if received.document["subject"].endswith(":0") else 200)
    for number in range(5):
        registry.push_image("team/app", str(number))
    deliver(registry.services)
    first = registry.get(f"{path}/deliveries?n=2")
    assert [each["tag"] for each in first.get_json()["deliveries"]] == ["4", "3"]
    following = first.headers["Link"].partition("<")[2].partition(">")[0]
    assert [each["tag"] for each in registry.get(following).get_json()["deliveries"]] == ["2", "1"]
    waiting = registry.get(f"{path}/deliveries?state=waiting").get_json()["deliveries"]
    assert [(each["tag"], each["status"]) for each in waiting] == [("0", 500)]
    for query_string in ("state=lost", "before=x", "n=x"):
        assert registry.get(f"{path}/deliveries?{query_string}").status_code == 400


def test_what_is_named_is_sent_again(registry: Registry, receiver: Receiver) -> None:
    made = add(registry, receiver.address, kinds=["tag.created"])
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    registry.push_image("team/app", "1")
    deliver(registry.services)
    event = int(receiver.documents[0]["id"])
    answer = registry.request("POST", f"{path}/redeliver", json={"events": [event, event + 1000]})
    assert answer.get_json() == {"deliveries": 1, "more": False}
    assert deliver(registry.services) == 1
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    odd: list[dict[str, Any]] = [{}, {"dead": False}, {"dead": True, "events": [1]}, {"events": []}, {"events": ["1"]}]
    for body in odd:
        assert registry.request("POST", f"{path}/redeliver", json=body).status_code == 400


def test_whoever_asks_gets_events_behind_a_position(registry: Registry) -> None:
    add(registry, "poll", repositories="**")
    begin = registry.get("/api/v1/events").get_json()
    assert begin == {"events": [], "next": 0}
    registry.push_image("team/app", "1")
    registry.push_image("other/app", "1")
    assert deliver(registry.services) == 0
    answer = registry.get("/api/v1/events?after=0&n=4")
    page = answer.get_json()
    assert [each["position"] for each in page["events"]] == [1, 2, 3, 4]
    assert page["next"] == 4
    assert "after=4" in answer.headers["Link"]
    rest = registry.get("/api/v1/events?after=4").get_json()
    assert [each["type"] for each in rest["events"]] == ["dev.slipway.manifest.pushed.v1", "dev.slipway.tag.created.v1"]
    of_team = registry.get("/api/v1/events?after=0&namespace=team").get_json()["events"]
    assert {each["data"]["repository"] for each in of_team} == {"team/app"}
    assert registry.get("/api/v1/events?after=x").status_code == 400


def test_a_removed_subscription_is_gone(registry: Registry) -> None:
    made = add(registry, "poll")
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    assert registry.request("DELETE", path).status_code == 204
    assert registry.get(path).status_code == 404
    assert registry.request("DELETE", path).status_code == 404
    assert not subscriptions.is_any_on(registry.services.database)
    assert registry.get(f"{SUBSCRIPTIONS}/9999999999999999999999").status_code == 404


def test_what_is_done_is_in_the_log_without_secrets(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    made = add(registry, "https://hooks.example.com", authorization="Bearer a-secret")
    registry.request("PATCH", f"{SUBSCRIPTIONS}/{made['id']}", json={"authorization": "Bearer another", "tags": "v*"})
    registry.request("DELETE", f"{SUBSCRIPTIONS}/{made['id']}")
    said = capsys.readouterr().out
    for action in ("subscription.add", "subscription.change", "subscription.remove"):
        assert action in said
    assert "a-secret" not in said
    assert "another" not in said
    assert made["secret"] not in said
